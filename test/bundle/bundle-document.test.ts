import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  type BundleDocument,
  bundleIdentity,
  bundleNamePattern,
  decodeBundleDocument,
  encodeBundleDocument,
} from '../../src/bundle/bundle-document.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';

const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')];

/** As docs/bundle-format.md shows it, on one line. */
const golden =
  `{"formatVersion":1,"name":"core","platforms":["linux/amd64"],"sourceDateEpoch":1700000000,` +
  `"profiles":[{"name":"edge","version":"1.2.0","digest":"${a}"}],` +
  `"images":[{"reference":"docker.io/library/nginx:1.27","digest":"${b}",` +
  `"mediaType":"application/vnd.oci.image.manifest.v1+json","size":7,` +
  `"sources":[{"profile":"edge","pack":"nginx","chart":"nginx-1.0.tgz","path":"values.yaml","class":"rendered"}]}],` +
  `"charts":[{"kind":"pack","name":"web","version":"1.0.0+2","reference":"localhost/spectro-packs/archive/web:1.0.0_2",` +
  `"digest":"${c}","mediaType":"application/vnd.oci.image.manifest.v1+json","size":11,"sources":[]}],` +
  `"blobs":[{"digest":"${b}","size":7,"storage":"zstd"},{"digest":"${a}","size":9,"storage":"stored"}]}`;

const document: BundleDocument = {
  // Written in another order than the file has.
  blobs: [
    { storage: 'zstd', digest: b, size: 7 },
    { digest: a, storage: 'stored', size: 9 },
  ],
  charts: [
    {
      sources: [],
      size: 11,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: c,
      reference: 'localhost/spectro-packs/archive/web:1.0.0_2',
      version: '1.0.0+2',
      name: 'web',
      kind: 'pack',
    },
  ],
  images: [
    {
      sources: [{ class: 'rendered', path: 'values.yaml', chart: 'nginx-1.0.tgz', pack: 'nginx', profile: 'edge' }],
      size: 7,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: b,
      reference: 'docker.io/library/nginx:1.27',
    },
  ],
  profiles: [{ digest: a, version: '1.2.0', name: 'edge' }],
  sourceDateEpoch: 1_700_000_000,
  platforms: ['linux/amd64'],
  name: 'core',
  formatVersion: 1,
};

const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const digest = hex.map((digits): `sha256:${string}` => `sha256:${digits}`);
const size = fc.nat(Number.MAX_SAFE_INTEGER);
const anyText = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((text) => /^[^\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$/u.test(text));
const source = fc.record(
  {
    profile: anyText,
    pack: anyText,
    chart: anyText,
    path: anyText,
    class: fc.constantFrom('declared', 'rendered', 'referenced', 'inferred'),
  },
  { requiredKeys: ['profile', 'path', 'class'] },
);
const someText = fc.stringMatching(/^[!-~]{1,20}$/);
const contentMembers = {
  reference: someText,
  digest,
  mediaType: someText,
  size,
  sources: fc.array(source, { maxLength: 3 }),
};
const chart = fc.record({
  kind: fc.constantFrom('chart', 'pack'),
  name: someText,
  version: someText,
  ...contentMembers,
});
const anyDocument: fc.Arbitrary<BundleDocument> = fc.record({
  formatVersion: fc.constant(1),
  name: fc.stringMatching(/^[a-z0-9]{1,10}([._-][a-z0-9]{1,10}){0,3}$/),
  platforms: fc.array(someText, { maxLength: 3 }),
  sourceDateEpoch: fc.nat(0o77777777777),
  profiles: fc.array(fc.record({ name: anyText, version: anyText, digest }, { requiredKeys: ['name', 'digest'] }), {
    maxLength: 3,
  }),
  images: fc.array(fc.oneof(fc.record(contentMembers), fc.record({ ...contentMembers, originalDigest: digest })), {
    maxLength: 3,
  }),
  charts: fc.array(chart, { maxLength: 3 }),
  blobs: fc.uniqueArray(fc.record({ digest, size, storage: fc.constantFrom('stored', 'zstd') }), {
    maxLength: 5,
    selector: (blob) => blob.digest,
  }),
});

const attachment = {
  reference: 'docker.io/library/nginx:sha256-1.sig',
  digest: c,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 5,
  subject: b,
};

function decode(text: string): BundleDocument {
  return decodeBundleDocument(Buffer.from(text));
}

describe('bundle.json', () => {
  it('has one form, whatever the order in which its members were given', () => {
    expect(encodeBundleDocument(document).toString()).toBe(golden);
  });

  it('is read as it is written', () => {
    expect(decode(golden)).toEqual(document);
    fc.assert(
      fc.property(anyDocument, (any) => {
        const bytes = encodeBundleDocument(any);
        expect(decodeBundleDocument(bytes)).toEqual(any);
        expect(encodeBundleDocument(decodeBundleDocument(bytes)).equals(bytes)).toBe(true);
      }),
    );
  });

  it('has what belongs to images behind the charts, and the digest that an index had before it was cut', () => {
    const [image] = document.images;
    if (image === undefined) throw new Error('there is no image');
    const images = [{ ...image, originalDigest: a }];
    const text = encodeBundleDocument({ attachments: [attachment], ...document, images }).toString();
    expect(text).toBe(
      golden
        .replace(`"size":7,"sources"`, `"size":7,"originalDigest":"${a}","sources"`)
        .replace(`"blobs"`, `"attachments":[${JSON.stringify(attachment)}],"blobs"`),
    );
    expect(decode(text)).toEqual({ ...document, images, attachments: [attachment] });
  });

  it('names the bundle by its digest', () => {
    const hash = createHash('sha256').update(golden).digest('hex');
    expect(bundleIdentity(Buffer.from(golden))).toEqual({ id: hash.slice(0, 16), digest: `sha256:${hash}` });
  });

  it.each([
    ['white space', golden.replace(',', ', ')],
    ['a line end', `${golden}\n`],
    ['a byte order mark', `\ufeff${golden}`],
    ['a member that is not known', golden.replace('"charts"', '"notes":"","charts"')],
    ['a member of an image that is not known', golden.replace('"sources"', '"note":1,"sources"')],
    ['a member that is there twice', golden.replace('"name":"core"', '"name":"other","name":"core"')],
    ['members in another order', golden.replace(/("name":"core"),("platforms":[^,]*)/, '$2,$1')],
    ['a number in another form', golden.replace('"size":9', '"size":9.0')],
    ['an escape that is not needed', golden.replace('"core"', '"\\u0063ore"')],
    ['a prototype', golden.replace('"name"', '"__proto__":{"x":1},"name"')],
  ])('is refused with %s', async (_, text) => {
    expect(JSON.parse(text.replace('\ufeff', ''))).toMatchObject({ formatVersion: 1, name: 'core' });
    await expectError('BUNDLE_INVALID', 'not in the one form', () => decode(text));
  });

  it.each([
    ['an empty list of attachments', '"blobs"', '"attachments":[],"blobs"', "at 'attachments'"],
    [
      'an attachment to nothing',
      '"blobs"',
      `"attachments":[${JSON.stringify({ ...attachment, subject: undefined })}],"blobs"`,
      "at 'attachments.0.subject'",
    ],
    ['another name', '"name":"core"', '"name":"../core"', "at 'name'"],
    ['no name', '"name":"core",', '', "at 'name'"],
    [
      'a digest of another algorithm',
      `"digest":"${a}","size":9`,
      `"digest":"sha512:${'ab'.repeat(64)}","size":9`,
      "at 'blobs.1.digest'",
    ],
    [
      'a digest that leaves the folder',
      `"digest":"${a}","size":9`,
      `"digest":"sha256:../../${'0'.repeat(58)}","size":9`,
      "at 'blobs.1.digest'",
    ],
    [
      'a digest in capitals',
      `"digest":"${a}","size":9`,
      `"digest":"${a.replace(/[a-f]/g, (digit) => digit.toUpperCase())}","size":9`,
      "at 'blobs.1.digest'",
    ],
    ['a digest twice', `"digest":"${a}","size":9`, `"digest":"${b}","size":9`, "at 'blobs': a digest is listed twice"],
    ['a negative size', '"size":9', '"size":-1', "at 'blobs.1.size'"],
    ['a size that is no whole number', '"size":9', '"size":9.5', "at 'blobs.1.size'"],
    ['a size beyond exact numbers', '"size":9', '"size":9007199254740992', "at 'blobs.1.size'"],
    ['a size in a string', '"size":9', '"size":"9"', "at 'blobs.1.size'"],
    ['another way of storage', '"storage":"stored"', '"storage":"lz4"', "at 'blobs.1.storage'"],
    ['a time before 1970', '"sourceDateEpoch":1700000000', '"sourceDateEpoch":-1', "at 'sourceDateEpoch'"],
    [
      'a time that no tar header holds',
      '"sourceDateEpoch":1700000000',
      '"sourceDateEpoch":8589934592',
      "at 'sourceDateEpoch'",
    ],
    [
      'an image without reference',
      '"reference":"docker.io/library/nginx:1.27"',
      '"reference":""',
      "at 'images.0.reference'",
    ],
    ['a list that is none', '"platforms":["linux/amd64"]', '"platforms":{}', "at 'platforms'"],
    ['a chart of another kind', '"kind":"pack"', '"kind":"operator"', "at 'charts.0.kind'"],
    ['a chart without version', '"version":"1.0.0+2",', '', "at 'charts.0.version'"],
    ['an element of another kind', '"platforms":["linux/amd64"]', '"platforms":[null]', "at 'platforms.0'"],
    ['a class that is not known', '"class":"rendered"', '"class":"guessed"', "at 'images.0.sources.0.class'"],
  ])('is refused with %s, saying where', async (_, part, other, message) => {
    expect(golden).toContain(part);
    await expectError('BUNDLE_INVALID', `bundle.json is malformed ${message}`, () =>
      decode(golden.replace(part, other)),
    );
  });

  /** The golden text with another value at `place`, which is there in it or optional. */
  function withValue(place: string, value: unknown): string {
    const full = {
      ...document,
      images: document.images.map(({ sources, ...image }) => ({ ...image, originalDigest: a, sources })),
      attachments: [attachment],
    };
    const copy = JSON.parse(encodeBundleDocument(full).toString()) as Record<string, unknown>;
    const names = place.split('.');
    const last = names.pop() ?? '';
    const holder = names.reduce<object>((object, name) => Reflect.get(object, name) as object, copy);
    expect(Reflect.has(holder, last)).toBe(true);
    Reflect.set(holder, last, value);
    return JSON.stringify(copy);
  }

  it.each([
    ['profiles.0.name', 4096],
    ['profiles.0.version', 4096],
    ['images.0.sources.0.profile', 4096],
    ['images.0.sources.0.pack', 4096],
    ['images.0.sources.0.chart', 4096],
    ['images.0.sources.0.path', 4096],
  ])('shows no control characters, and no more than it may, in %s', async (place, most) => {
    const refused = (value: string): Promise<unknown> =>
      expectError('BUNDLE_INVALID', `malformed at '${place}'`, () => decode(withValue(place, value)));
    for (const value of ['', 'Größe 1 €, \u{1f4e6} – \u05d0', 'x'.repeat(most)]) {
      expect(encodeBundleDocument(decode(withValue(place, value))).toString()).toBe(withValue(place, value));
    }
    await refused('x'.repeat(most + 1));
    const controls = [0x00, 0x07, 0x0a, 0x0d, 0x1b, 0x7f, 0x85, 0x9b];
    // Unicode Standard Annex 9, section 2: marks, embeddings, overrides and isolates; and the separators of lines.
    const marks = [
      0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
    ];
    for (const code of [...controls, ...marks]) await refused(`a${String.fromCodePoint(code)}b`);
    // Half of a pair: what it becomes in UTF-8 is for each reader to say.
    await refused('\ud800');
  });

  it.each([
    ['images.0.reference', 1024],
    ['images.0.mediaType', 255],
    ['charts.0.name', 255],
    ['charts.0.version', 128],
    ['charts.0.reference', 1024],
    ['attachments.0.reference', 1024],
    ['attachments.0.mediaType', 255],
    ['platforms.0', 255],
  ])('has printable ASCII without spaces, and no more than it may, in %s', async (place, most) => {
    expect(decode(withValue(place, 'x'.repeat(most)))).toMatchObject({ name: 'core' });
    for (const value of ['x'.repeat(most + 1), '', 'a b', 'a\nb', 'a\0', 'ä', '\u202ea']) {
      await expectError('BUNDLE_INVALID', `malformed at '${place}'`, () => decode(withValue(place, value)));
    }
  });

  it.each([
    'profiles.0.digest',
    'images.0.digest',
    'images.0.originalDigest',
    'attachments.0.subject',
    'blobs.0.digest',
  ])('has a digest of an algorithm that is known in %s', async (place) => {
    for (const value of [
      `md5:${'a'.repeat(32)}`,
      `sha256:${'a'.repeat(63)}`,
      'sha256:../x',
      `sha1:${'a'.repeat(40)}`,
      '',
    ]) {
      await expectError('BUNDLE_INVALID', `malformed at '${place}'`, () => decode(withValue(place, value)));
    }
  });

  it.each(['images.0.size', 'charts.0.size', 'attachments.0.size', 'blobs.0.size'])(
    'has a whole number of bytes in %s',
    async (place) => {
      expect(decode(withValue(place, Number.MAX_SAFE_INTEGER))).toMatchObject({ name: 'core' });
      for (const value of [-1, 0.5, 2 ** 53, '1', null]) {
        await expectError('BUNDLE_INVALID', `malformed at '${place}'`, () => decode(withValue(place, value)));
      }
    },
  );

  it.each([
    ['nothing', ''],
    ['half of it', golden.slice(0, 200)],
    ['text', 'hello'],
    ['another encoding', Buffer.from(golden, 'utf16le')],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from('"'), Buffer.from([0xff]), Buffer.from('"')])],
  ])('is refused where it is %s', async (_, bytes) => {
    await expectError('BUNDLE_INVALID', 'not JSON in UTF-8', () => decodeBundleDocument(Buffer.from(bytes)));
  });

  it.each([
    'null',
    '[]',
    '"text"',
    '1',
    '{}',
    '{"formatVersion":null}',
    '{"formatVersion":"1"}',
    '{"formatVersion":0.5}',
  ])('is refused where it is %s', async (text) => {
    await expectError('BUNDLE_INVALID', 'malformed', () => decode(text));
  });

  it.each([0, 2, 17])('of format version %d asks for another version of the tool', async (version) => {
    const error = await expectError('UNSUPPORTED', `format version ${version}; 1 is known`, () =>
      decode(golden.replace('"formatVersion":1', `"formatVersion":${version},"more":[]`)),
    );
    expect(error.hint).toContain('newer');
  });

  it('is refused at its first wrong element: a hostile one can have millions of them', async () => {
    const many = (element: string): string => new Array(500_000).fill(element).join(',');
    for (const [part, other] of [
      ['"charts":[', `"charts":[${many('{}')},`],
      ['"platforms":["linux/amd64"]', `"platforms":[${many('1')}]`],
      ['"charts":[', `"charts":[${'['.repeat(300_000)}${']'.repeat(300_000)},`],
      ['"formatVersion":1', `"formatVersion":${'['.repeat(300_000)}${']'.repeat(300_000)}`],
    ] as const) {
      await expectError('BUNDLE_INVALID', 'malformed', () => decode(golden.replace(part, other)));
    }
  });

  it('is not written where it would be refused', async () => {
    await expectError('FAILED', "at 'name'", () => encodeBundleDocument({ ...document, name: 'a/b' }));
    const references = Array.from({ length: 17_000 }, (_, number) => ({
      ...document.images[0],
      reference: `${'x'.repeat(1000)}${number}`,
      digest: a,
      mediaType: 'm',
      size: 1,
      sources: [],
    }));
    await expectError('UNSUPPORTED', 'at most 16777216', () =>
      encodeBundleDocument({ ...document, images: references }),
    );
  });
});

describe("a bundle's name", () => {
  it('is one that can be part of a file name', () => {
    for (const name of ['a', 'core', 'core-1.2_3', 'x'.repeat(63)]) expect(name).toMatch(bundleNamePattern);
    for (const name of ['', '-a', 'a-', 'a..b', 'a/b', 'A', '.', '..', 'a b', 'ä', 'a\n', 'x'.repeat(64)]) {
      expect(name).not.toMatch(bundleNamePattern);
    }
  });
});
