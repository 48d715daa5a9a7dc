import type { Digest } from '../content/digest.ts';
import { collectGraph } from '../content/graph.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { type LoadSource, type PlannedImage, planLoad, projectsOf, type TargetProjects } from '../loader/load-plan.ts';
import type { Check } from '../report/preflight-check.ts';

/** What a load of bundles brings, and where to. */
export interface BroughtContent {
  /** In bytes, each content once. Extra files of a bundle are not loaded, and what a delta leaves to its base is there. */
  readonly totalBytes: number;
  /** The same of each project, in which content counts once whatever other projects have. */
  readonly projects: ReadonlyMap<string, number>;
  readonly plans: ReadonlyMap<LoadSource, readonly PlannedImage[]>;
  /** Bundles of which nothing more can be said. */
  readonly failures: readonly Check[];
}

/** @throws EdgeBundleError ABORTED */
export async function broughtContent(
  bundles: readonly LoadSource[],
  target: TargetProjects,
  { signal }: OperationOptions = {},
): Promise<BroughtContent> {
  const all = new Map<Digest, number>();
  const projects = new Map<string, Map<Digest, number>>();
  const plans = new Map<LoadSource, readonly PlannedImage[]>();
  const failures: Check[] = [];
  for (const bundle of bundles) {
    for (const project of projectsOf(bundle.document, target))
      projects.set(project, projects.get(project) ?? new Map<Digest, number>());
    try {
      const plan = planLoad(bundle.document, target);
      for (const { repository, root } of plan) {
        throwIfAborted(signal);
        const own = projects.get(repository.split('/')[0] ?? '');
        for (const { digest, size } of await carried(bundle, root, signal)) {
          all.set(digest, size);
          own?.set(digest, size);
        }
      }
      plans.set(bundle, plan);
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof EdgeBundleError)) throw error;
      const { message, hint } = error;
      failures.push({ name: 'project', subject: bundle.document.name, status: 'fail', message, ...(hint && { hint }) });
    }
  }
  return {
    totalBytes: sumOf(all),
    projects: new Map([...projects].map(([name, contents]) => [name, sumOf(contents)])),
    plans,
    failures,
  };
}

/** All that an image needs and the bundle has itself. */
async function carried(bundle: LoadSource, root: PlannedImage['root'], signal: AbortSignal | undefined) {
  const { manifests, blobs } = await collectGraph(bundle, root, { signal });
  const own = [...manifests.map(({ descriptor }) => descriptor)];
  for (const blob of blobs) if (await bundle.exists(blob, { signal })) own.push(blob);
  return own;
}

function sumOf(contents: ReadonlyMap<Digest, number>): number {
  return [...contents.values()].reduce((sum, size) => sum + size, 0);
}
