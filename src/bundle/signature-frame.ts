import { EdgeBundleError } from '../errors.ts';
import type { PartFiles } from './part-files.ts';
import type { FrameSizes } from './seek-table.ts';
import { signatureFileBytes } from './signature-file.ts';
import { storedBlockHeaderBytes, storedFrameBytes, storedFrameHeaderBytes } from './stored-frame.ts';
import { readStoredRun } from './stored-run.ts';
import { tarBlockBytes, tarEntryBytes } from './tar-entry.ts';

/** The frame that has nothing but the entry of `bundle.json.sig`: where it is in the file, as the seek table has it. */
export interface SignatureFrame {
  readonly number: number;
  readonly position: number;
  readonly sizes: FrameSizes | undefined;
}

/** The entry, header and content. @throws EdgeBundleError BUNDLE_INVALID where the frame is another one, FILE_FAILED */
export async function readSignatureEntry(
  files: PartFiles,
  { number, position: start, sizes }: SignatureFrame,
): Promise<{ readonly header: Buffer; readonly content: Buffer }> {
  const contentBytes = tarEntryBytes(signatureFileBytes);
  if (sizes?.content !== contentBytes || sizes.compressed !== storedFrameBytes(contentBytes)) {
    throw new EdgeBundleError('BUNDLE_INVALID', `frame ${number} has another size than the one with the signatures`, {
      hint: 'The file was damaged or changed after the build; copy it again.',
    });
  }
  const chunks: Buffer[] = [];
  const read = (position: number, length: number): Promise<Buffer> => files.read(position, length);
  for await (const chunk of readStoredRun(read, { start, contentBytes }, 0, contentBytes)) chunks.push(chunk);
  const entry = Buffer.concat(chunks);
  return { header: entry.subarray(0, tarBlockBytes), content: entry.subarray(tarBlockBytes) };
}

/** Where in the file the content of `bundle.json.sig` begins: what signing overwrites. */
export function signatureContentPosition({ position }: SignatureFrame): number {
  return position + storedFrameHeaderBytes + storedBlockHeaderBytes + tarBlockBytes;
}
