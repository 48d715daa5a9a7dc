import type { OutgoingHttpHeaders } from 'node:http';

import { isEdgeBundleError } from '../errors.ts';

/** OCI distribution-spec v1.1, "Error Codes"; the last two are those of the CNCF Distribution registry. */
export type ProtocolErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNSUPPORTED'
  | 'PAGINATION_NUMBER_INVALID'
  | 'UNKNOWN';

export interface ProtocolErrorOptions {
  readonly headers?: OutgoingHttpHeaders | undefined;
  /** The member `detail` of the answer. */
  readonly detail?: unknown;
  readonly cause?: unknown;
}

/** An answer that refuses a request. It is sent to the client and never leaves this room. */
export class ProtocolError extends Error {
  readonly status: number;
  readonly code: ProtocolErrorCode;
  readonly headers: OutgoingHttpHeaders;
  readonly detail: unknown;

  constructor(status: number, code: ProtocolErrorCode, message: string, options: ProtocolErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ProtocolError';
    this.status = status;
    this.code = code;
    this.headers = options.headers ?? {};
    this.detail = options.detail;
  }

  /** OCI distribution-spec v1.1, "Error Codes": the body of the answer. */
  get body(): Buffer {
    const { code, message, detail } = this;
    return Buffer.from(JSON.stringify({ errors: [{ code, message, detail }] }), 'utf8');
  }
}

/** What a client is told of a failure of ours: nothing of paths and inner workings. */
export function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error;
  if (isEdgeBundleError(error, 'NO_SPACE')) {
    return new ProtocolError(507, 'UNKNOWN', 'the registry has no space left', { cause: error });
  }
  return new ProtocolError(500, 'UNKNOWN', 'the registry failed; its log says why', { cause: error });
}
