import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { fileArtifact } from '../../src/artifact/file-artifact.ts';
import type { BuildResult } from '../../src/build/build-bundle.ts';
import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { type BundleOutline, readBundleDocument } from '../../src/bundle/read-document.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { expectSame } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { build, contentsOfWorld, digestsOf, first, layers, manifestsOf, second, third, type World } from './world.ts';

const emptyConfig = sha256('{}');

let out: string;
let full: BuildResult;
let base: BundleOutline;

beforeAll(async () => {
  out = await temporaryFolder();
  full = await build(first, out);
  base = await readBundleDocument(full.bundle.path);
});

async function documentOf({ bundle }: BuildResult): Promise<BundleDocument> {
  return (await readBundleDocument(bundle.path)).document;
}

/** What a bundle of `world` has and one of `before` has not, but for manifests and the empty config, and the rest. */
function expectedBlobs(world: World, before: World): { carried: string[]; leftOut: string[] } {
  const [all, earlier] = [digestsOf(contentsOfWorld(world)), digestsOf(contentsOfWorld(before))];
  const manifests = manifestsOf(contentsOfWorld(world));
  const isLeftOut = (digest: string): boolean =>
    earlier.has(digest) && !manifests.has(digest) && digest !== emptyConfig;
  return { carried: [...all].filter((digest) => !isLeftOut(digest)), leftOut: [...all].filter(isLeftOut) };
}

async function failuresOf({ bundle }: BuildResult): Promise<readonly unknown[]> {
  const reader = await BundleReader.open(bundle.path);
  try {
    return (await verifyBundle(reader)).failures;
  } finally {
    await reader.close();
  }
}

describe('a build with a base', () => {
  it('carries manifests, and else only what the base does not have', async () => {
    const world = { ...second, packs: {} };
    const delta = await build(world, out, { base });
    const document = await documentOf(delta);
    const { carried, leftOut } = expectedBlobs(world, first);
    expect(document.blobs.map(({ digest }) => digest).sort()).toEqual(carried.sort());
    expect(document.base?.blobs.map(({ digest }) => digest).sort()).toEqual(leftOut.sort());
    expect(document.images.map(({ reference }) => reference)).toEqual(Object.keys(second.images));
    expect(document.attachments).toHaveLength(1);
    expect(document.base).toMatchObject({ name: 'site', digest: full.bundle.digest, attachments: [], charts: [] });
    // A tag that has moved, and an image that is gone.
    expect(document.base?.images.map(({ reference }) => reference)).toEqual([
      'docker.io/library/app:1',
      'registry.k8s.io/old:1',
    ]);
    expect(delta.base).toEqual({
      ...{ name: 'site', id: full.bundle.id, digest: full.bundle.digest, blobs: leftOut.length },
      bytes: document.base?.blobs.reduce((sum, { size }) => sum + size, 0),
    });
    const { referenced, stored, saved } = delta.bytes;
    expect(stored).toBe(document.blobs.reduce((sum, { size }) => sum + size, 0));
    expect(referenced).toBe(stored + saved + (delta.base?.bytes ?? 0));
    expect(await failuresOf(delta)).toEqual([]);
  });

  it('needs no more of the base than its bundle.json, and gives the same bytes', async () => {
    const bare = join(await temporaryFolder(), 'base.json');
    const file = await readFile(full.bundle.path);
    await writeFile(bare, runProgram('tar', ['--zstd', '-xO', 'bundle.json'], { input: file }));
    const [one, other] = [await temporaryFolder(), await temporaryFolder()];
    const first = await build(second, one, { base, concurrency: 1 });
    const again = await build(second, other, { base: await readBundleDocument(bare), concurrency: 8 });
    expect(again.bundle.id).toBe(first.bundle.id);
    expectSame(await readFile(again.bundle.path), await readFile(first.bundle.path));
  });

  it('counts with all that the base of a base has to bring', async () => {
    const delta = await build(second, out, { base });
    const next = await build(third, out, { base: await readBundleDocument(delta.bundle.path) });
    const document = await documentOf(next);
    const blobs = new Set(document.blobs.map(({ digest }) => digest));
    // In the first bundle, in the delta on it, and in neither.
    for (const left of [layers.base, layers.tool, layers.plain, layers.moving, layers.app2]) {
      expect(blobs.has(left.descriptor.digest)).toBe(false);
    }
    for (const carried of [layers.app3, layers.plain2]) expect(blobs.has(carried.descriptor.digest)).toBe(true);
    expect(document.base?.digest).toBe(delta.bundle.digest);
    // What the delta did not have any more is remembered, once.
    expect(document.base?.images.map(({ reference, digest }) => `${reference} ${digest}`)).toEqual([
      `docker.io/library/app:1 ${second.images['docker.io/library/app:1']?.descriptor.digest ?? ''}`,
      `docker.io/library/app:1 ${first.images['docker.io/library/app:1']?.descriptor.digest ?? ''}`,
      `registry.k8s.io/old:1 ${first.images['registry.k8s.io/old:1']?.descriptor.digest ?? ''}`,
    ]);
    expect(await failuresOf(next)).toEqual([]);
  });

  it('leaves nothing to the files of its base, which no registry gets', async () => {
    const path = join(await temporaryFolder(), 'layer.tgz');
    await writeFile(path, layers.app2.bytes);
    const file = await fileArtifact(path, 'layer.tgz');
    const withFile = await build(first, await temporaryFolder(), { files: [file] });
    const base = await readBundleDocument(withFile.bundle.path);
    const bare = await documentOf(await build(second, out, { base }));
    expect(bare.blobs.map(({ digest }) => digest)).toContain(layers.app2.descriptor.digest);
    const delta = await build(second, out, { base, files: [file] });
    const document = await documentOf(delta);
    const blobs = document.blobs.map(({ digest }) => digest);
    expect(blobs).toContain(layers.app2.descriptor.digest);
    // The base's file has this config too; the pack that is new needs it in the registry.
    expect(blobs).toContain(emptyConfig);
    expect(document.files?.map(({ name }) => name)).toEqual(['layer.tgz']);
    expect(await failuresOf(delta)).toEqual([]);
  });

  it('is the same delta where nothing has changed: manifests alone', async () => {
    const delta = await build(first, out, { base });
    const kept = new Set((await documentOf(delta)).blobs.map(({ digest }) => digest));
    expect(kept).toEqual(new Set([...manifestsOf(contentsOfWorld(first)), emptyConfig]));
  });
});

describe('the document of a bundle', () => {
  it.each([
    ['that is none', 'hello', 'no seek table'],
    ['in JSON that is none', '{"formatVersion":1}', 'malformed'],
    ['with white space', '{ "formatVersion":1}', 'malformed'],
  ])('is refused %s', async (_, content, message) => {
    const path = join(await temporaryFolder(), 'bundle.json');
    await writeFile(path, content);
    await expectError('BUNDLE_INVALID', message, () => readBundleDocument(path));
  });

  it('is not looked for where nothing is', async () => {
    await expectError('FILE_FAILED', 'there is no bundle', () => readBundleDocument(join(out, 'absent')));
  });
});
