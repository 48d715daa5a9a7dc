import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { expect } from 'vitest';

import type { BundleBlob, BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleWriter, type BundleWriterOptions } from '../../src/bundle/bundle-writer.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, type Content, contentsOf, image, index, noise, sha256 } from './graphs.ts';

/** A bundle that can be written: its document, and the content in the document's order. */
export interface PlannedBundle {
  readonly document: BundleDocument;
  readonly contents: readonly Content[];
  /** Has manifests and small blobs. */
  readonly metadata: MemoryStore;
  /** What is pushed: these in any order. */
  readonly stored: readonly Content[];
  /** And these one after the other. */
  readonly compressed: readonly Content[];
}

export interface PlanOptions {
  readonly name?: string;
  readonly sourceDateEpoch?: number;
}

/** Layers that are compressed already are stored; up to this size, the rest is metadata. */
const smallBytes = 256 * 1024;

export async function planBundle(
  images: Readonly<Record<string, Content>>,
  options: PlanOptions = {},
): Promise<PlannedBundle> {
  const { name = 'sample', sourceDateEpoch = 0 } = options;
  const all = contentsOf(...Object.values(images));
  const isStored = ({ descriptor }: Content): boolean => /\+(gzip|zstd)$/.test(descriptor.mediaType);
  const isManifest = ({ descriptor }: Content): boolean => /manifest|index/.test(descriptor.mediaType);
  const isHead = (content: Content): boolean =>
    isManifest(content) || (!isStored(content) && content.descriptor.size <= smallBytes);
  const head = all.filter(isHead);
  const stored = all.filter(isStored);
  const compressed = all.filter((content) => !isHead(content) && !isStored(content));
  const metadata = new MemoryStore();
  for (const { descriptor, bytes } of head) await metadata.push(descriptor, Readable.from([bytes]));
  const listed = (contents: readonly Content[], storage: BundleBlob['storage']): BundleBlob[] =>
    contents.map(({ descriptor: { digest, size } }) => ({ digest, size, storage }));
  const document: BundleDocument = {
    formatVersion: 1,
    name,
    platforms: [],
    sourceDateEpoch,
    profiles: [],
    images: Object.entries(images).map(
      ([
        reference,
        {
          descriptor: { digest, mediaType, size },
        },
      ]) => {
        return { reference, digest, mediaType, size, sources: [] };
      },
    ),
    charts: [],
    blobs: [...listed(head, 'zstd'), ...listed(stored, 'stored'), ...listed(compressed, 'zstd')],
  };
  return { document, contents: [...head, ...stored, ...compressed], metadata, stored, compressed };
}

/** One blob of each kind, around the sizes at which blocks and frames end: two images and an index of both. */
export async function everyKind(options: PlanOptions = {}): Promise<PlannedBundle> {
  const [block, frame] = [128 * 1024, 1024 * 1024];
  const storedSizes = [0, 1, 511, 512, block - 513, block - 512, block - 511, block, 3 * block + 7, frame + 1];
  const stored = storedSizes.map((size) => blob(noise(size, `stored ${size}`), mediaTypes.ociLayerGzip));
  const compressed = [
    blob(text(smallBytes + 1), mediaTypes.ociLayer),
    blob(text(frame - 512), mediaTypes.ociLayer),
    blob(text(2 * frame + 12345), mediaTypes.ociLayer),
    blob(noise(frame + 100_000, 'cannot be compressed'), mediaTypes.ociLayer),
  ];
  const packed = [1, 2, 3, 4, 5].map((number) => blob(noise(smallBytes, `packed ${number}`), mediaTypes.ociLayer));
  // Its manifest is too large to share frames.
  const large = image([...stored, ...packed], { annotations: { 'org.example.note': text(smallBytes).toString() } });
  const other = image([...compressed, ...stored.slice(0, 3), blob('small', mediaTypes.ociLayer)]);
  return planBundle(
    {
      'docker.io/library/large:1': large,
      'registry.example.com:5000/team/other:2': other,
      'docker.io/library/both:latest': index([large, other]),
    },
    options,
  );
}

/** The same kinds in little space, for tests that read the whole bundle very often. */
export async function smallBundle(options: PlanOptions = {}): Promise<PlannedBundle> {
  const layers = [
    blob(noise(1000, 'small stored'), mediaTypes.ociLayerGzip),
    blob(noise(140_000, 'two blocks'), mediaTypes.ociLayerZstd),
    blob(text(smallBytes + 5), mediaTypes.ociLayer),
    blob(text(smallBytes + 1000), mediaTypes.ociLayer),
  ];
  return planBundle({ 'docker.io/library/app:1.0': image(layers) }, options);
}

/** Writes the bundle, or what it lacks. @returns where it is */
export async function writeBundle(out: string, planned: PlannedBundle): Promise<string> {
  return withWriter(out, planned, async (writer) => {
    await pushMissing(writer, planned);
    return (await writer.commit()).path;
  });
}

/** The same. @returns the file's bytes */
export async function finishBundle(out: string, planned: PlannedBundle): Promise<Buffer> {
  return readFile(await writeBundle(out, planned));
}

/** Opens a writer, does something with it, and closes it. */
export async function withWriter<T>(
  out: string,
  planned: PlannedBundle,
  task: (writer: BundleWriter) => Promise<T>,
): Promise<T> {
  const writer = await BundleWriter.open(writerOptions(out, planned));
  try {
    return await task(writer);
  } finally {
    await writer.close();
  }
}

export function writerOptions(out: string, { document, metadata }: PlannedBundle): BundleWriterOptions {
  return { out, document, metadata };
}

/** Pushes all that the writer does not have yet, from where an interrupted push ended. */
export async function pushMissing(writer: BundleWriter, planned: PlannedBundle, chunkBytes = 65_536): Promise<void> {
  for (const content of [...planned.stored, ...planned.compressed]) await pushRest(writer, content, chunkBytes);
}

/** @returns the offset from which it went on; undefined where it was there already */
export async function pushRest(
  writer: BundleWriter,
  { descriptor, bytes }: Content,
  chunkBytes = 65_536,
): Promise<number | undefined> {
  if (await writer.exists(descriptor)) return undefined;
  const offset = await writer.resumeOffset(descriptor);
  await writer.push(descriptor, streamOf(bytes.subarray(offset), chunkBytes), { offset });
  return offset;
}

/** `bytes` in chunks; with `failAt`, it fails when so many bytes have been read. */
export function streamOf(bytes: Buffer, chunkBytes = 65_536, failAt?: number): Readable {
  const end = failAt ?? bytes.byteLength;
  return Readable.from(
    (function* () {
      for (let at = 0; at < end; at += chunkBytes) yield bytes.subarray(at, Math.min(end, at + chunkBytes));
      if (failAt !== undefined) throw new Error('the line is cut');
    })(),
    { objectMode: false },
  );
}

/** Text that compresses well, and differs for each size. */
export function text(sizeBytes: number): Buffer {
  const lines: string[] = [];
  for (let at = 0, number = 0; at < sizeBytes; number += 1) {
    const line = `line ${number} of ${sizeBytes} bytes, on the edge\n`;
    lines.push(line);
    at += line.length;
  }
  return Buffer.from(lines.join('')).subarray(0, sizeBytes);
}

/** The content of `planned` that has so many bytes. */
export function ofSize({ contents }: PlannedBundle, sizeBytes: number): Content {
  const found = contents.find(({ descriptor }) => descriptor.size === sizeBytes);
  if (found === undefined) throw new Error(`no content has ${sizeBytes} bytes`);
  return found;
}

/** Large buffers are compared by their digests: a difference is not printed. */
export function expectSame(actual: Buffer, expected: Buffer): void {
  expect(sha256(actual)).toBe(sha256(expected));
}
