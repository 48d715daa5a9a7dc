import { STATUS_CODES } from 'node:http';

import * as z from 'zod';

import { EdgeBundleError } from '../errors.ts';
import { redact } from '../redaction.ts';

/** A whole answer of Palette's API. */
export interface PaletteAnswer {
  /** What fails where this answer is no good: the beginning of an error's message. */
  readonly what: string;
  readonly host: string;
  readonly status: number;
  readonly text: string;
}

const maxReasonLength = 500;

const errorSchema = z.looseObject({
  code: z.string().nullish(),
  message: z.string().nullish(),
  ref: z.string().nullish(),
});

const hints: Readonly<Record<number, string>> = {
  401: 'Palette does not accept the API key: it may have expired, or have been revoked, or belong to another Palette.',
  403: "Check the project (--palette-project), and that the API key's user may read cluster profiles in it.",
  404: 'Check the uid, the project that it belongs to (--palette-project), and the address (--palette-endpoint).',
  429: 'Palette has had too many requests: try again later.',
};
const serverHint = 'Palette has a problem of its own: try again later.';

/**
 * The JSON of a good answer.
 *
 * @throws EdgeBundleError PALETTE_ERROR where the status is not 200, or the answer is not what Palette's API gives
 */
export function readAnswer<T>(answer: PaletteAnswer, schema: z.ZodType<T>): T {
  if (answer.status !== 200) throw answerError(answer);
  let json: unknown;
  try {
    json = JSON.parse(answer.text);
  } catch (cause) {
    throw unexpected(answer, 'the answer is not JSON', cause);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw unexpected(answer, `the answer is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? ''}`);
}

/** What an answer that is no good means. Palette's own words have the form `{code, message, ref}`. */
export function answerError({ what, host, status, text }: PaletteAnswer): EdgeBundleError {
  const said = `${what}: ${host} answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  // Before it is cut: a part of a secret would not be known for one.
  const reason = explain(redact(text));
  const hint = hints[status] ?? (status >= 500 ? serverHint : undefined);
  return new EdgeBundleError('PALETTE_ERROR', reason === '' ? said : `${said}: ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}

function unexpected({ what, host }: PaletteAnswer, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('PALETTE_ERROR', `${what}: ${host} is no Palette, or not as expected: ${reason}`, {
    hint: 'Check the address (--palette-endpoint): it is that of the console, without a path.',
    cause,
  });
}

function explain(text: string): string {
  const { code, message, ref } = parseError(text);
  if (isEmpty(code) && isEmpty(message)) return shorten(text.replace(/<[^<>]*>/g, ' '));
  const details = [code, isEmpty(ref) ? undefined : `ref ${ref}`].filter((part) => !isEmpty(part)).join(', ');
  return shorten([message, details === '' ? undefined : `(${details})`].filter((part) => !isEmpty(part)).join(' '));
}

function parseError(text: string): z.infer<typeof errorSchema> {
  try {
    return errorSchema.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    return {};
  }
}

function isEmpty(text: string | null | undefined): boolean {
  return text === undefined || text === null || text === '';
}

function shorten(text: string): string {
  // Control characters of a foreign text could play with the terminal.
  const line = text.replace(/[\s\p{C}]+/gu, ' ').trim();
  return line.length > maxReasonLength ? `${line.slice(0, maxReasonLength)}…` : line;
}
