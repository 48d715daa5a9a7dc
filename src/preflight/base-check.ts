import { bundleId } from '../bundle/bundle-document.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { ensureBaseBlobs } from '../loader/base-blobs.ts';
import type { LoadSource, TargetProjects } from '../loader/load-plan.ts';
import type { Check } from '../report/preflight-check.ts';
import type { BroughtContent } from './brought-content.ts';
import type { CheckedRegistry } from './registry-checks.ts';

/** Where the bases of deltas are looked for. */
export interface BaseCircumstances extends TargetProjects {
  readonly bundles: readonly LoadSource[];
  readonly plans: BroughtContent['plans'];
  /** Undefined where it cannot be asked. */
  readonly registry: CheckedRegistry | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whether each delta finds what it builds on: among the bundles, or in the registry.
 *
 * @throws EdgeBundleError ABORTED
 */
export async function checkBases(circumstances: BaseCircumstances): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const bundle of circumstances.bundles) {
    const { base } = bundle.document;
    if (base === undefined) continue;
    const about = { name: 'base', subject: bundle.document.name } as const;
    const name = `its base '${base.name}', ${bundleId(base.digest)},`;
    if (circumstances.bundles.some(({ digest }) => digest === base.digest))
      checks.push({ ...about, status: 'pass', message: `${name} is loaded before it` });
    else checks.push({ ...about, ...(await inRegistry(bundle, name, circumstances)) });
  }
  return checks;
}

async function inRegistry(
  bundle: LoadSource,
  name: string,
  { plans, registry, signal, ...projects }: BaseCircumstances,
): Promise<Pick<Check, 'status' | 'message' | 'hint'>> {
  const hint = 'Load the base first, or give it here too; or merge the two (edge-bundle merge).';
  const plan = plans.get(bundle);
  if (registry === undefined || plan === undefined)
    return { status: 'warn', message: `${name} is not among the bundles, and the registry is not asked`, hint };
  const { client, registry: host, harbor } = registry;
  try {
    await ensureBaseBlobs({ ...projects, bundle, client, registry: host, harbor, signal }, plan);
    return { status: 'pass', message: `${name} is in the registry` };
  } catch (error) {
    throwIfAborted(signal);
    if (!(error instanceof EdgeBundleError)) throw error;
    const { code, message } = error;
    // Harbor refuses whoever asks for content of a project that does not exist.
    const isAbsent = code === 'BASE_MISSING' || code === 'ACCESS_DENIED';
    return {
      status: 'fail',
      message: isAbsent ? `${name} is not in the registry: ${message}` : message,
      hint,
    };
  }
}
