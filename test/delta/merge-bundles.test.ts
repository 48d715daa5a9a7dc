import { readdirSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeAll, describe, expect, it } from 'vitest';

import { fileArtifact } from '../../src/artifact/file-artifact.ts';
import type { BuildResult } from '../../src/build/build-bundle.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { mergeBundles, type MergeOptions, type MergeResult } from '../../src/delta/merge-bundles.ts';
import { framesOf } from '../support/bundle-archive.ts';
import { expectSame } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { build, first, layers, second, third, type World } from './world.ts';

const closing: BundleReader[] = [];
let out: string;
let full: BuildResult;
let delta: BuildResult;
let next: BuildResult;

beforeAll(async () => {
  out = await temporaryFolder();
  full = await build(first, out);
  delta = await buildOn(full, second);
  next = await buildOn(delta, third);
});

afterEach(async () => {
  for (const bundle of closing.splice(0)) await bundle.close();
});

async function buildOn({ bundle }: BuildResult, world: World): Promise<BuildResult> {
  return build(world, out, { base: await readBundleDocument(bundle.path) });
}

async function open(path: string): Promise<BundleReader> {
  const bundle = await BundleReader.open(path);
  closing.push(bundle);
  return bundle;
}

async function merge(paths: readonly string[], more: Partial<MergeOptions> = {}): Promise<MergeResult> {
  const [base, ...deltas] = await Promise.all(paths.map(open));
  if (base === undefined) throw new Error('there is no bundle');
  return mergeBundles({ base, deltas, out: await temporaryFolder(), ...more });
}

function paths(...bundles: readonly BuildResult[]): string[] {
  return bundles.map(({ bundle }) => bundle.path);
}

describe('a merge', () => {
  it.each([
    ['a delta', 1, second],
    ['a chain of deltas', 2, third],
  ])('of a bundle and %s has the bytes of a build of all', async (_, count, world) => {
    const whole = await build(world, await temporaryFolder());
    const merged = await merge(paths(full, ...[delta, next].slice(0, count)));
    expect(merged.bundle.id).toBe(whole.bundle.id);
    expect(merged).toMatchObject({ images: whole.images, charts: whole.charts, blobs: whole.blobs });
    expectSame(await readFile(merged.bundle.path), await readFile(whole.bundle.path));
  });

  it('has the files of the last delta', async () => {
    const path = join(await temporaryFolder(), 'note');
    await writeFile(path, 'what to do');
    const files = [await fileArtifact(path, 'note.txt')];
    const withFile = await build(second, out, { files, base: await readBundleDocument(full.bundle.path) });
    const whole = await build(second, await temporaryFolder(), { files });
    const merged = await merge(paths(full, withFile));
    expectSame(await readFile(merged.bundle.path), await readFile(whole.bundle.path));
  });

  it('reads parts in place', async () => {
    const folder = await temporaryFolder();
    const parts = join(folder, 'delta.tar.zst');
    runProgram('split', ['--bytes=20K', '--numeric-suffixes', delta.bundle.path, `${parts}_part`]);
    const merged = await merge([full.bundle.path, parts]);
    const other = await merge(paths(full, delta));
    expectSame(await readFile(merged.bundle.path), await readFile(other.bundle.path));
  });

  it('goes on where it was interrupted', async () => {
    const target = await temporaryFolder();
    const stop = new AbortController();
    const interrupted = merge(paths(full, delta), {
      out: target,
      concurrency: 1,
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === 'finished') stop.abort();
      },
    });
    await expectError('ABORTED', '', () => interrupted);
    let present = 0;
    const merged = await merge(paths(full, delta), {
      out: target,
      onEvent: (event) => {
        if (event.type === 'planned') present = event.presentBytes;
      },
    });
    expect(present).toBeGreaterThan(0);
    const other = await merge(paths(full, delta));
    expectSame(await readFile(merged.bundle.path), await readFile(other.bundle.path));
    // Once it is there, nothing is copied.
    const events: unknown[] = [];
    await merge(paths(full, delta), { out: target, onEvent: (event) => events.push(event) });
    expect(events).toEqual([]);
    expect(readdirSync(join(target, `content-${merged.bundle.id}`))).toEqual([expect.stringMatching(/\.tar\.zst$/)]);
  });

  it.each([
    ['deltas in the wrong order', () => paths(full, next, delta), 'BASE_MISSING', 'which comes before it'],
    ['a delta missing', () => paths(full, next), 'BASE_MISSING', 'builds on'],
    ['a delta first', () => paths(delta, next), 'BASE_MISSING', 'has to come first'],
    ['a full bundle behind it', () => paths(full, full), 'CONFIG_INVALID', 'is a full bundle'],
  ] as const)('is refused with %s', async (_, given, code, message) => {
    const error = await expectError(code, message, () => merge(given()));
    expect(error.hint).toBeDefined();
  });

  it('names the bundle that a foreign delta belongs to', async () => {
    const other = await build(
      { images: { 'docker.io/library/app:1': third.images['docker.io/library/app:1'] } as World['images'] },
      out,
    );
    const foreign = await buildOn(other, second);
    const error = await expectError('BASE_MISSING', other.bundle.id, () => merge(paths(full, foreign)));
    expect(error.message).toContain(full.bundle.id);
    expect(error.hint).toContain('another base');
  });

  it('finds damage, leaves no bundle, and goes on with a sound copy', async () => {
    const folder = await temporaryFolder();
    const damaged = join(folder, 'base.tar.zst');
    await copyFile(full.bundle.path, damaged);
    const bytes = await readFile(damaged);
    const at = bytes.indexOf(layers.base.bytes.subarray(1000, 1100));
    expect(at).toBeGreaterThan(0);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(damaged, bytes);
    const target = await temporaryFolder();
    const error = await expectError('DIGEST_MISMATCH', 'not as they were built', () =>
      merge([damaged, delta.bundle.path], { out: target }),
    );
    expect(error.failures[0]?.message).toContain(layers.base.descriptor.digest);
    const merged = await merge(paths(full, delta), { out: target });
    const other = await merge(paths(full, delta));
    expectSame(await readFile(merged.bundle.path), await readFile(other.bundle.path));
  });

  it('names the compressed blob that is damaged, behind which no other has its place', async () => {
    const damaged = join(await temporaryFolder(), 'base.tar.zst');
    const bytes = await readFile(full.bundle.path);
    // A header of 512 bytes, 300,000 of `plain`, and zeros up to a multiple of 512.
    const frame = framesOf(bytes).find(({ content }) => content === 300_544);
    if (frame === undefined) throw new Error('there is no such frame');
    bytes.fill('x', frame.start + 40, frame.start + 80);
    await writeFile(damaged, bytes);
    const error = await expectError('BUNDLE_INVALID', '', () => merge([damaged, ...paths(delta, next)]));
    const reasons = [error, ...error.failures].map(({ message }) => message);
    expect(reasons.some((reason) => reason.includes(layers.plain.descriptor.digest.slice(7)))).toBe(true);
    expect(reasons.some((reason) => reason.includes(layers.plain2.descriptor.digest.slice(7)))).toBe(false);
  });

  it('ends at once where a medium is gone: that is no damage of the bundle', async () => {
    const error = await expectError('FILE_FAILED', 'cannot read', () =>
      merge(paths(full, delta), {
        concurrency: 1,
        onEvent: ({ type }) => {
          if (type === 'planned') for (const bundle of closing.splice(0)) void bundle.close();
        },
      }),
    );
    expect(error.failures).toEqual([]);
  });
});
