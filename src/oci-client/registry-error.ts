import { STATUS_CODES } from 'node:http';

import * as z from 'zod';

import { listOf } from '../content/list-schema.ts';
import { EdgeBundleError, type ErrorCode, isEdgeBundleError } from '../errors.ts';
import { redact } from '../redaction.ts';
import type { HttpResponse } from './http-response.ts';
import { withoutMarkup } from './markup.ts';

const maxErrorBytes = 64 * 1024;
const maxReasonLength = 500;

const codes: Readonly<Record<number, ErrorCode>> = {
  401: 'AUTH_FAILED',
  403: 'ACCESS_DENIED',
  404: 'NOT_FOUND',
  413: 'CONTENT_TOO_LARGE',
  429: 'REGISTRY_UNAVAILABLE',
  502: 'REGISTRY_UNAVAILABLE',
  503: 'REGISTRY_UNAVAILABLE',
  504: 'REGISTRY_UNAVAILABLE',
};

/** OCI distribution-spec v1.1, "Error Codes"; Harbor's API answers in the same form. */
const errorsSchema = z.object({
  errors: listOf(
    z.object({ code: z.string().optional(), message: z.string().optional(), detail: z.unknown().optional() }),
  ).refine((errors) => errors.length > 0),
});

/** What token servers answer: OAuth2 (RFC 6749, section 5.2), Docker Hub and others. */
const otherSchema = z.object({
  error: z.string().optional(),
  error_description: z.string().optional(),
  message: z.string().optional(),
  details: z.string().optional(),
});

/** What the error of an answer may say besides what the answer itself tells. */
export interface ResponseErrorOptions {
  /** Replaces the code that the status stands for. */
  readonly code?: ErrorCode | undefined;
  readonly hint?: string | undefined;
}

const statuses = new WeakMap<Error, number>();

/** The HTTP status that `error`, or what caused it, comes from; undefined where no answer is behind it. */
export function answeredStatus(error: unknown): number | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const status = statuses.get(cause);
    if (status !== undefined) return status;
  }
  return undefined;
}

/** The error that an unexpected answer means: what failed, the status, and what the body says. Reads the body. */
export async function responseError(
  response: HttpResponse,
  options: ResponseErrorOptions = {},
): Promise<EdgeBundleError> {
  const { what, status, url } = response;
  // Before it is cut: a part of a secret would not be known for one.
  const reason = explain(redact(await bodyText(response)));
  const requestId = status >= 500 ? response.header('x-request-id') : undefined;
  const parts = [
    `${what}: ${url.host} answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd(),
    ...(reason === '' ? [] : [reason]),
    ...(requestId === undefined ? [] : [`X-Request-ID ${requestId}`]),
  ];
  const speaksTls = status === 400 && url.protocol === 'http:' && /\bHTTPS\b/.test(reason);
  const hint = options.hint ?? (speaksTls ? 'It speaks TLS: leave out --plain-http.' : undefined);
  const error = new EdgeBundleError(
    options.code ?? codes[status] ?? 'REGISTRY_ERROR',
    parts.join(': '),
    hint === undefined ? {} : { hint },
  );
  statuses.set(error, status);
  return error;
}

async function bodyText(response: HttpResponse): Promise<string> {
  try {
    return (await response.read(maxErrorBytes)).toString('utf8');
  } catch (error) {
    // The status is the news; what could not be read of the explanation is left out.
    if (isEdgeBundleError(error, 'ABORTED')) throw error;
    return '';
  }
}

function explain(text: string): string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return shorten(withoutMarkup(text));
  }
  const standard = errorsSchema.safeParse(json);
  if (standard.success) return shorten(standard.data.errors.map(explainOne).join('; '));
  const { error, error_description, message, details } = otherSchema.safeParse(json).data ?? {};
  const parts = [error, error_description, message, details].filter((part) => part !== undefined);
  return shorten(parts.length === 0 ? text : parts.join(': '));
}

function explainOne(error: { code?: string | undefined; message?: string | undefined; detail?: unknown }): string {
  const { code, message, detail } = error;
  const parts = [code, message].filter((part) => part !== undefined && part !== '');
  const isEmpty = detail === undefined || detail === null || detail === '';
  if (isEmpty) return parts.join(': ');
  return `${parts.join(': ')} (${typeof detail === 'string' ? detail : JSON.stringify(detail)})`;
}

function shorten(text: string): string {
  // Control characters of a foreign text could play with the terminal.
  const line = text.replace(/[\s\p{C}]+/gu, ' ').trim();
  return line.length > maxReasonLength ? `${line.slice(0, maxReasonLength)}…` : line;
}
