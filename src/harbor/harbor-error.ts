import { EdgeBundleError, type ErrorCode } from '../errors.ts';
import type { HttpResponse } from '../oci-client/http-response.ts';
import { responseError } from '../oci-client/registry-error.ts';

const hints: Readonly<Record<number, string>> = {
  401: 'Check user and password. After a failed login Harbor refuses that user for 1.5 s, with the right password too.',
  403: "Give the user more rights in Harbor, or have an administrator do it (a robot account must be the system's, not a project's).",
  404: 'Check the address. A registry that is not Harbor is loaded with --registry.',
};

const codes: Readonly<Record<number, ErrorCode>> = {
  401: 'AUTH_FAILED',
  403: 'ACCESS_DENIED',
  502: 'REGISTRY_UNAVAILABLE',
  503: 'REGISTRY_UNAVAILABLE',
  504: 'REGISTRY_UNAVAILABLE',
};

/**
 * What an unexpected answer of Harbor's API means: AUTH_FAILED, ACCESS_DENIED, READ_ONLY, REGISTRY_UNAVAILABLE, else
 * HARBOR_ERROR. A 5xx says nothing in its body; its X-Request-ID is what Harbor's log is searched for.
 */
export async function harborError(response: HttpResponse, hint?: string): Promise<EdgeBundleError> {
  const { status } = response;
  const error = await responseError(response, {
    code: codes[status] ?? 'HARBOR_ERROR',
    hint: hint ?? hints[status],
  });
  return status === 403 && /read.only/i.test(error.message) ? readOnlyError(error.message, error) : error;
}

export function readOnlyError(message: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('READ_ONLY', message, {
    hint: "Harbor is in read-only mode, for instance while it collects garbage: wait, or switch it off in Harbor's settings.",
    cause,
  });
}
