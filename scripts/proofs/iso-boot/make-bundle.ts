import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import type { BundleDocument } from '../../../src/bundle/bundle-document.ts';
import { BundleWriter } from '../../../src/bundle/bundle-writer.ts';
import { type Descriptor, describe } from '../../../src/content/descriptor.ts';
import { mediaTypes } from '../../../src/content/media-types.ts';
import { MemoryStore } from '../../../src/store/memory-store.ts';
import type { Processes } from '../../support/processes.ts';

interface Layer {
  readonly descriptor: Descriptor;
  readonly open: () => Readable;
}

const chunkBytes = 1024 * 1024;

/** Layers of random bytes, so many of so many; the same ones for the same name. */
export async function generatedLayers(name: string, count: number, sizeBytes: number): Promise<readonly Layer[]> {
  const layers: Layer[] = [];
  for (let number = 0; number < count; number += 1) {
    layers.push(await layerOf(() => Readable.from(noise(`${name} ${number}`, sizeBytes), { objectMode: false })));
  }
  return layers;
}

/** Folders of a Debian system, each as the layer that an image builder makes of it. */
export async function realLayers(
  processes: Processes,
  archive: string,
  folders: readonly string[],
  out: string,
): Promise<readonly Layer[]> {
  await mkdir(out, { recursive: true });
  const layers: Layer[] = [];
  for (const [number, folder] of folders.entries()) {
    const path = join(out, `layer-${number}.tar.gz`);
    const command =
      'd=$(mktemp -d); tar -xf "$1" -C "$d" --wildcards "$2"; tar -c -C "$d" . | gzip -1n >"$3"; rm -rf "$d"';
    await processes.run('sh', ['-c', command, '-', archive, folder, path]);
    layers.push(await layerOf(() => createReadStream(path)));
    if ((await stat(path)).size < chunkBytes) throw new Error(`${folder} is not in ${archive}`);
  }
  return layers;
}

/** A bundle with one image for each list of layers. @returns its path */
export async function makeBundle(out: string, name: string, images: readonly (readonly Layer[])[]): Promise<string> {
  const metadata = new MemoryStore();
  const heads: Descriptor[] = [];
  const keep = async (mediaType: string, value: unknown): Promise<Descriptor> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const descriptor = describe(bytes, mediaType);
    await metadata.push(descriptor, Readable.from([bytes]));
    heads.push(descriptor);
    return descriptor;
  };
  const named: BundleDocument['images'][number][] = [];
  for (const [number, layers] of images.entries()) {
    const config = await keep(mediaTypes.ociConfig, {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [] },
      number,
    });
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: layers.map(({ descriptor }) => descriptor),
    };
    const { digest, mediaType, size } = await keep(mediaTypes.ociManifest, manifest);
    named.push({ reference: `docker.io/proof/${name}-${number}:1.0`, digest, mediaType, size, sources: [] });
  }
  const stored = [...new Map(images.flat().map((layer) => [layer.descriptor.digest, layer])).values()];
  const document: BundleDocument = {
    ...{
      formatVersion: 1,
      name,
      platforms: ['linux/amd64'],
      sourceDateEpoch: 1_700_000_000,
      profiles: [],
      images: named,
      charts: [],
    },
    blobs: [
      ...heads.map(({ digest, size }) => ({ digest, size, storage: 'zstd' }) as const),
      ...stored.map(({ descriptor: { digest, size } }) => ({ digest, size, storage: 'stored' }) as const),
    ],
  };
  const writer = await BundleWriter.open({ out, document, metadata });
  try {
    for (const { descriptor, open } of stored)
      if (!(await writer.exists(descriptor))) await writer.push(descriptor, open());
    return (await writer.commit()).path;
  } finally {
    await writer.close();
  }
}

async function layerOf(open: () => Readable): Promise<Layer> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of open() as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.byteLength;
  }
  return { descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: `sha256:${hash.digest('hex')}`, size }, open };
}

function* noise(seed: string, sizeBytes: number): Generator<Buffer> {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(chunkBytes);
  for (let at = 0; at < sizeBytes; at += chunkBytes)
    yield cipher.update(zeros.subarray(0, Math.min(chunkBytes, sizeBytes - at)));
}
