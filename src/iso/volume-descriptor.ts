import type { FileHandle } from 'node:fs/promises';

/** ECMA-119, section 6.1.2. */
export const isoBlockBytes = 2048;
/** ECMA-119, section 6.2.1: what is before it is the system's. */
const descriptorOffset = 16 * isoBlockBytes;

/** What has to be there before the descriptor can be read, in bytes. */
export const descriptorEnd = descriptorOffset + isoBlockBytes;

/** How many blocks the volume has (ECMA-119, section 8.4.8); undefined where there is no volume descriptor (section 8.1). */
export async function readVolumeBlocks(handle: FileHandle): Promise<number | undefined> {
  const sector = Buffer.alloc(isoBlockBytes);
  await handle.read(sector, 0, sector.byteLength, descriptorOffset);
  return sector.toString('latin1', 1, 6) === 'CD001' ? sector.readUInt32LE(80) : undefined;
}
