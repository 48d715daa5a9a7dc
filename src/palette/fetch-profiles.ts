import pLimit from 'p-limit';

import { digestOf } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { combineFailures, isEdgeBundleError } from '../errors.ts';
import type { ClusterProfile } from '../profile/profile-kinds.ts';
import { fetchDocument } from './fetch-document.ts';
import { findProfile, isUid } from './find-profile.ts';
import { findProject, listProfiles } from './lists.ts';
import { PaletteClient, type PaletteClientOptions } from './palette-client.ts';
import { profileText } from './save-profile.ts';

export interface FetchProfilesOptions extends PaletteClientOptions, OperationOptions {
  /** Which ones: a uid, `NAME` (its newest version) or `NAME@VERSION` each. */
  readonly profiles: readonly string[];
  /** The project that they are in: name or uid. Default: those of the tenant. */
  readonly project?: string | undefined;
}

const concurrency = 4;

/**
 * Reads cluster profiles from Palette, each once, in the order in which they are named. `file` is the address of each,
 * `digest` that of the text that `saveProfile` writes.
 *
 * @throws EdgeBundleError CONFIG_INVALID, CREDENTIALS_INVALID; PALETTE_ERROR with Palette's own words; PROFILE_INVALID;
 *   REGISTRY_UNAVAILABLE, TIMEOUT, TLS_UNTRUSTED, ABORTED
 */
export async function fetchProfiles(options: FetchProfilesOptions): Promise<ClusterProfile[]> {
  const { profiles, project, signal } = options;
  const client = new PaletteClient(options);
  try {
    const projectUid = project === undefined ? undefined : await findProject(client, project, { signal });
    const isByName = profiles.some((wanted) => !isUid(wanted));
    const listed = isByName ? await listProfiles(client, { projectUid, signal }) : [];
    const uids = await settle(profiles, (wanted) => (isUid(wanted) ? wanted : findProfile(wanted, listed).uid));
    const limit = pLimit(concurrency);
    return await settle([...new Set(uids)], (uid) => limit(() => fetchProfile(client, { uid, projectUid, signal })));
  } finally {
    await client.close();
  }
}

async function fetchProfile(
  client: PaletteClient,
  place: OperationOptions & { readonly uid: string; readonly projectUid: string | undefined },
): Promise<ClusterProfile> {
  const document = await fetchDocument(client, place);
  return {
    kind: 'profile',
    name: document.metadata.name,
    version: document.spec.version ?? undefined,
    file: new URL(`v1/clusterprofiles/${place.uid}`, client.endpoint).href,
    digest: digestOf(profileText(document)),
    document,
  };
}

/** Does all, and reports all that fails together. */
async function settle<T, R>(items: readonly T[], action: (item: T) => R | Promise<R>): Promise<R[]> {
  const results = await Promise.all(
    items.map(async (item) => {
      try {
        return { value: await action(item) };
      } catch (error) {
        if (isEdgeBundleError(error) && error.code !== 'ABORTED') return error;
        throw error;
      }
    }),
  );
  const failures = results.filter((result) => isEdgeBundleError(result));
  const [first, ...others] = failures;
  if (first === undefined) return results.flatMap((result) => ('value' in result ? [result.value] : []));
  if (others.length === 0) throw first;
  throw combineFailures('PALETTE_ERROR', `${failures.length} cluster profiles cannot be read`, failures);
}
