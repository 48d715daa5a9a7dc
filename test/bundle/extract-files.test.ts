import { chmod, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { beforeAll, describe, expect, it } from 'vitest';

import { fileArtifact } from '../../src/artifact/file-artifact.ts';
import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { type ExtractedFile, extractFiles, type ExtractOptions } from '../../src/bundle/extract-files.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import type { Descriptor } from '../../src/content/descriptor.ts';
import { build, first } from '../delta/world.ts';
import { expectError } from '../support/expect-error.ts';
import { noise, sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const script = Buffer.from('#!/bin/sh\nexit 0\n');
const archive = gzipSync(noise(300_000, 'archive'));
const plain = Buffer.from('site: edge\n'.repeat(40_000));
const contents: Readonly<Record<string, Buffer>> = { 'plain.yaml': plain, 'setup.sh': script, 'spc.tgz': archive };

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, name), bytes);
  await chmod(join(folder, 'setup.sh'), 0o750);
  await chmod(join(folder, 'spc.tgz'), 0o604);
  path = await buildWith(['spc.tgz', 'setup.sh', 'plain.yaml']);
});

async function buildWith(names: readonly string[]): Promise<string> {
  const files = await Promise.all(names.map((name) => fileArtifact(join(folder, name), name)));
  return (await build(first, await temporaryFolder(), { files })).bundle.path;
}

async function withBundle<T>(task: (bundle: BundleReader) => Promise<T>): Promise<T> {
  const bundle = await BundleReader.open(path);
  try {
    return await task(bundle);
  } finally {
    await bundle.close();
  }
}

function extract(options: Omit<ExtractOptions, 'bundle'>): Promise<readonly ExtractedFile[]> {
  return withBundle((bundle) => extractFiles({ bundle, ...options }));
}

describe('files of a bundle', () => {
  it('are OCI artifacts that the document names in the order of their names', async () => {
    await withBundle(async (bundle) => {
      const { files = [], blobs } = bundle.document;
      expect(files.map(({ name, executable, content }) => ({ name, executable, content }))).toEqual(
        Object.entries(contents).map(([name, bytes]) => ({
          ...{ name, executable: name === 'setup.sh' },
          content: { digest: sha256(bytes), size: bytes.byteLength },
        })),
      );
      // What is compressed is stored as it is.
      const storage = new Map(blobs.map((blob) => [blob.digest, blob.storage]));
      expect(files.map(({ content }) => storage.get(content.digest))).toEqual(['zstd', 'zstd', 'stored']);
      expect((await verifyBundle(bundle)).failures).toEqual([]);
    });
    // As other tools see one: by its reference in the layout.
    const layout = await temporaryFolder();
    runProgram('tar', ['--zstd', '-xf', path, '-C', layout]);
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    const entry = index.manifests.at(-1);
    expect(entry?.annotations).toEqual({
      'org.opencontainers.image.ref.name': `localhost/files@${entry?.digest ?? ''}`,
    });
    const manifest = await readFile(join(layout, 'blobs/sha256', entry?.digest.slice(7) ?? ''), 'utf8');
    expect(JSON.parse(manifest)).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      artifactType: 'application/vnd.edge-bundle.file.v1',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2, data: 'e30=' },
      layers: [
        {
          mediaType: 'application/gzip',
          digest: sha256(archive),
          size: archive.byteLength,
          annotations: { 'org.opencontainers.image.title': 'spc.tgz' },
        },
      ],
    });
  });

  it('give the same bytes, whatever the order in which they were named', async () => {
    const other = await buildWith(['plain.yaml', 'spc.tgz', 'setup.sh']);
    expect(sha256(await readFile(other))).toBe(sha256(await readFile(path)));
  });

  it('are refused where they change while the bundle is built', async () => {
    const moving = join(await temporaryFolder(), 'moving');
    await writeFile(moving, noise(300_000, 'before'));
    const file = await fileArtifact(moving, 'moving');
    await writeFile(moving, noise(300_000, 'after'));
    const out = await temporaryFolder();
    await expectError('DIGEST_MISMATCH', 'not complete', () => build(first, out, { files: [file] }));
  });

  it('come out as they went in, and only what was executable is', async () => {
    const out = join(await temporaryFolder(), 'new', 'folder');
    const extracted = await extract({ out });
    expect(extracted.map(({ name, bytes }) => [name, bytes])).toEqual(
      Object.entries(contents).map(([name, bytes]) => [name, bytes.byteLength]),
    );
    for (const [name, bytes] of Object.entries(contents)) {
      expect((await readFile(join(out, name))).equals(bytes)).toBe(true);
      expect(((await lstat(join(out, name))).mode & 0o111) !== 0).toBe(name === 'setup.sh');
    }
    expect((await readdir(out)).sort()).toEqual(Object.keys(contents).sort());
  });

  it('come out alone where they are named, and not at all where one name is wrong', async () => {
    const out = await temporaryFolder();
    await extract({ out, names: ['spc.tgz'] });
    expect(await readdir(out)).toEqual(['spc.tgz']);
    const error = await expectError('NOT_FOUND', '', () => extract({ out, names: ['plain.yaml', '../etc', 'absent'] }));
    expect(error.failures.map(({ message }) => message)).toEqual([
      "the bundle has no file '../etc'",
      "the bundle has no file 'absent'",
    ]);
    expect(await readdir(out)).toEqual(['spc.tgz']);
  });

  it('replace nothing, and write nothing at all, unless they are told to', async () => {
    const [out, elsewhere] = [await temporaryFolder(), join(await temporaryFolder(), 'victim')];
    await writeFile(elsewhere, 'mine');
    await symlink(elsewhere, join(out, 'spc.tgz'));
    const error = await expectError('FILE_FAILED', 'nothing was written', () => extract({ out }));
    expect(error.failures.map(({ message }) => message)).toEqual([`'${join(out, 'spc.tgz')}' is there already`]);
    expect(await readdir(out)).toEqual(['spc.tgz']);
    await extract({ out, force: true });
    // The link itself was replaced, and not what it leads to.
    expect(await readFile(elsewhere, 'utf8')).toBe('mine');
    expect((await lstat(join(out, 'spc.tgz'))).isFile()).toBe(true);
    expect((await readFile(join(out, 'spc.tgz'))).equals(archive)).toBe(true);
  });

  it('are not written through a link that leads nowhere', async () => {
    const [out, elsewhere] = [await temporaryFolder(), join(await temporaryFolder(), 'not there yet')];
    await symlink(elsewhere, join(out, 'spc.tgz'));
    await expectError('FILE_FAILED', 'nothing was written', () => extract({ out }));
    expect(await readdir(out)).toEqual(['spc.tgz']);
    await expect(lstat(elsewhere)).rejects.toThrow('ENOENT');
  });

  it('do not replace what somebody puts in their place meanwhile', async () => {
    const out = await temporaryFolder();
    const place = join(out, 'setup.sh');
    await withBundle(async (bundle) => {
      const busy = {
        document: bundle.document,
        exists: (target: Descriptor) => bundle.exists(target),
        fetch: async (target: Descriptor) => {
          await writeFile(place, 'mine');
          return bundle.fetch(target);
        },
      };
      await expectError('FILE_FAILED', `'${place}' is there already`, () =>
        extractFiles({ bundle: busy, out, names: ['setup.sh'] }),
      );
    });
    expect(await readFile(place, 'utf8')).toBe('mine');
    expect(await readdir(out)).toEqual(['setup.sh']);
  });

  it('leave nothing behind where they are damaged, or a folder is in their place', async () => {
    const out = await temporaryFolder();
    const bytes = await readFile(path);
    const at = bytes.indexOf(archive.subarray(1000, 1100));
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const damaged = join(await temporaryFolder(), 'damaged.tar.zst');
    await writeFile(damaged, bytes);
    const bundle = await BundleReader.open(damaged);
    await expectError('DIGEST_MISMATCH', 'spc.tgz: ', () => extractFiles({ bundle, out, names: ['spc.tgz'] }));
    await bundle.close();
    expect(await readdir(out)).toEqual([]);
    await mkdir(join(out, 'setup.sh'));
    await expectError('FILE_FAILED', 'setup.sh', () => extract({ out, names: ['setup.sh'], force: true }));
    expect(await readdir(out)).toEqual(['setup.sh']);
  });

  it('are found wanting by a verification where their manifest has other content', async () => {
    await withBundle(async (bundle) => {
      const [file, ...others] = bundle.document.files ?? [];
      if (file === undefined) throw new Error('there is no file');
      const wrong = { ...file, content: { digest: sha256(script), size: script.byteLength } };
      const document: BundleDocument = { ...bundle.document, files: [wrong, ...others] };
      const { findIncomplete } = await import('../../src/bundle/completeness.ts');
      const failures = await findIncomplete({
        document,
        exists: (target) => bundle.exists(target),
        fetch: (target, options) => bundle.fetch(target, options),
      });
      expect(failures.map(({ code, message }) => [code, message])).toEqual([
        ['BUNDLE_INVALID', "the manifest of the file 'plain.yaml' does not have it as its one layer"],
      ]);
    });
  });
});
