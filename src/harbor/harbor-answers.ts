import * as z from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import { listOf } from '../content/list-schema.ts';
import { EdgeBundleError } from '../errors.ts';
import type { HttpResponse } from '../oci-client/http-response.ts';

const maxAnswerBytes = 1024 * 1024;

export const healthSchema = z.object({
  status: z.string(),
  components: listOf(z.object({ name: z.string(), status: z.string(), error: z.string().optional() })),
});

/** Without a login Harbor tells neither its version nor whether it is read-only. */
export const systemInfoSchema = z.object({
  harbor_version: z.string().optional(),
  external_url: z.string().optional(),
  read_only: z.boolean().optional(),
  /** `everyone` or `adminonly`. */
  project_creation_restriction: z.string().optional(),
});

/** Values of metadata are texts. */
export const projectSchema = z.object({ metadata: z.object({ public: z.enum(['true', 'false']).optional() }) });

export const artifactSchema = z.object({ digest: digestSchema });

export const currentUserSchema = z.object({ sysadmin_flag: z.boolean().optional() });

const resourcesSchema = z.object({ storage: z.number() });

export const summarySchema = z.object({
  quota: z.object({ hard: resourcesSchema, used: resourcesSchema }).optional(),
});

/**
 * The JSON of a good answer.
 *
 * @throws EdgeBundleError HARBOR_ERROR where it is not what Harbor answers
 */
export async function readAnswer<T>(response: HttpResponse, schema: z.ZodType<T>): Promise<T> {
  const text = (await response.read(maxAnswerBytes)).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw notHarbor(response, 'the answer is not JSON', cause);
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw notHarbor(response, `the answer is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? ''}`);
}

function notHarbor({ what, url }: HttpResponse, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('HARBOR_ERROR', `${what}: ${url.host} is no Harbor, or not as expected: ${reason}`, {
    hint: 'Check the address. A registry that is not Harbor is loaded with --registry.',
    cause,
  });
}
