import { open } from 'node:fs/promises';
import { join } from 'node:path';

import { type BundleDocument, encodeBundleDocument } from '../../src/bundle/bundle-document.ts';
import {
  type BundleLayout,
  compressedFrameContentBytes,
  type FrameRun,
  planLayout,
  storedFrameContentBytes,
} from '../../src/bundle/bundle-layout.ts';
import { encodeSeekTable, type FrameSizes } from '../../src/bundle/seek-table.ts';
import { encodeSignatureFile } from '../../src/bundle/signature-file.ts';
import { storedFrameBytes } from '../../src/bundle/stored-frame.ts';
import { frameChunk } from '../../src/bundle/stored-run.ts';
import { tarEntry, tarHeader, tarPaddingBytes, tarTrailerBytes } from '../../src/bundle/tar-entry.ts';
import { compressFrame } from '../../src/bundle/zstd-codec.ts';
import { type Descriptor, describe } from '../../src/content/descriptor.ts';
import { type Digest, digestOf } from '../../src/content/digest.ts';
import { mediaTypes } from '../../src/content/media-types.ts';

const images = 250;
const layersPerImage = 4;
/** 250 × 4 × 20 MB. */
const layerBytes = 20_000_000;

/** Writes a bundle of 20 GB whose layers are holes in the file: all that `inspect` reads is there. */
export async function writeSparseBundle(folder: string): Promise<string> {
  const { document, contents } = planDocument();
  const layout = planLayout(document, encodeBundleDocument(document));
  const path = join(folder, 'sparse.tar.zst');
  const file = await open(path, 'w');
  try {
    const frames: FrameSizes[] = [];
    let position = 0;
    for (const run of layout.runs) {
      for (const { bytes, ...sizes } of framesOf(run, layout, contents)) {
        if (bytes !== undefined) await file.write(bytes, 0, bytes.byteLength, position);
        position += sizes.compressed;
        frames.push(sizes);
      }
    }
    await file.write(encodeSeekTable(frames), 0, undefined, position);
  } finally {
    await file.close();
  }
  return path;
}

function planDocument(): { document: BundleDocument; contents: ReadonlyMap<Digest, Buffer> } {
  const contents = new Map<Digest, Buffer>();
  const add = (value: unknown, mediaType: string): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value));
    const descriptor = describe(bytes, mediaType);
    contents.set(descriptor.digest, bytes);
    return descriptor;
  };
  const layers: Descriptor[] = [];
  const references = Array.from({ length: images }, (_, image) => {
    const own = Array.from({ length: layersPerImage }, (_, layer) => ({
      mediaType: mediaTypes.ociLayerGzip,
      digest: digestOf(`layer ${layer} of image ${image}`),
      size: layerBytes,
    }));
    layers.push(...own);
    const config = add({ architecture: 'amd64', os: 'linux', image }, mediaTypes.ociConfig);
    const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: own };
    return { reference: `registry.example/app-${image}:1`, ...add(manifest, mediaTypes.ociManifest), sources: [] };
  });
  const document: BundleDocument = {
    formatVersion: 1,
    name: 'sparse',
    sourceDateEpoch: 0,
    platforms: [],
    profiles: [],
    images: references,
    charts: [],
    blobs: [
      ...[...contents].map(([digest, { byteLength }]) => ({ digest, size: byteLength, storage: 'zstd' as const })),
      ...layers.map(({ digest, size }) => ({ digest, size, storage: 'stored' as const })),
    ],
  };
  return { document, contents };
}

interface Frame extends FrameSizes {
  /** Undefined for a hole. */
  readonly bytes?: Buffer;
}

function framesOf(run: FrameRun, layout: BundleLayout, contents: ReadonlyMap<Digest, Buffer>): readonly Frame[] {
  if (layout.entries[run.firstEntry] === layout.signatures) {
    const { path } = layout.signatures;
    const none = encodeSignatureFile(digestOf(layout.documentBytes), []);
    const entry = tarEntry(path, none, layout.document.sourceDateEpoch);
    const bytes = Buffer.concat(frameChunk({ start: 0, contentBytes: entry.byteLength }, 0, entry));
    return [{ compressed: bytes.byteLength, content: entry.byteLength, bytes }];
  }
  if (run.kind === 'stored') {
    return cut(run.contentBytes, storedFrameContentBytes).map(([start, end]) => {
      return { compressed: storedFrameBytes(end - start), content: end - start };
    });
  }
  const archive = run.firstEntry === run.endEntry ? Buffer.alloc(tarTrailerBytes) : tarOf(run, layout, contents);
  return cut(archive.byteLength, compressedFrameContentBytes).map(([start, end]) => {
    const bytes = compressFrame(archive.subarray(start, end));
    return { compressed: bytes.byteLength, content: end - start, bytes };
  });
}

function tarOf(run: FrameRun, layout: BundleLayout, contents: ReadonlyMap<Digest, Buffer>): Buffer {
  const head = new Map(layout.head.map(({ path, bytes }) => [path, bytes]));
  return Buffer.concat(
    layout.entries.slice(run.firstEntry, run.endEntry).flatMap(({ path, size, digest }) => {
      const content = digest === undefined ? head.get(path) : contents.get(digest);
      if (content === undefined) throw new Error(`${path} has no content`);
      return [tarHeader(path, size, layout.document.sourceDateEpoch), content, Buffer.alloc(tarPaddingBytes(size))];
    }),
  );
}

function cut(bytes: number, most: number): readonly (readonly [start: number, end: number])[] {
  return Array.from({ length: Math.ceil(bytes / most) }, (_, index) => {
    return [index * most, Math.min(bytes, (index + 1) * most)] as const;
  });
}
