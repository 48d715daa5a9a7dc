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
    code: 'TAG_IMMUTABLE',
    hint: 'The tag is there with other content, and a rule of the project forbids to move it: remove the tag or the rule in Harbor.',
  },
  {
    pattern: /\bblob is in GC\b/i,
    code: 'GARBAGE_COLLECTION',
    hint: 'Harbor is about to remove old content of this digest, which takes it up to two hours: load again later, or wait with --wait.',
  },
  {
    pattern: /proxy.?cache project|proxy project/i,
    code: 'ACCESS_DENIED',
    hint: 'The project is a proxy cache, which takes no content: name another one with --project.',
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

/** `error` with the code and the hint that its text stands for; what is understood already, or not at all, as it is. */
export function understood(error: EdgeBundleError): EdgeBundleError {
  const meaning = meanings.find(({ pattern }) => pattern.test(error.message));
  if (meaning === undefined || meaning.hint === error.hint) return error;
  const { code, hint } = meaning;
  return new EdgeBundleError(code, error.message, { hint, failures: error.failures, cause: error });
}

/** The failure of one image: what the registry's refusal means, with the image's name. */
export function imageError(reference: string, error: unknown): EdgeBundleError {
  if (isEdgeBundleError(error)) return understood(error).about(reference);
  return new EdgeBundleError('FAILED', `${reference}: ${errorMessage(error)}`, { cause: error });
}
