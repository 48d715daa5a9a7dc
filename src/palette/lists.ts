import * as z from 'zod';

import { listOf, recordOf } from '../content/list-schema.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { isUid, type ListedProfile } from './find-profile.ts';
import type { PaletteClient } from './palette-client.ts';

/** Palette gives no more at once. */
const pageLimit = 50;
const maxPages = 1_000;

const projectsSchema = z.looseObject({
  items: listOf(z.looseObject({ metadata: z.looseObject({ name: z.string(), uid: z.string() }) })).nullish(),
});

/** A page of the list of profiles. */
export const profilesSchema = z.looseObject({
  items: listOf(
    z.looseObject({
      metadata: z.looseObject({
        name: z.string(),
        uid: z.string(),
        annotations: recordOf(z.string()).nullish(),
      }),
      specSummary: z
        .looseObject({
          version: z.string().nullish(),
          versions: listOf(z.looseObject({ uid: z.string(), version: z.string() })).nullish(),
        })
        .nullish(),
    }),
  ).nullish(),
  listmeta: z.looseObject({ continue: z.string().nullish() }).nullish(),
});

/**
 * The uid of a project that is given by name or uid.
 *
 * @throws EdgeBundleError PALETTE_ERROR where there is no such project, and as `PaletteClient.read` does
 */
export async function findProject(client: PaletteClient, project: string, options: OperationOptions): Promise<string> {
  if (isUid(project)) return project;
  const what = `cannot find the project '${project}'`;
  const path = ['dashboard', 'projects', 'metadata'];
  const { items } = await client.read({ ...options, what, path }, projectsSchema);
  const found = (items ?? []).find(({ metadata }) => metadata.name === project);
  if (found !== undefined) return found.metadata.uid;
  const names = (items ?? []).map(({ metadata }) => metadata.name).sort();
  throw new EdgeBundleError('PALETTE_ERROR', `${what}: ${client.endpoint.host} has none of that name`, {
    hint: names.length === 0 ? 'This API key sees no project.' : `It has: ${names.slice(0, 10).join(', ')}.`,
  });
}

/**
 * All cluster profiles that the key sees, each version by itself.
 *
 * @throws EdgeBundleError PALETTE_ERROR where the pages do not end, and as `PaletteClient.read` does
 */
export async function listProfiles(
  client: PaletteClient,
  options: OperationOptions & { readonly projectUid?: string | undefined },
): Promise<readonly ListedProfile[]> {
  const profiles = new Map<string, ListedProfile>();
  const tokens = new Set<string>();
  const request = { ...options, what: 'cannot list the cluster profiles', path: ['dashboard', 'clusterprofiles'] };
  for (let token = ''; ;) {
    const query = { limit: String(pageLimit), ...(token === '' ? {} : { continue: token }) };
    const page = await client.read({ ...request, query, body: { filter: {}, sort: [] } }, profilesSchema);
    for (const { metadata, specSummary } of page.items ?? []) {
      const { scope = 'project', projectUid = '' } = metadata.annotations ?? {};
      const latest = { uid: metadata.uid, version: specSummary?.version ?? '' };
      for (const { uid, version } of [latest, ...(specSummary?.versions ?? [])]) {
        profiles.set(uid, { uid, name: metadata.name, version, scope: `${scope} ${projectUid}`.trimEnd() });
      }
    }
    token = page.listmeta?.continue ?? '';
    if (token === '') return [...profiles.values()];
    if (tokens.has(token) || tokens.size >= maxPages) {
      throw new EdgeBundleError('PALETTE_ERROR', `${request.what}: the pages of ${client.endpoint.host} do not end`);
    }
    tokens.add(token);
  }
}
