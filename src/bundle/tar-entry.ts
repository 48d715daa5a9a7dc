import { Header } from 'tar/header';

/** In bytes; POSIX.1-2017, pax, "ustar Interchange Format". */
export const tarBlockBytes = 512;

/** Two blocks of zeros end an archive. */
export const tarTrailerBytes = 2 * tarBlockBytes;

/** The header of a regular file: mode 0644, owner 0:0, no names. */
export function tarHeader(path: string, size: number, mtimeSeconds: number): Buffer {
  const header = new Header({
    path,
    size,
    type: 'File',
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: '',
    gname: '',
    devmaj: 0,
    devmin: 0,
    mtime: new Date(mtimeSeconds * 1000),
  });
  const block = Buffer.alloc(tarBlockBytes);
  header.encode(block);
  return block;
}

/** A whole entry of a file that is held in memory: header, content and padding. */
export function tarEntry(path: string, content: Buffer, mtimeSeconds: number): Buffer {
  const size = content.byteLength;
  return Buffer.concat([tarHeader(path, size, mtimeSeconds), content, Buffer.alloc(tarPaddingBytes(size))]);
}

/** How many zero bytes fill the last block of a file of `size` bytes. */
export function tarPaddingBytes(size: number): number {
  return (tarBlockBytes - (size % tarBlockBytes)) % tarBlockBytes;
}

/** How many bytes header, content and padding have together. */
export function tarEntryBytes(size: number): number {
  return tarBlockBytes + size + tarPaddingBytes(size);
}
