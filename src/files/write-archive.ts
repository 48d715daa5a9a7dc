import { crc32 } from 'node:zlib';

import { Header } from 'tar/header';
import { Pax } from 'tar/pax';

const blockBytes = 512;
const maxStoredBytes = 65_535;

/**
 * A `.tar.gz` of `files` (path → content). The same files give the same bytes, whatever machine and version of Node.js:
 * sorted, mode 0644, no times and owners, and stored instead of compressed, because compressors differ.
 */
export function writeArchive(files: ReadonlyMap<string, Buffer>): Buffer {
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  return gzipStored(writeTar(sorted.map(([path, content]) => ({ path, content, mode: 0o644, modifiedS: 0 }))));
}

export interface TarEntry {
  readonly path: string;
  /** Undefined: a folder. */
  readonly content: Buffer | undefined;
  readonly mode: number;
  /** In seconds since 1970. */
  readonly modifiedS: number;
}

/** A tar archive (POSIX.1-2017, pax) of `entries`, in their order, without owners. */
export function writeTar(entries: Iterable<TarEntry>): Buffer {
  const blocks = [...entries].flatMap((entry) => {
    const { content = Buffer.alloc(0) } = entry;
    return [tarHeader(entry), content, padding(content)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

function tarHeader({ path, content, mode, modifiedS }: TarEntry): Buffer {
  const type = content === undefined ? 'Directory' : 'File';
  const size = content?.byteLength ?? 0;
  const header = new Header({ path, size, type, mode, uid: 0, gid: 0, mtime: new Date(modifiedS * 1000) });
  const block = Buffer.alloc(blockBytes);
  const needsExtension = header.encode(block);
  return needsExtension ? Buffer.concat([new Pax({ path }).encode(), block]) : block;
}

function padding(content: Buffer): Buffer {
  return Buffer.alloc((blockBytes - (content.byteLength % blockBytes)) % blockBytes);
}

/** RFC 1952 (gzip: no time, no name, unknown system) around stored blocks of RFC 1951, section 3.2.4. */
function gzipStored(bytes: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])];
  for (let offset = 0; offset < bytes.byteLength; offset += maxStoredBytes) {
    const stored = bytes.subarray(offset, offset + maxStoredBytes);
    const head = Buffer.alloc(5);
    head.writeUInt8(offset + maxStoredBytes >= bytes.byteLength ? 1 : 0);
    head.writeUInt16LE(stored.byteLength, 1);
    head.writeUInt16LE(~stored.byteLength & 0xffff, 3);
    parts.push(head, stored);
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes));
  trailer.writeUInt32LE(bytes.byteLength % 2 ** 32, 4);
  return Buffer.concat([...parts, trailer]);
}
