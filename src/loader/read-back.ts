import type { Descriptor } from '../content/descriptor.ts';
import type { Fetcher, OperationOptions } from '../content/store.ts';
import { bytesOf, verified } from '../content/verify.ts';
import { isEdgeBundleError } from '../errors.ts';
import { answeredStatus } from '../oci-client/registry-error.ts';

export interface ReadBackOptions extends OperationOptions {
  /** How many bytes more have come. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Reads content and hashes it: what is wrong with it; undefined where nothing is, and where the registry may have it and not
 * give it away (Harbor's 412, for manifests with vulnerabilities).
 *
 * @throws EdgeBundleError where it could not be read: REGISTRY_UNAVAILABLE, TIMEOUT, ABORTED, …
 */
export async function readBack(
  store: Fetcher,
  target: Descriptor,
  { onProgress, signal }: ReadBackOptions = {},
): Promise<string | undefined> {
  try {
    const content = await store.fetch(target, { signal });
    for await (const chunk of verified(target, bytesOf(content, signal))) onProgress?.(chunk.byteLength);
    return undefined;
  } catch (error) {
    if (isEdgeBundleError(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) return error.message;
    if (isEdgeBundleError(error, 'NOT_FOUND')) return 'the registry says that it has it, and does not give it';
    if (answeredStatus(error) === 412) return undefined;
    throw error;
  }
}
