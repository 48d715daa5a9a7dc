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
  const entries = sorted.flatMap(([path, content]) => [tarHeader(path, content.byteLength), content, padding(content)]);
  return gzipStored(Buffer.concat([...entries, Buffer.alloc(2 * blockBytes)]));
}

function tarHeader(path: string, size: number): Buffer {
  const header = new Header({ path, size, type: 'File', mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) });
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
