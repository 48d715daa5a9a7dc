import type { FileHandle } from 'node:fs/promises';

/** Writes all of `bytes`: a disk that is nearly full takes a part without an error, and gives it for the rest. */
export async function writeFully(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.byteLength;) {
    at += (await handle.write(bytes, at, bytes.byteLength - at, position + at)).bytesWritten;
  }
}
