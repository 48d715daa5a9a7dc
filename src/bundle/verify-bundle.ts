import { mediaTypes } from '../content/media-types.ts';
import type { OperationOptions } from '../content/store.ts';
import { ContentVerifier } from '../content/verify.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import type { BundleBase } from './bundle-document.ts';
import type { BundleEntry } from './bundle-layout.ts';
import type { BundleReader } from './bundle-reader.ts';
import { findIncomplete } from './completeness.ts';
import { encodeSignatureFile } from './signature-file.ts';
import { tarBlockBytes, tarEntry, tarHeader, tarPaddingBytes, tarTrailerBytes } from './tar-entry.ts';

export interface VerifyBundleOptions extends OperationOptions {
  /** Called as bytes of content have been hashed. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface BundleVerification {
  readonly images: number;
  /** Charts and packs. */
  readonly charts: number;
  readonly blobs: number;
  /** Of all blobs. */
  readonly bytes: number;
  /** Of a delta: what its base has to bring. */
  readonly base: BundleBase | undefined;
  /** Everything that is not as it has to be; empty where the bundle is good. */
  readonly failures: readonly EdgeBundleError[];
}

/**
 * Reads the whole bundle: every header, every blob against its digest, all that lies between; and every image's graph,
 * whether all that it needs is in the bundle or, of a delta, among what is expected of its base. Goes on after a failure, so
 * that all are found in one run.
 *
 * @throws EdgeBundleError FILE_FAILED where the media cannot be read, ABORTED
 */
export async function verifyBundle(
  bundle: BundleReader,
  options: VerifyBundleOptions = {},
): Promise<BundleVerification> {
  const { signal } = options;
  const { document, entries } = bundle.layout;
  const files = fixedFiles(bundle);
  const failures: EdgeBundleError[] = [];
  const check = async (task: () => Promise<void>): Promise<void> => {
    throwIfAborted(signal);
    try {
      await task();
    } catch (error) {
      if (!isEdgeBundleError(error) || isEdgeBundleError(error, 'FILE_FAILED', 'ABORTED')) throw error;
      failures.push(error);
    }
  };

  for (const entry of entries) {
    const bytes = files.get(entry);
    await check(() => (bytes === undefined ? verifyBlob(bundle, entry, options) : verifyFile(bundle, entry, bytes)));
  }
  await check(async () => {
    const last = entries.at(-1);
    const start = last === undefined ? 0 : last.tarOffset + tarBlockBytes + last.size + tarPaddingBytes(last.size);
    await expectArchive(bundle, start, Buffer.alloc(tarTrailerBytes), 'the end of the archive');
  });
  failures.push(...(await findIncomplete(bundle, options)));
  return {
    images: document.images.length,
    charts: document.charts.length,
    blobs: document.blobs.length,
    bytes: document.blobs.reduce((sum, { size }) => sum + size, 0),
    base: document.base,
    failures,
  };
}

/** The files before the blobs, with what is in them: the signatures as they were when the bundle was opened. */
function fixedFiles({ layout, digest, signatures }: BundleReader): ReadonlyMap<BundleEntry, Buffer> {
  const contents = [...layout.head.map(({ bytes }) => bytes), encodeSignatureFile(digest, signatures)];
  return new Map(
    layout.entries.flatMap((entry, index) => {
      const content = contents[index];
      return content === undefined ? [] : [[entry, content] as const];
    }),
  );
}

async function verifyFile(bundle: BundleReader, entry: BundleEntry, bytes: Buffer): Promise<void> {
  const expected = tarEntry(entry.path, bytes, bundle.document.sourceDateEpoch);
  await expectArchive(bundle, entry.tarOffset, expected, entry.path);
}

async function verifyBlob(
  bundle: BundleReader,
  entry: BundleEntry,
  { signal, onProgress }: VerifyBundleOptions,
): Promise<void> {
  const { digest, path, size, tarOffset } = entry;
  if (digest === undefined) return;
  const header = tarHeader(path, size, bundle.document.sourceDateEpoch);
  await expectArchive(bundle, tarOffset, header, `the header of ${path}`);
  const verifier = new ContentVerifier({ mediaType: mediaTypes.octetStream, digest, size });
  try {
    for await (const chunk of bundle.readArchive(tarOffset + tarBlockBytes, size)) {
      throwIfAborted(signal);
      verifier.update(chunk);
      onProgress?.(chunk.byteLength);
    }
  } catch (error) {
    if (!isEdgeBundleError(error, 'BUNDLE_INVALID')) throw error;
    throw new EdgeBundleError('BUNDLE_INVALID', `${path}: ${error.message}`, { cause: error });
  }
  verifier.finish();
  const padding = Buffer.alloc(tarPaddingBytes(size));
  await expectArchive(bundle, tarOffset + tarBlockBytes + size, padding, `the padding of ${path}`);
}

async function expectArchive(bundle: BundleReader, tarOffset: number, expected: Buffer, what: string): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of bundle.readArchive(tarOffset, expected.byteLength)) chunks.push(chunk);
  if (!Buffer.concat(chunks).equals(expected)) throw damaged(what);
}

function damaged(what: string): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `${what} in the bundle is damaged`, {
    hint: 'The file was changed after the build; copy it again.',
  });
}
