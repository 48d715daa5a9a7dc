import type * as z from 'zod';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { HttpResponse } from './http-response.ts';
import type { RepositoryAccess } from './repository-access.ts';

const maxPages = 1000;
const maxPageBytes = 8 * 1024 * 1024;

export interface PagedRequest<T> extends OperationOptions {
  readonly what: string;
  readonly path: string;
  readonly accept: string;
  readonly schema: z.ZodType<T>;
}

/**
 * A list that a registry gives in pages, linked by `Link: <…>; rel="next"` (OCI distribution-spec v1.1, "Listing Tags").
 * Links lead only to the registry itself.
 *
 * @throws EdgeBundleError NOT_FOUND, REGISTRY_ERROR for what is not such a list, a foreign link, or links without an end
 */
export async function readPages<T>(access: RepositoryAccess, request: PagedRequest<T>): Promise<T[]> {
  const { what, accept, schema, signal } = request;
  const pages: T[] = [];
  const seen = new Set<string>();
  let path: string | URL | undefined = request.path;
  while (path !== undefined) {
    if (seen.has(String(path)) || seen.size === maxPages) {
      throw new EdgeBundleError('REGISTRY_ERROR', `${what}: the pages that ${access.registry} links have no end`);
    }
    seen.add(String(path));
    const response: HttpResponse = await access.send({
      ...{ what, path, signal, method: 'GET', actions: 'pull' },
      headers: { accept },
      expect: [200],
    });
    pages.push(await readPage(response, schema));
    path = nextPage(response);
  }
  return pages;
}

async function readPage<T>(response: HttpResponse, schema: z.ZodType<T>): Promise<T> {
  const bytes = await response.read(maxPageBytes);
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new EdgeBundleError(
      'REGISTRY_ERROR',
      `${response.what}: the answer of ${response.url.host} is not such a list`,
      {
        cause,
      },
    );
  }
}

/**
 * Where `Link` says that the next page is (RFC 8288); undefined where there is none.
 *
 * @throws EdgeBundleError REGISTRY_ERROR where that is another host, or no address
 */
export function nextPage(response: HttpResponse): URL | undefined {
  const link = response
    .headers('link')
    .map((text) => /<([^<>]*)>[^,<]*;\s*rel\s*=\s*"?next"?(?=[\s;,]|$)/i.exec(text)?.[1])
    .find((target) => target !== undefined);
  if (link === undefined) return undefined;
  const { url, what } = response;
  const next = URL.canParse(link, url.href) ? new URL(link, url) : undefined;
  if (next?.origin === url.origin) return next;
  throw new EdgeBundleError('REGISTRY_ERROR', `${what}: ${url.host} links to a next page that is not its own`);
}
