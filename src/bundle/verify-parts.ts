import { createHash } from 'node:crypto';
import { basename } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { combineFailures, EdgeBundleError, type ErrorCode, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { BundleReader } from './bundle-reader.ts';
import type { FrameMark } from './frame-reader.ts';
import { PartFiles } from './part-files.ts';
import type { BundleTrust } from './read-head.ts';

export interface VerifyPartsOptions extends OperationOptions {
  /** What the bundle has to satisfy before anything in it is used, also to tell what is wrong with its parts. */
  readonly trust?: BundleTrust | undefined;
  /** Called as bytes have been hashed. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface PartsVerification {
  /** 1 where the bundle is one file. */
  readonly parts: number;
  /** Of all parts. */
  readonly bytes: number;
  /** Whether every byte was compared with checksums. Where not, only the digests of the content in them protect parts. */
  readonly hasChecksums: boolean;
}

const chunkBytes = 4 * 1024 * 1024;

/** How many marks of a part are looked at: one that differs by chance does not make it another bundle's. */
const marksPerPart = 200;

/**
 * Whether a bundle is whole and its parts belong together, before anything in it is used. With the list of parts beside them,
 * every byte is compared with its checksums. Without it, as `split` leaves parts, no more is told than what the bundle's
 * structure tells: a part that is missing, cut short, too many or of another bundle.
 *
 * @param path as for `BundleReader.open`
 * @throws EdgeBundleError naming every part with something wrong: BUNDLE_PART_MISSING, BUNDLE_INVALID, or NOT_VERIFIED for
 *   several; FILE_FAILED, also for each part that the disk does not give; ABORTED
 */
export async function verifyParts(path: string, options: VerifyPartsOptions = {}): Promise<PartsVerification> {
  const files = await PartFiles.open(path);
  try {
    return await verifyOpenParts(files, options);
  } finally {
    await files.close();
  }
}

/** The same for files that are open, and stay so. */
export async function verifyOpenParts(files: PartFiles, options: VerifyPartsOptions = {}): Promise<PartsVerification> {
  const { suspects, unread } =
    files.list === undefined ? { suspects: files.parts, unread: [] } : await damagedParts(files, options);
  if (suspects.length + unread.length > 0) {
    const failures = [...unread, ...(await failuresOf(files, suspects, options))];
    const [first, ...others] = failures;
    if (others.length > 0)
      throw combineFailures('NOT_VERIFIED', `${failures.length} parts are not as they were made`, failures);
    if (first !== undefined) throw first;
  }
  return { parts: files.parts.length, bytes: files.size, hasChecksums: files.list !== undefined };
}

type Part = PartFiles['parts'][number];

const unreadable: readonly ErrorCode[] = [
  'BUNDLE_INVALID',
  'BUNDLE_PART_MISSING',
  'UNSUPPORTED',
  'SIGNATURE_MISSING',
  'SIGNATURE_INVALID',
  'BUNDLE_OUTDATED',
];

interface DamagedParts {
  readonly suspects: readonly Part[];
  /** Of each part that the disk does not give. */
  readonly unread: readonly EdgeBundleError[];
}

async function damagedParts(files: PartFiles, options: VerifyPartsOptions): Promise<DamagedParts> {
  const suspects: Part[] = [];
  const unread: EdgeBundleError[] = [];
  for (const [index, part] of files.parts.entries()) {
    try {
      if ((await hashOf(files, part, options)) !== files.list?.parts[index]?.sha256) suspects.push(part);
    } catch (error) {
      if (!isEdgeBundleError(error, 'FILE_FAILED')) throw error;
      unread.push(error);
    }
  }
  return { suspects, unread };
}

async function hashOf(files: PartFiles, part: Part, { signal, onProgress }: VerifyPartsOptions): Promise<string> {
  const hash = createHash('sha256');
  for (let at = part.start; at < part.end; at += chunkBytes) {
    throwIfAborted(signal);
    const chunk = await files.read(at, Math.min(chunkBytes, part.end - at));
    hash.update(chunk);
    onProgress?.(chunk.byteLength);
  }
  return hash.digest('hex');
}

/** Tells a part of another bundle from a damaged one: where frames and blocks begin, it mostly has something else. */
async function failuresOf(
  files: PartFiles,
  suspects: readonly Part[],
  { trust }: VerifyPartsOptions,
): Promise<EdgeBundleError[]> {
  if (suspects.length === 0) return [];
  const hasChecksums = files.list !== undefined;
  let marks: readonly FrameMark[];
  try {
    marks = [...(await BundleReader.read(files, { trust })).frameMarks()];
  } catch (error) {
    // Its start or its end is among what is damaged, or nobody vouches for it. Without checksums, that is all there is to say.
    if (!hasChecksums || !isEdgeBundleError(error, ...unreadable)) throw error;
    return suspects.map((part) => damaged(part, 'it is damaged, or belongs to another bundle'));
  }
  const failures: EdgeBundleError[] = [];
  for (const part of suspects) {
    const { wrong, seen } = await compareMarks(files, part, marks);
    if (wrong * 2 > seen) failures.push(damaged(part, 'it belongs to another bundle, or nothing was copied into it'));
    else if (hasChecksums || wrong > 0) failures.push(damaged(part, 'it is damaged'));
  }
  return failures;
}

async function compareMarks(
  files: PartFiles,
  { start, end }: Part,
  marks: readonly FrameMark[],
): Promise<{ readonly wrong: number; readonly seen: number }> {
  const within = marks.filter(({ position, bytes }) => position >= start && position + bytes.byteLength <= end);
  const step = Math.max(1, Math.floor(within.length / marksPerPart));
  const sample = within.filter((_, index) => index % step === 0);
  let wrong = 0;
  for (const { position, bytes } of sample) {
    if (!(await files.read(position, bytes.byteLength)).equals(bytes)) wrong += 1;
  }
  return { wrong, seen: sample.length };
}

function damaged({ path }: Part, reason: string): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `part '${basename(path)}' is not the one that was made: ${reason}`, {
    hint: 'Copy this part again.',
  });
}
