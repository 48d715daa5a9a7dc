/**
 * What a bundle has to contain, made from docs/bundle-format.md and without the code under test: the archive, and how it
 * is cut into frames.
 */
import { createHash } from 'node:crypto';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import type { Content } from './graphs.ts';

const blockBytes = 128 * 1024;
const compressedCut = 1024 * 1024;
const storedCut = 512 * 1024 * 1024;
const packedBytes = 256 * 1024;

export interface ArchiveFile {
  readonly path: string;
  readonly content: Buffer;
}

export interface ExpectedFrame {
  readonly kind: 'zstd' | 'stored';
  readonly content: Buffer;
}

/** The files of a bundle with `contents` in the order of the document; `signatures` are lines without their ends. */
export function archiveFiles(
  document: BundleDocument,
  contents: readonly Content[],
  signatures: readonly string[] = [],
): ArchiveFile[] {
  const text = JSON.stringify(document);
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [...document.images, ...document.charts, ...(document.attachments ?? []), ...(document.files ?? [])].map(
      ({ mediaType, digest, size, reference }) => {
        return { mediaType, digest, size, annotations: { 'org.opencontainers.image.ref.name': reference } };
      },
    ),
  };
  return [
    { path: 'oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { path: 'index.json', content: Buffer.from(JSON.stringify(index)) },
    { path: 'bundle.json', content: Buffer.from(text) },
    { path: 'bundle.json.sig', content: signatureFile(text, signatures) },
    ...contents.map(({ descriptor, bytes }) => {
      return { path: `blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`, content: bytes };
    }),
  ];
}

/** `bundle.json.sig` of a bundle with this bundle.json. */
export function signatureFile(bundleJson: string | Buffer, signatures: readonly string[] = []): Buffer {
  const hex = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');
  const lines = ['edge-bundle signatures 1', `bundle sha256:${hex(bundleJson)}`, ...signatures];
  const covered = lines.map((line) => `${line}\n`).join('');
  const content = Buffer.alloc(15_872, '\n');
  content.write(`${covered}end sha256:${hex(covered)}`, 'latin1');
  return content;
}

/** A whole archive, with the end that GNU tar wants. */
export function tarArchive(files: readonly ArchiveFile[], epoch: number): Buffer {
  return Buffer.concat([...files.map((file) => tarFile(file, epoch)), Buffer.alloc(1024)]);
}

export function tarFile({ path, content }: ArchiveFile, epoch: number): Buffer {
  return Buffer.concat([
    ustarHeader(path, content.byteLength, epoch),
    content,
    Buffer.alloc(-content.byteLength & 511),
  ]);
}

/** The 512 bytes of POSIX.1-2017, pax, "ustar Interchange Format", as docs/bundle-format.md fills them. */
export function ustarHeader(path: string, size: number, epoch: number): Buffer {
  const header = Buffer.alloc(512);
  const field = (offset: number, text: string): number => header.write(text, offset, 'latin1');
  field(0, path);
  field(100, '000644 \0');
  field(108, '000000 \0');
  field(116, '000000 \0');
  field(124, octal(size));
  field(136, octal(epoch));
  field(148, ' '.repeat(8));
  field(156, '0');
  field(257, 'ustar\x0000');
  field(329, '000000 \0');
  field(337, '000000 \0');
  const sum = header.reduce((total, byte) => total + byte, 0);
  field(148, `${sum.toString(8).padStart(6, '0')} \0`);
  return header;
}

/** The frames of a bundle with these files, before the seek table. */
export function expectedFrames(document: BundleDocument, files: readonly ArchiveFile[]): ExpectedFrame[] {
  const entries = files.map((file) => tarFile(file, document.sourceDateEpoch));
  const frames = [...cut('zstd', Buffer.concat(entries.slice(0, 3)), compressedCut)];
  frames.push({ kind: 'stored', content: entries[3] ?? Buffer.alloc(0) });
  let packed: Buffer[] = [];
  const endPacked = (): void => {
    frames.push(...cut('zstd', Buffer.concat(packed), compressedCut));
    packed = [];
  };
  document.blobs.forEach(({ size, storage }, number) => {
    const entry = entries[number + 4] ?? Buffer.alloc(0);
    if (storage === 'zstd' && size <= packedBytes) {
      packed.push(entry);
      return;
    }
    endPacked();
    frames.push(...cut(storage, entry, storage === 'stored' ? storedCut : compressedCut));
  });
  endPacked();
  return [...frames, { kind: 'zstd', content: Buffer.alloc(1024) }];
}

/** A zstd frame of raw blocks (RFC 8878, sections 3.1.1.1 and 3.1.1.2). */
export function rawFrame(content: Buffer): Buffer {
  const pieces = [Buffer.from('28b52ffd8038', 'hex'), u32(content.byteLength)];
  for (let at = 0; at < content.byteLength; at += blockBytes) {
    const block = content.subarray(at, at + blockBytes);
    const isLast = at + blockBytes >= content.byteLength;
    pieces.push(u32(block.byteLength * 8 + (isLast ? 1 : 0)).subarray(0, 3), block);
  }
  return Buffer.concat(pieces);
}

/** The seek table of zstd's contrib/seekable_format, without checksums. */
export function seekTable(frames: readonly (readonly [compressed: number, content: number])[]): Buffer {
  return Buffer.concat([
    Buffer.from('5e2a4d18', 'hex'),
    u32(frames.length * 8 + 9),
    ...frames.flatMap(([compressed, content]) => [u32(compressed), u32(content)]),
    u32(frames.length),
    Buffer.from('00b1ea928f', 'hex'),
  ]);
}

/** The frames of a bundle's file by its seek table: position, bytes in the file, bytes of content. */
export function framesOf(file: Buffer): { start: number; compressed: number; content: number }[] {
  const count = file.readUInt32LE(file.byteLength - 9);
  const table = file.byteLength - 9 - count * 8;
  let start = 0;
  return Array.from({ length: count }, (_, number) => {
    const compressed = file.readUInt32LE(table + number * 8);
    start += compressed;
    return { start: start - compressed, compressed, content: file.readUInt32LE(table + number * 8 + 4) };
  });
}

function cut(kind: ExpectedFrame['kind'], content: Buffer, bytes: number): ExpectedFrame[] {
  const frames: ExpectedFrame[] = [];
  for (let at = 0; at < content.byteLength; at += bytes)
    frames.push({ kind, content: content.subarray(at, at + bytes) });
  return frames;
}

function octal(value: number): string {
  const digits = value.toString(8);
  if (digits.length > 11) throw new Error(`${value} does not fit into 11 octal digits`);
  return digits.length === 11 ? `${digits}\0` : `${digits.padStart(10, '0')} \0`;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
