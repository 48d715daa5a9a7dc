/**
 * Zstandard frames whose blocks are raw: what is in them is stored as it is, at offsets that follow from the size alone
 * (RFC 8878, sections 3.1.1 "Zstandard Frames" and 3.1.1.2.2 "Raw_Block").
 *
 * The window is 128 KiB, as large as a block: a decoder needs no more memory than that, whatever the frame's size.
 */

/** The most that a block holds, in bytes (RFC 8878, section 3.1.1.2.4). */
export const storedBlockBytes = 128 * 1024;

export const storedFrameHeaderBytes = 10;
export const storedBlockHeaderBytes = 3;

/** The first bytes of a frame (RFC 8878, section 3.1.1). */
export const frameMagic: Buffer = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Frame_Content_Size has 4 bytes, no single segment, no checksum, no dictionary. */
const frameHeaderDescriptor = 0b1000_0000;
/** Exponent 7, mantissa 0: 2^(10+7) bytes. */
const windowDescriptor = 7 << 3;

/** The size of a stored frame with `contentBytes` (at least 1) in it. */
export function storedFrameBytes(contentBytes: number): number {
  return storedFrameHeaderBytes + contentBytes + storedBlockHeaderBytes * Math.ceil(contentBytes / storedBlockBytes);
}

/**
 * Where the byte at `offset` of the content stands in the frame. At the start of the frame or of a block, it is where
 * the header before that byte stands: a writer begins there, with the header.
 */
export function storedFrameOffset(offset: number): number {
  if (offset === 0) return 0;
  return storedFrameHeaderBytes + offset + storedBlockHeaderBytes * Math.ceil(offset / storedBlockBytes);
}

export function storedFrameHeader(contentBytes: number): Buffer {
  const header = Buffer.alloc(storedFrameHeaderBytes);
  frameMagic.copy(header);
  header[4] = frameHeaderDescriptor;
  header[5] = windowDescriptor;
  header.writeUInt32LE(contentBytes, 6);
  return header;
}

/** The header of the block that starts at `offset` of a frame of `contentBytes`. */
export function storedBlockHeader(contentBytes: number, offset: number): Buffer {
  const size = Math.min(storedBlockBytes, contentBytes - offset);
  const isLast = offset + size === contentBytes;
  const header = Buffer.alloc(storedBlockHeaderBytes);
  header.writeUIntLE((size << 3) | (isLast ? 1 : 0), 0, storedBlockHeaderBytes);
  return header;
}
