import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { beforeAll, describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { collectGraph } from '../../src/content/graph.ts';
import { readContent } from '../../src/content/verify.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { sha256 } from '../support/graphs.ts';
import { makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);

describe('an image layout and other tools', () => {
  let folder: string;
  let store: LayoutStore;
  let single: Descriptor;
  let multi: Descriptor;

  beforeAll(async () => {
    folder = await temporaryFolder();
    store = await LayoutStore.open(folder);
    const layers = [
      await makeLayer(store, tarOf([{ path: 'etc/hello', content: 'hello from a layer' }])),
      await makeLayer(store, tarOf([{ path: 'etc/plain', content: 'not compressed' }]), { compression: 'none' }),
    ];
    single = await makeImage(store, { layers });
    const arm64 = await makeImage(store, { layers, platform: { os: 'linux', architecture: 'arm64' } });
    multi = await makeIndex(store, [single, arm64]);
    await store.tag(single, 'single');
    await store.tag(multi, 'multi');
  });

  it('skopeo reads the images of a layout that was written here', async () => {
    for (const [name, { digest }] of [
      ['single', single],
      ['multi', multi],
    ] as const) {
      const { stdout } = await run('skopeo', ['inspect', '--raw', `oci:${folder}:${name}`]);
      expect(sha256(stdout)).toBe(digest);
    }
    const { stdout } = await run('skopeo', ['inspect', `oci:${folder}:single`]);
    expect(JSON.parse(stdout)).toMatchObject({ Digest: single.digest, Architecture: 'amd64', Os: 'linux' });
  });

  it('umoci unpacks an image of a layout that was written here', async () => {
    const bundle = join(await temporaryFolder(), 'unpacked');
    await run('umoci', ['unpack', '--rootless', '--image', `${folder}:single`, bundle]);
    expect(await readFile(join(bundle, 'rootfs/etc/hello'), 'utf8')).toBe('hello from a layer');
    expect(await readFile(join(bundle, 'rootfs/etc/plain'), 'utf8')).toBe('not compressed');
  });

  it('a layout that skopeo wrote is read here, and written on', async () => {
    const theirs = join(await temporaryFolder(), 'theirs');
    await run('skopeo', ['copy', '--all', '--preserve-digests', `oci:${folder}:multi`, `oci:${theirs}:copied`]);
    const opened = await LayoutStore.open(theirs);
    expect(await opened.tags()).toEqual(['copied']);
    const root = await opened.resolve('copied');
    expect(root).toMatchObject({ digest: multi.digest, mediaType: multi.mediaType, size: multi.size });
    const graph = await collectGraph(opened, root);
    expect(graph.manifests).toHaveLength(3);
    for (const blob of graph.blobs) expect(sha256(await readContent(opened, blob))).toBe(blob.digest);

    await opened.tag(single, 'single');
    const { stdout } = await run('skopeo', ['inspect', '--raw', `oci:${theirs}:single`]);
    expect(sha256(stdout)).toBe(single.digest);
    await run('skopeo', ['copy', `oci:${folder}:single`, `oci:${theirs}:by-skopeo`]);
    expect(await opened.tags()).toEqual(['by-skopeo', 'copied', 'single']);
  });
});
