import type { BundleSignature } from '../bundle/signature-file.ts';
import type { InspectDocument } from './documents.ts';

/** Whose signatures they are: a signature itself tells people nothing. */
export function signatureList(signatures: readonly BundleSignature[]): InspectDocument['signatures'] {
  return signatures.map(({ algorithm, keyId }) => ({ algorithm, keyId }));
}
