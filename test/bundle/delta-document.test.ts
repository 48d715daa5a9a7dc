import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type BundleBase,
  type BundleDocument,
  type BundleFile,
  bundleFilePattern,
  decodeBundleDocument,
  encodeBundleDocument,
} from '../../src/bundle/bundle-document.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';

const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')];
const manifest = 'application/vnd.oci.image.manifest.v1+json';

const base: BundleBase = {
  // Written in another order than the file has.
  blobs: [{ size: 9, digest: a }],
  attachments: [{ subject: c, size: 3, mediaType: manifest, digest: b, reference: 'docker.io/library/nginx:a.sig' }],
  charts: [
    {
      size: 2,
      mediaType: manifest,
      digest: b,
      reference: 'localhost/charts/web:1',
      version: '1',
      name: 'web',
      kind: 'chart',
    },
  ],
  images: [{ size: 1, mediaType: manifest, digest: c, reference: 'docker.io/library/nginx:1.26' }],
  digest: b,
  name: 'core',
};

const file: BundleFile = {
  content: { size: 4, digest: c },
  size: 5,
  mediaType: manifest,
  digest: b,
  reference: `localhost/files@${b}`,
  executable: true,
  name: 'setup.sh',
};

const plain: BundleDocument = {
  formatVersion: 1,
  name: 'core',
  platforms: [],
  sourceDateEpoch: 0,
  profiles: [],
  images: [],
  charts: [],
  blobs: [{ digest: b, size: 7, storage: 'zstd' }],
};
const delta = { ...plain, base, files: [file] };

/** As docs/bundle-format.md says, on one line. */
const golden =
  `{"formatVersion":1,"name":"core","platforms":[],"sourceDateEpoch":0,"profiles":[],"images":[],"charts":[],` +
  `"files":[{"name":"setup.sh","executable":true,"reference":"localhost/files@${b}","digest":"${b}",` +
  `"mediaType":"${manifest}","size":5,"content":{"digest":"${c}","size":4}}],` +
  `"base":{"name":"core","digest":"${b}",` +
  `"images":[{"reference":"docker.io/library/nginx:1.26","digest":"${c}","mediaType":"${manifest}","size":1}],` +
  `"charts":[{"kind":"chart","name":"web","version":"1","reference":"localhost/charts/web:1","digest":"${b}",` +
  `"mediaType":"${manifest}","size":2}],` +
  `"attachments":[{"reference":"docker.io/library/nginx:a.sig","digest":"${b}","mediaType":"${manifest}","size":3,` +
  `"subject":"${c}"}],` +
  `"blobs":[{"digest":"${a}","size":9}]},` +
  `"blobs":[{"digest":"${b}","size":7,"storage":"zstd"}]}`;

const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes): `sha256:${string}` => `sha256:${Buffer.from(bytes).toString('hex')}`);
const size = fc.nat(Number.MAX_SAFE_INTEGER);
const someText = fc.stringMatching(/^[!-~]{1,20}$/);
const named = { reference: someText, digest, mediaType: someText, size };
const sized = fc.record({ digest, size });
const few = { maxLength: 3 } as const;
const anyName = fc.stringMatching(/^[A-Za-z0-9._@+~][A-Za-z0-9._@+~-]{0,20}$/).filter((name) => !/^\.\.?$/.test(name));
const anyDelta: fc.Arbitrary<BundleDocument> = fc
  .record({
    files: fc.uniqueArray(fc.record({ name: anyName, executable: fc.boolean(), ...named, content: sized }), {
      minLength: 1,
      maxLength: 3,
      selector: ({ name }) => name,
    }),
    base: fc.record({
      name: fc.stringMatching(/^[a-z0-9]{1,10}$/),
      digest,
      images: fc.array(fc.record(named), few),
      charts: fc.array(
        fc.record({ kind: fc.constantFrom('chart', 'pack'), name: someText, version: someText, ...named }),
        few,
      ),
      attachments: fc.array(fc.record({ ...named, subject: digest }), few),
      blobs: fc.uniqueArray(sized, { maxLength: 4, selector: (blob) => blob.digest }),
    }),
  })
  .map((members) => ({ ...plain, blobs: [], ...members }));

function decode(text: string): BundleDocument {
  return decodeBundleDocument(Buffer.from(text));
}

describe('bundle.json of a delta', () => {
  it('has one form, with files and base in front of the blobs', () => {
    expect(encodeBundleDocument(delta).toString()).toBe(golden);
    expect(decode(golden)).toEqual(delta);
  });

  it('is read as it is written', () => {
    fc.assert(
      fc.property(anyDelta, (any) => {
        const bytes = encodeBundleDocument(any);
        expect(decodeBundleDocument(bytes)).toEqual(any);
        expect(encodeBundleDocument(decodeBundleDocument(bytes)).equals(bytes)).toBe(true);
      }),
    );
  });

  it('is read, or refused as malformed, whatever one of its values is', () => {
    const places = [...golden.matchAll(/(?<=[:[,])("[^"]*"|\d+|true|\[|\{)(?=[,\]}]|$)/g)];
    const values = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(-1, 0, '', '..', `sha256:${'0'.repeat(64)}`),
    );
    expect(places.length).toBeGreaterThan(25);
    fc.assert(
      fc.property(fc.constantFrom(...places), values, ({ index, 0: old }, value) => {
        const text = `${golden.slice(0, index)}${JSON.stringify(value)}${golden.slice(index + old.length)}`;
        try {
          expect(encodeBundleDocument(decode(text)).toString()).toBe(text);
        } catch (error) {
          expect(error).toMatchObject({
            name: 'EdgeBundleError',
            message: expect.stringContaining('bundle') as string,
          });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a base without digest', `"digest":"${b}","images"`, '"images"', "at 'base.digest'"],
    [
      'a base of another algorithm',
      `"base":{"name":"core","digest":"${b}"`,
      `"base":{"name":"core","digest":"sha512:${'ab'.repeat(64)}"`,
      "at 'base.digest': expected a sha256",
    ],
    ['a base without name', '"base":{"name":"core"', '"base":{"name":"../core"', "at 'base.name'"],
    ['a base without blobs', `,"blobs":[{"digest":"${a}","size":9}]`, '', "at 'base.blobs'"],
    ['a base that is null', /"base":.*?\}\]\}/.exec(golden)?.[0] ?? '', '"base":null', "at 'base'"],
    ['a base blob twice', '"size":9}', `"size":9},{"digest":"${a}","size":9}`, 'a digest is listed twice'],
    ['a base blob that it has itself', `"digest":"${a}","size":9`, `"digest":"${b}","size":9`, "at 'base.blobs'"],
    [
      'a base blob of another algorithm',
      `"${a}","size":9`,
      `"sha512:${'ab'.repeat(64)}","size":9`,
      'expected a sha256',
    ],
    ['an empty list of files', /"files":\[.*?\}\}\]/.exec(golden)?.[0] ?? '', '"files":[]', "at 'files'"],
    ['a file that leaves the folder', '"setup.sh"', '"../setup.sh"', "at 'files.0.name'"],
    ['a mode of another kind', '"executable":true', '"executable":493', "at 'files.0.executable'"],
    ['a file without content', `,"content":{"digest":"${c}","size":4}`, '', "at 'files.0.content'"],
    [
      'a name twice',
      `"size":4}}]`,
      `"size":4}},${JSON.stringify({ ...JSON.parse(/\{"name":"setup.*?\}\}/.exec(golden)?.[0] ?? '') })}]`,
      'a name is given twice',
    ],
  ])('is refused with %s, saying where', async (_, part, other, message) => {
    expect(golden).toContain(part);
    await expectError('BUNDLE_INVALID', message, () => decode(golden.replace(part, other)));
  });
});

describe("a file's name", () => {
  it('is one that means nothing but a file in a folder', () => {
    for (const name of ['a', 'spc.tgz', '.edge_config.yaml', 'A-b_c+d@e~', '...', 'x'.repeat(128)]) {
      expect(name).toMatch(bundleFilePattern);
    }
    for (const name of ['', '.', '..', '-rf', 'a/b', 'a\\b', 'a b', 'a\n', 'a\0', '\u202ea', 'ä', 'x'.repeat(129)]) {
      expect(name).not.toMatch(bundleFilePattern);
    }
  });
});
