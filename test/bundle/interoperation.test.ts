import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { collectGraph } from '../../src/content/graph.ts';
import { readContent } from '../../src/content/verify.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { everyKind, type PlannedBundle, planBundle, writeBundle } from '../support/bundles.ts';
import { type Content, noise, sha256 } from '../support/graphs.ts';
import { makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { runProgram } from '../support/run-program.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let every: PlannedBundle;
let path: string;

beforeAll(async () => {
  every = await everyKind({ sourceDateEpoch: 1_700_000_000 });
  path = await writeBundle(await memoryFolder(), every);
});

/** All files below `folder`, with the digests of their content. */
async function digestsIn(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const digests = new Map<string, string>();
  for (const entry of entries.filter((each) => each.isFile())) {
    const file = join(entry.parentPath, entry.name);
    digests.set(file.slice(folder.length + 1), sha256(await readFile(file)));
  }
  return digests;
}

describe('GNU tar', () => {
  it('unpacks a bundle to an image layout with every blob under its digest', async () => {
    const folder = await memoryFolder();
    runProgram('tar', ['--zstd', '-xf', path], { cwd: folder });
    const digests = await digestsIn(folder);
    expect(digests.size).toBe(every.contents.length + 4);
    for (const { descriptor } of every.contents) {
      expect(digests.get(`blobs/sha256/${descriptor.digest.slice(7)}`)).toBe(descriptor.digest);
    }
    expect(digests.get('bundle.json')).toBe(sha256(JSON.stringify(every.document)));
    expect(digests.get('oci-layout')).toBe(sha256('{"imageLayoutVersion":"1.0.0"}'));
  });

  it('lists the metadata first, without a warning', () => {
    const lines = runProgram('sh', ['-c', `tar --zstd -tvf '${path}' --utc --full-time 2>&1`])
      .toString()
      .trim()
      .split('\n');
    expect(lines).toHaveLength(every.contents.length + 4);
    expect(lines.slice(0, 4).map((line) => line.split(' ').at(-1))).toEqual([
      'oci-layout',
      'index.json',
      'bundle.json',
      'bundle.json.sig',
    ]);
    for (const line of lines) expect(line).toMatch(/^-rw-r--r-- 0\/0 +\d+ 2023-11-14 22:13:20 [a-z0-9./-]+$/);
  });

  it('unpacks parts that are joined', async () => {
    const folder = await memoryFolder();
    runProgram('split', ['--bytes=700000', '--numeric-suffixes', path, `${basename(path)}_part`], { cwd: folder });
    await mkdir(join(folder, 'unpacked'));
    runProgram('sh', ['-c', 'cat *_part* | tar --zstd -xf - -C unpacked'], { cwd: folder });
    expect((await digestsIn(join(folder, 'unpacked'))).size).toBe(every.contents.length + 4);
  });
});

describe('zstd', () => {
  it('tests a bundle, and counts its frames', () => {
    runProgram('zstd', ['-t', path]);
    const listed = runProgram('zstd', ['-lv', path]).toString();
    const frames = /# Zstandard Frames: (\d+)/.exec(listed)?.[1];
    const skippable = /# Skippable Frames: (\d+)/.exec(listed)?.[1];
    expect(Number(frames)).toBeGreaterThan(every.stored.length + every.compressed.length);
    expect(skippable).toBe('1');
  });

  it('decompresses it in little memory', () => {
    const archive = runProgram('zstd', ['-dc', '--memory=1MiB', path]);
    expect(createHash('sha256').update(archive).digest('hex')).toBe(
      runProgram('sh', ['-c', `zstd -dc '${path}' | sha256sum`])
        .toString()
        .slice(0, 64),
    );
  });
});

describe('skopeo', () => {
  let layout: string;
  const images = new Map<string, Descriptor>();

  beforeAll(async () => {
    const store = new MemoryStore();
    const shared = await makeLayer(store, tarOf([{ path: 'data', content: noise(300_000, 'shared') }]));
    const plain = await makeLayer(store, tarOf([{ path: 'text', content: 'edge '.repeat(100_000) }]), {
      compression: 'none',
    });
    const zstd = await makeLayer(store, tarOf([{ path: 'more', content: 'more' }]), { compression: 'zstd' });
    const amd64 = await makeImage(store, { layers: [shared, plain, zstd] });
    const arm64 = await makeImage(store, { layers: [shared], platform: { os: 'linux', architecture: 'arm64' } });
    const docker = await makeImage(store, { layers: [shared], format: 'docker' });
    images.set('docker.io/library/nginx:1.27', amd64);
    // By its name in a layout, skopeo finds what has an OCI media type only; below an index it takes Docker's too.
    images.set('localhost:5000/team/app/server:v2', await makeIndex(store, [docker]));
    images.set('registry.k8s.io/pause:3.9', await makeIndex(store, [amd64, arm64]));
    const contents: Record<string, Content> = {};
    for (const [reference, root] of images) contents[reference] = await contentOf(store, root);
    layout = await memoryFolder();
    runProgram('tar', ['--zstd', '-xf', await writeBundle(await memoryFolder(), await planBundle(contents))], {
      cwd: layout,
    });
  });

  it('reads every image of the unpacked bundle, with the digest of its source', () => {
    for (const [reference, { digest }] of images) {
      expect(sha256(runProgram('skopeo', ['inspect', '--raw', `oci:${layout}:${reference}`]))).toBe(digest);
    }
    const inspected: unknown = JSON.parse(
      runProgram('skopeo', ['inspect', `oci:${layout}:docker.io/library/nginx:1.27`]).toString(),
    );
    expect(inspected).toMatchObject({ Digest: images.get('docker.io/library/nginx:1.27')?.digest, Os: 'linux' });
  });

  it('copies an image with all its platforms, and nothing changes', async () => {
    const target = await memoryFolder();
    for (const [reference, { digest }] of images) {
      runProgram('skopeo', ['copy', '--all', '--preserve-digests', `oci:${layout}:${reference}`, `oci:${target}:copy`]);
      expect(sha256(runProgram('skopeo', ['inspect', '--raw', `oci:${target}:copy`]))).toBe(digest);
    }
    const blobs = await readdir(join(target, 'blobs', 'sha256'));
    expect(blobs.sort()).toEqual((await readdir(join(layout, 'blobs', 'sha256'))).sort());
  });
});

/** An image of `store` as test/support/graphs.ts has them. */
async function contentOf(store: MemoryStore, root: Descriptor): Promise<Content> {
  const graph = await collectGraph(store, root);
  const load = async (descriptor: Descriptor, children: readonly Content[]): Promise<Content> => {
    return { descriptor, bytes: await readContent(store, descriptor), children };
  };
  const blobs = await Promise.all(graph.blobs.map((descriptor) => load(descriptor, [])));
  const manifests = await Promise.all(graph.manifests.map(({ descriptor }) => load(descriptor, [])));
  const rootContent = manifests.at(-1);
  if (rootContent === undefined) throw new Error('there is no root');
  return { ...rootContent, children: [...blobs, ...manifests.slice(0, -1)] };
}
