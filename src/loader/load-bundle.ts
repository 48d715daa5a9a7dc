import { type Digest, digestOf } from '../content/digest.ts';
import { throwIfAborted } from '../errors.ts';
import { waitFor } from '../oci-client/wait-for.ts';
import { provideBaseBlobs } from './base-blobs.ts';
import { Load } from './load.ts';
import { LoadJournal } from './load-journal.ts';
import type { LoadOptions } from './load-options.ts';
import { defaultPacksProject, type LoadSource, type PlannedImage, planLoad, projectsOf } from './load-plan.ts';
import type { LoadResult } from './load-result.ts';
import { Patience } from './patience.ts';
import { unmetSettings } from './project-settings.ts';
import { ensureQuota } from './quota-check.ts';
import { ensureVerified, type RegistryVerification, verifyImages } from './verify-registry.ts';

/**
 * Brings the images and charts of a bundle into a registry, and asks it for all of them in the end.
 *
 * One login comes first; then, in a Harbor, the projects; then, for a delta, whether the registry has what its base has to bring;
 * then, in a Harbor, whether the quotas suffice. Images are loaded independently, some
 * at once, in the bundle's order: content that the registry has is not sent, what another repository has is mounted, children come
 * before parents and an image's tags after all of its content. A second run sends nothing. What the verification misses is sent
 * again, once.
 *
 * @throws EdgeBundleError REFERENCE_INVALID and BASE_MISSING before anything is sent; NOT_VERIFIED with what is missing; what the login or the
 *   project is refused for, QUOTA_EXCEEDED with the numbers; else the images that failed, as failures, with the code that they
 *   share (else FAILED)
 */
export async function loadBundle(options: LoadOptions): Promise<LoadResult> {
  const { bundle, registry, signal, onEvent } = options;
  const images = planLoad(bundle.document, options);
  throwIfAborted(signal);
  const patience = patienceOf(options);
  await prepareRegistry(options, patience);
  const journal = await openJournal(options);
  try {
    await prepareProjects(options, patience);
    const load = new Load(options, { patience, journal });
    load.addMounted(await patience.attempt(() => provideBaseBlobs(options, images)));
    await ensureRoom(options, images, { patience, journal });
    await load.run(images);
    onEvent?.({ type: 'verifying', images: images.length });
    let verification = await verifyImages({ ...options, patience }, images);
    const incomplete = imagesOf(verification, images);
    if (incomplete.length > 0) {
      await load.run(incomplete, { deep: true });
      const again = await verifyImages({ ...options, patience }, incomplete);
      verification = { ...verification, missing: again.missing };
    }
    await load.abandonUploads();
    const result = load.result(verification);
    onEvent?.({ type: 'verified', result });
    ensureVerified(result, registry);
    return result;
  } finally {
    await journal.close();
  }
}

/** The first login comes alone, before all else. */
async function prepareRegistry({ client, registry, harbor, signal }: LoadOptions, patience: Patience): Promise<void> {
  await patience.attempt(async () => {
    await client.ping(registry, { signal });
    await harbor?.ensureReady({ signal });
  });
}

async function prepareProjects(options: LoadOptions, patience: Patience): Promise<void> {
  const { bundle, harbor, projectSettings, signal, onEvent } = options;
  if (harbor === undefined) return;
  const settings = { ...projectSettings, signal };
  for (const project of projectsOf(bundle.document, options)) {
    await patience.attempt(() => harbor.ensureProject(project, settings));
    const unmet = await patience.attempt(() => unmetSettings(harbor, project, settings));
    for (const message of unmet) onEvent?.({ type: 'warning', message });
  }
}

async function ensureRoom(
  options: LoadOptions,
  images: readonly PlannedImage[],
  { patience, journal }: { readonly patience: Patience; readonly journal: LoadJournal },
): Promise<void> {
  const { harbor } = options;
  if (harbor === undefined) return;
  const rest = images.filter(({ repository, root }) => !journal.isComplete(repository, root.digest));
  await patience.attempt(() => ensureQuota(options, rest, harbor));
}

function patienceOf({ client, registry, harbor, wait, signal, onEvent }: LoadOptions): Patience {
  return new Patience({
    retries: client.retries,
    waitMs: wait === undefined ? undefined : (wait.limitMs ?? Infinity),
    untilReady: async (how) => {
      if (harbor !== undefined) await harbor.waitUntilReady(how);
      else await waitFor(() => client.ping(registry, { signal: how.signal, isOneOfMany: true }), how);
    },
    onWait: onEvent,
    signal,
  });
}

async function openJournal(options: LoadOptions): Promise<LoadJournal> {
  const { bundle, registry, project, packsProject = defaultPacksProject, journal, onEvent } = options;
  if (journal === undefined) return LoadJournal.none();
  const subject = { bundle: identityOf(bundle), registry, project, packsProject };
  return LoadJournal.open(journal.folder, subject, {
    onLost: (reason) => onEvent?.({ type: 'warning', message: `the load goes on without a journal: ${reason}` }),
  });
}

function identityOf({ digest, document }: LoadSource): Digest {
  return digest ?? digestOf(Buffer.from(JSON.stringify(document)));
}

function imagesOf({ missing }: RegistryVerification, images: readonly PlannedImage[]): readonly PlannedImage[] {
  const incomplete = new Set(missing.flatMap(({ references }) => references));
  return images.filter(({ references }) => references.some((reference) => incomplete.has(reference)));
}
