import { EdgeBundleError } from '../errors.ts';

/**
 * The seek table of the zstd seekable format, version 0.1.0 (zstd, contrib/seekable_format): a skippable frame at the end
 * of the file with the sizes of all frames before it. Written without checksums: every byte of content has a SHA-256.
 */

/** Sizes in bytes. */
export interface FrameSizes {
  readonly compressed: number;
  readonly content: number;
}

const tableMagic = 0x184d2a5e;
const footerMagic = 0x8f92eab1;
const checksumFlag = 0b1000_0000;
const reservedBits = 0b0111_1100;
const skippableHeaderBytes = 8;
const entryBytes = 8;
const checksumBytes = 4;
export const seekTableFooterBytes = 9;

/** More frames than any bundle has, and few enough to be read into memory: 32 MiB of table. */
export const maxFrames = 4 * 1024 * 1024;

export function seekTableBytes(frameCount: number): number {
  return skippableHeaderBytes + frameCount * entryBytes + seekTableFooterBytes;
}

export function encodeSeekTable(frames: readonly FrameSizes[]): Buffer {
  const table = Buffer.alloc(seekTableBytes(frames.length));
  table.writeUInt32LE(tableMagic, 0);
  table.writeUInt32LE(table.byteLength - skippableHeaderBytes, 4);
  frames.forEach(({ compressed, content }, index) => {
    table.writeUInt32LE(compressed, skippableHeaderBytes + index * entryBytes);
    table.writeUInt32LE(content, skippableHeaderBytes + index * entryBytes + 4);
  });
  const footer = table.byteLength - seekTableFooterBytes;
  table.writeUInt32LE(frames.length, footer);
  table.writeUInt32LE(footerMagic, footer + 5);
  return table;
}

/**
 * The size of the whole table, from the last `seekTableFooterBytes` bytes of a file.
 *
 * @returns undefined where the file does not end with a seek table
 * @throws EdgeBundleError BUNDLE_INVALID where it does, and its footer cannot be true
 */
export function seekTableSize(footer: Buffer): number | undefined {
  if (footer.byteLength !== seekTableFooterBytes || footer.readUInt32LE(5) !== footerMagic) return undefined;
  const frameCount = footer.readUInt32LE(0);
  const descriptor = footer.readUInt8(4);
  if ((descriptor & reservedBits) !== 0) throw invalid('reserved bits are set in its descriptor');
  if (frameCount > maxFrames) throw invalid(`it claims ${frameCount} frames; at most ${maxFrames} are read`);
  return skippableHeaderBytes + frameCount * bytesPerEntry(descriptor) + seekTableFooterBytes;
}

/** Reads a whole table. @throws EdgeBundleError BUNDLE_INVALID */
export function decodeSeekTable(table: Buffer): FrameSizes[] {
  const footer = table.subarray(-seekTableFooterBytes);
  if (seekTableSize(footer) !== table.byteLength) throw invalid('its footer and its size disagree');
  if (table.readUInt32LE(0) !== tableMagic) throw invalid('its frame has another magic number');
  if (table.readUInt32LE(4) !== table.byteLength - skippableHeaderBytes) throw invalid('its frame has another size');
  const stride = bytesPerEntry(footer.readUInt8(4));
  const frames: FrameSizes[] = [];
  for (let at = skippableHeaderBytes; at < table.byteLength - seekTableFooterBytes; at += stride) {
    frames.push({ compressed: table.readUInt32LE(at), content: table.readUInt32LE(at + 4) });
  }
  return frames;
}

function bytesPerEntry(descriptor: number): number {
  return (descriptor & checksumFlag) === 0 ? entryBytes : entryBytes + checksumBytes;
}

function invalid(reason: string): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `the bundle's seek table is malformed: ${reason}`);
}
