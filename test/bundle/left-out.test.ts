import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { encodeLeftOut, parseLeftOut, readLeftOut } from '../../src/bundle/left-out.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';

const entry = { reference: 'quay.io/cni/agent:v1', namespaces: ['kube-system'] };

/** A bundle with files of these contents, that says what is read. */
function withFiles(files: Readonly<Record<string, string>>, sizeBytes?: number) {
  const listed = Object.entries(files).map(([name, text]) => {
    const named = { reference: 'localhost/files', digest: sha256(name), mediaType: 'x', size: 1 };
    return { name, executable: false, ...named, content: { digest: sha256(text), size: sizeBytes ?? text.length } };
  });
  const read: string[] = [];
  const document: BundleDocument = {
    ...{ formatVersion: 1, name: 'x', platforms: [], sourceDateEpoch: 0, profiles: [], images: [], charts: [] },
    ...{ files: listed, blobs: [] },
  };
  return {
    read,
    document,
    fetch({ digest }: { readonly digest: string }): Promise<Readable> {
      read.push(digest);
      return Promise.resolve(
        Readable.from([Buffer.from(Object.values(files).find((text) => sha256(text) === digest) ?? '')]),
      );
    },
  };
}

describe('what was left out of a bundle', () => {
  it('is in its file, without the namespaces that can be none, the same in any order', () => {
    const other = { reference: 'docker.io/library/a:1', pattern: 'docker.io/*', namespaces: ['b', '{{ .ns }}', 'a'] };
    const text = encodeLeftOut([entry, other]).toString();
    expect(encodeLeftOut([other, entry]).toString()).toBe(text);
    expect(text).toBe(
      '{"excluded":[{"reference":"docker.io/library/a:1","pattern":"docker.io/*","namespaces":["a","b"]},' +
        '{"reference":"quay.io/cni/agent:v1","namespaces":["kube-system"]}]}\n',
    );
    expect(parseLeftOut(text, 'x')).toEqual([{ reference: other.reference, namespaces: ['a', 'b'] }, entry]);
  });

  it.each([
    ['no JSON', 'hello', "'x' is not JSON"],
    ['nothing', '', "'x' is not JSON"],
    ['a list', '[]', "'x': at ''"],
    ['no list of images', '{"excluded":{}}', "at 'excluded'"],
    ['an image without namespaces', '{"excluded":[{"reference":"a"}]}', "at 'excluded.0.namespaces'"],
  ])('is refused where it is %s', async (_, text, message) => {
    await expectError('CONFIG_INVALID', message, () => parseLeftOut(text, "'x'"));
  });

  it.each(['', 'a b', 'a\nerror: b', 'a\0', '\u202ea', 'a\x1b[2J', 'x'.repeat(1025)])(
    'is refused with %j for a reference, which is shown',
    async (reference) => {
      await expectError('CONFIG_INVALID', "at 'excluded.0.reference'", () =>
        parseLeftOut(JSON.stringify({ excluded: [{ ...entry, reference }] }), "'x'"),
      );
    },
  );

  // RFC 1123, section 2.1, and RFC 1035, section 2.3.4, as Kubernetes takes them for labels.
  it.each(['', 'A', 'a_b', '-a', 'a-', 'a.b', 'a\n', '../x', 'x'.repeat(64)])(
    'is refused with %j for a namespace',
    async (namespace) => {
      await expectError('CONFIG_INVALID', "at 'excluded.0.namespaces.0'", () =>
        parseLeftOut(JSON.stringify({ excluded: [{ ...entry, namespaces: [namespace] }] }), "'x'"),
      );
      const longest = [{ ...entry, namespaces: ['x'.repeat(63), '0', 'a-b'] }];
      expect(parseLeftOut(JSON.stringify({ excluded: longest }), 'x')).toEqual(longest);
    },
  );

  it('is read from the file of that name among others; where there is none, nothing is known', async () => {
    const text = encodeLeftOut([entry]).toString();
    const bundle = withFiles({ 'a.json': '{}', 'excluded-images.json': text, 'z.json': '{}' });
    expect(await readLeftOut(bundle)).toEqual([entry]);
    expect(bundle.read).toEqual([sha256(text)]);
    expect(await readLeftOut(withFiles({ 'a.json': text }))).toEqual([]);
    expect(await readLeftOut({ ...bundle, document: { ...bundle.document, files: undefined } })).toEqual([]);
  });

  it('is refused where the file is another than it says, or larger than any, without reading it', async () => {
    const damaged = withFiles({ 'excluded-images.json': '{"excluded":[]}' }, 7);
    await expectError('SIZE_MISMATCH', '', () => readLeftOut(damaged));
    const large = withFiles({ 'excluded-images.json': '{"excluded":[]}' }, 16 * 1024 * 1024 + 1);
    await expectError('CONFIG_INVALID', 'has 16777217 bytes', () => readLeftOut(large));
    expect(large.read).toEqual([]);
  });
});
