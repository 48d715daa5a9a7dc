import { EdgeBundleError, type ErrorCode, errorMessage, isEdgeBundleError } from '../errors.ts';

interface Meaning {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly hint: string;
}

/** Harbor says what it means in the text only: quota and read-only mode are both "403 DENIED". */
const meanings: readonly Meaning[] = [
  {
    pattern: /exceed the configured upper limit/i,
    code: 'QUOTA_EXCEEDED',
    hint: "Raise the project's quota in Harbor, or remove what it no longer needs; then load again: what is there is not sent again.",
  },
  {
    pattern: /read.only mode/i,
    code: 'READ_ONLY',
    hint: "Harbor is in read-only mode, for instance while it collects garbage: wait, or switch it off in Harbor's settings.",
  },
  {
    pattern: /configured as immutable/i,
    code: 'ACCESS_DENIED',
    hint: 'The tag is there with other content, and a rule of the project forbids to move it: remove the tag or the rule in Harbor.',
  },
];

/** Failures that every other image of the load would meet too. */
const generalCodes: readonly ErrorCode[] = [
  'AUTH_FAILED',
  'TLS_UNTRUSTED',
  'REGISTRY_UNAVAILABLE',
  'TIMEOUT',
  'READ_ONLY',
  'QUOTA_EXCEEDED',
];

export function isGeneral(error: EdgeBundleError): boolean {
  return generalCodes.includes(error.code);
}

/** The failure of one image: what the registry's refusal means, with the image's name. */
export function imageError(reference: string, error: unknown): EdgeBundleError {
  const message = `${reference}: ${errorMessage(error)}`;
  if (!isEdgeBundleError(error)) return new EdgeBundleError('FAILED', message, { cause: error });
  const meaning = meanings.find(({ pattern }) => pattern.test(error.message));
  const hint = meaning?.hint ?? error.hint;
  return new EdgeBundleError(meaning?.code ?? error.code, message, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
