import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { readContent } from '../../src/content/verify.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { blob, type Content, image, index, noise, pushAll, sha256 } from '../support/graphs.ts';
import { makeReadOnly, whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { describeStoreContract, expectCode, readAll } from '../support/store-contract.ts';
import { expectError } from '../support/expect-error.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describeStoreContract('an image layout', async () => ({ store: await LayoutStore.open(await temporaryFolder()) }));

const layer = blob(noise(10_000, 'layer'), mediaTypes.ociLayerGzip);

describe('an image layout on disk', () => {
  it('has the files that the specification names', async () => {
    const { folder, store } = await newLayout();
    const root = image([layer]);
    await pushAll(store, root);
    await store.tag(root.descriptor, 'docker.io/library/thing:1.27');

    expect(await readJson(folder, 'oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(await readJson(folder, 'index.json')).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          ...root.descriptor,
          annotations: { 'org.opencontainers.image.ref.name': 'docker.io/library/thing:1.27' },
        },
      ],
    });
    for (const { descriptor, bytes } of [root, ...root.children]) {
      expect(sha256(await readFile(blobPath(folder, descriptor)))).toBe(sha256(bytes));
    }
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
  });

  it('is there after it was opened again, also by a name with folders that do not exist', async () => {
    const folder = join(await temporaryFolder(), 'a', 'b');
    const root = image([layer]);
    const store = await LayoutStore.open(folder);
    await pushAll(store, root);
    await store.tag(root.descriptor, 'v1');
    expect((await (await LayoutStore.open(folder)).resolve('v1')).digest).toBe(root.descriptor.digest);
  });

  it('keeps what other tools wrote into index.json', async () => {
    const { folder, store } = await newLayout();
    const [first, second] = [image([layer]), image([layer, layer])];
    await pushAll(store, first, second);
    const foreign = {
      ...first.descriptor,
      platform: { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348', features: ['a'] },
      annotations: { 'org.opencontainers.image.ref.name': 'theirs', 'com.example.mine': 'kept' },
      'x-member': { deep: [1, 2] },
    };
    const before = { schemaVersion: 2, 'x-top': true, annotations: { 'com.example': 'top' }, manifests: [foreign] };
    await writeFile(join(folder, 'index.json'), JSON.stringify(before));

    await store.tag(second.descriptor, 'ours');

    const after = await readJson(folder, 'index.json');
    expect(after).toMatchObject({ 'x-top': true, annotations: { 'com.example': 'top' } });
    expect(after.manifests).toEqual([
      foreign,
      { ...second.descriptor, annotations: { 'org.opencontainers.image.ref.name': 'ours' } },
    ]);
    expect(await store.resolve('theirs')).toMatchObject({ annotations: { 'com.example.mine': 'kept' } });
    expect((await store.resolve('theirs')).annotations).not.toHaveProperty('org.opencontainers.image.ref.name');
  });

  it('whose index.json can be read in more than one way is refused', async () => {
    const { folder, store } = await newLayout();
    await writeFile(join(folder, 'index.json'), '{"schemaVersion":2,"manifests":[],"manifests":[]}');
    await expectError('CONTENT_INVALID', '"manifests" twice', () => store.resolve('theirs'));
  });

  it('lists its names in order, and what index.json lists', async () => {
    const { store } = await newLayout();
    const root = image([layer]);
    await pushAll(store, root);
    for (const name of ['v2', 'latest', 'v10']) await store.tag(root.descriptor, name);
    await store.tag(root.descriptor, root.descriptor.digest);
    expect(await store.tags()).toEqual(['latest', 'v10', 'v2']);
    expect(await store.entries()).toEqual(
      ['v2', 'latest', 'v10', undefined].map((name) => ({ descriptor: root.descriptor, name })),
    );
  });

  it('does not write index.json where nothing changes', async () => {
    const { folder, store } = await newLayout();
    const root = image([layer]);
    await pushAll(store, root);
    await store.tag(root.descriptor, 'v1');
    const { ino } = await stat(join(folder, 'index.json'));
    await store.tag(root.descriptor, 'v1');
    expect((await stat(join(folder, 'index.json'))).ino).toBe(ino);
  });

  it.each(['', sha256('other content')])("does not take '%s' for a name", async (name) => {
    const { store } = await newLayout();
    await pushAll(store, layer);
    await expectCode('REFERENCE_INVALID', () => store.tag(layer.descriptor, name));
  });

  it('resolves the digest of a manifest that only an index names, and not that of a blob', async () => {
    const { store } = await newLayout();
    const child = image([layer]);
    const root = index([child]);
    await pushAll(store, root);
    await store.tag(root.descriptor, 'v1');
    expect(await store.resolve(child.descriptor.digest)).toEqual(child.descriptor);
    await expectCode('NOT_FOUND', () => store.resolve(layer.descriptor.digest));
  });

  it('still finds a referrer when its tag has moved', async () => {
    const { store } = await newLayout();
    const subject = image([layer]);
    const signature = image([blob('sig')], { artifactType: 'application/vnd.example.sig', subject });
    await pushAll(store, signature);
    await store.tag(signature.descriptor, 'signature');
    await store.tag(subject.descriptor, 'signature');
    expect(await store.referrers(subject.descriptor)).toMatchObject([{ digest: signature.descriptor.digest }]);
  });

  it('stores content with sha512 digests', async () => {
    const { folder, store } = await newLayout();
    const bytes = noise(1000, 'sha512');
    const hex = createHash('sha512').update(bytes).digest('hex');
    const descriptor = { mediaType: mediaTypes.octetStream, digest: `sha512:${hex}`, size: 1000 } as const;
    await store.push(descriptor, Readable.from([bytes]));
    expect(await readFile(join(folder, 'blobs', 'sha512', hex))).toEqual(bytes);
    expect(await readContent(store, descriptor)).toEqual(bytes);
  });

  it('takes over a file that was verified, and removes it where the content is there', async () => {
    const { folder, store } = await newLayout();
    const path = join(folder, 'upload');
    for (let time = 0; time < 2; time += 1) {
      await writeFile(path, layer.bytes);
      await store.adopt(layer.descriptor, path);
      expect(sha256(await readFile(blobPath(folder, layer.descriptor)))).toBe(layer.descriptor.digest);
      await expect(stat(path)).rejects.toThrow('ENOENT');
    }
  });
});

describe('an image layout that is damaged or hostile', () => {
  it('does not take a truncated file for the content, and repairs it', async () => {
    const { folder, store } = await newLayout();
    await pushAll(store, layer);
    await truncate(blobPath(folder, layer.descriptor), 9_999);
    expect(await store.exists(layer.descriptor)).toBe(false);
    await expect(store.fetch(layer.descriptor)).rejects.toThrow(/with 10000 bytes \(9999 are there\)/);
    await pushAll(store, layer);
    expect(sha256(await readAll(await store.fetch(layer.descriptor)))).toBe(layer.descriptor.digest);
  });

  it('does not take a named pipe for the content, and does not wait for it', async () => {
    const { folder, store } = await newLayout();
    const empty = blob('');
    const path = blobPath(folder, empty.descriptor);
    await mkdir(dirname(path), { recursive: true });
    execFileSync('mkfifo', [path]);
    expect(await store.exists(empty.descriptor)).toBe(false);
    await expectCode('NOT_FOUND', () => store.fetch(empty.descriptor));
  });

  it.each(['sha256:../../../../etc/passwd', 'sha256:' + 'A'.repeat(64), '../x', 'sha256:', ''])(
    "lets no digest such as '%s' become a path",
    async (digest) => {
      const { folder, store } = await newLayout();
      const before = await readdir(folder, { recursive: true });
      const evil = JSON.parse(JSON.stringify({ ...layer.descriptor, digest })) as Descriptor;
      await expectCode('CONTENT_INVALID', () => store.exists(evil));
      await expectCode('CONTENT_INVALID', () => store.fetch(evil));
      await expectCode('CONTENT_INVALID', () => store.push(evil, Readable.from([layer.bytes])));
      await expectCode('CONTENT_INVALID', () => store.tag(evil, 'v1'));
      expect(await readdir(folder, { recursive: true })).toEqual(before);
    },
  );

  it.each([
    ['oci-layout', '{"imageLayoutVersion":"2.0.0"}', 'UNSUPPORTED', /has version '2.0.0'/],
    ['oci-layout', 'not JSON', 'CONTENT_INVALID', /oci-layout/],
    ['oci-layout', '{}', 'CONTENT_INVALID', /oci-layout/],
    ['index.json', 'not JSON', 'CONTENT_INVALID', /index\.json' is not JSON/],
    ['index.json', '{"schemaVersion":1,"manifests":[]}', 'CONTENT_INVALID', /malformed at 'schemaVersion'/],
    [
      'index.json',
      '{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1,"digest":"sha256:../../x"}]}',
      'CONTENT_INVALID',
      /malformed at 'manifests\.0\.digest'/,
    ],
  ] as const)('is refused where its %s says %s', async (name, text, code, message) => {
    const { folder } = await newLayout();
    await writeFile(join(folder, name), text);
    await expectCode(code, () => LayoutStore.open(folder));
    await expect(LayoutStore.open(folder)).rejects.toThrow(message);
    expect(await readFile(join(folder, name), 'utf8')).toBe(text);
  });

  it('is completed where its maker was killed before it wrote index.json', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const store = await LayoutStore.open(folder);
    expect(await store.tags()).toEqual([]);
    expect(await readJson(folder, 'index.json')).toMatchObject({ manifests: [] });
  });

  it.each([
    ['that is malformed', manifestBlob('{"schemaVersion":2,"config":7}'), 'CONTENT_INVALID'],
    ['of more than 4 MiB', manifestBlob(`{"schemaVersion":2}${' '.repeat(4 * 1024 * 1024)}`), 'CONTENT_TOO_LARGE'],
  ] as const)('takes no manifest %s', async (_kind, { descriptor, bytes }, code) => {
    const { folder, store } = await newLayout();
    await expectCode(code, () => store.push(descriptor, Readable.from([bytes])));
    expect(await store.exists(descriptor)).toBe(false);
    expect(await readdir(folder, { recursive: true })).not.toContain(descriptor.digest.slice('sha256:'.length));
  });

  it('says where a folder is not one', async () => {
    const path = join(await temporaryFolder(), 'file');
    await writeFile(path, 'a file');
    await expectCode('FILE_FAILED', () => LayoutStore.open(path));
  });

  it('leaves nothing behind after pushes that failed', async () => {
    const { folder, store } = await newLayout();
    const pushes = [
      () => store.push(layer.descriptor, Readable.from([layer.bytes.subarray(1)])),
      () => store.push(layer.descriptor, Readable.from([Buffer.alloc(10_000)])),
      () => store.push(layer.descriptor, Readable.from([layer.bytes]), { signal: AbortSignal.abort() }),
    ];
    const results = await Promise.allSettled(pushes.map((push) => push()));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await filesOf(folder)).toEqual(['index.json', 'oci-layout']);
  });
});

describe.runIf(whyNoMount === undefined)(
  `an image layout on a file system of its own (${whyNoMount ?? 'a tmpfs'})`,
  () => {
    it.each([1, 40])(
      'says NO_SPACE where the disk is full, and leaves nothing behind (in %d pieces)',
      async (pieces) => {
        await withSmallDisk(2_000_000, async (folder) => {
          const store = await LayoutStore.open(folder);
          await pushAll(store, layer);
          const { descriptor, bytes } = blob(noise(4_000_000, 'large'));
          const size = bytes.byteLength / pieces;
          const content = Readable.from(
            Array.from({ length: pieces }, (_, at) => bytes.subarray(at * size, (at + 1) * size)),
          );
          await expectCode('NO_SPACE', () => store.push(descriptor, content));
          expect(content.destroyed).toBe(true);
          expect(await store.exists(descriptor)).toBe(false);
          expect((await filesOf(folder)).filter((name) => !name.startsWith('blobs/'))).toEqual([
            'index.json',
            'oci-layout',
          ]);
          await pushAll(store, image([layer]));
        });
      },
    );

    it('keeps index.json where there is no space for a new one', async () => {
      await withSmallDisk(200_000, async (folder) => {
        const store = await LayoutStore.open(folder);
        const root = image([layer]);
        await pushAll(store, root);
        await store.tag(root.descriptor, 'before');
        await fill(join(folder, 'filler'));
        await expectCode('NO_SPACE', () => store.tag(root.descriptor, 'x'.repeat(5_000)));
        expect(await store.tags()).toEqual(['before']);
        expect((await filesOf(folder)).filter((name) => !name.startsWith('blobs/'))).toEqual([
          'filler',
          'index.json',
          'oci-layout',
        ]);
      });
    });

    it('is read from read-only media, and says so where it should be written', async () => {
      await withSmallDisk(1_000_000, async (folder) => {
        const root = image([layer]);
        const store = await LayoutStore.open(folder);
        await pushAll(store, root);
        await store.tag(root.descriptor, 'v1');
        await writeFile(join(folder, 'ingest', 'left-by-a-killed-push'), 'x');
        makeReadOnly(folder);

        const readOnly = await LayoutStore.open(folder);
        expect((await readOnly.resolve('v1')).digest).toBe(root.descriptor.digest);
        expect(sha256(await readContent(readOnly, layer.descriptor))).toBe(layer.descriptor.digest);
        await expectCode('FILE_FAILED', () => pushAll(readOnly, blob('new')));
        await expectCode('FILE_FAILED', () => readOnly.tag(root.descriptor, 'v2'));
      });
    });
  },
);

async function newLayout(): Promise<{ folder: string; store: LayoutStore }> {
  const folder = await temporaryFolder();
  return { folder, store: await LayoutStore.open(folder) };
}

function blobPath(folder: string, { digest }: Descriptor): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return join(folder, 'blobs', algorithm, hex);
}

function manifestBlob(text: string): Content {
  return blob(text, mediaTypes.ociManifest);
}

async function readJson(...path: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(...path), 'utf8')) as Record<string, unknown>;
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}

/** Writes until the disk is full. */
async function fill(path: string): Promise<void> {
  for (let sizeBytes = 4096; ; sizeBytes += 4096) {
    try {
      await writeFile(path, Buffer.alloc(sizeBytes));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
      return;
    }
  }
}
