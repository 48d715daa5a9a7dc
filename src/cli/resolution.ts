import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { isEdgeBundleError } from '../errors.ts';
import { locateHelm } from '../helm/locate-helm.ts';
import { ResolutionCache, type ResolutionInputs } from '../resolve/resolution-cache.ts';
import type { Resolution } from '../resolve/resolved-profiles.ts';
import { findCacheFolder } from './cache-folder.ts';
import { optimiseLate } from './late-optimisation.ts';
import type { Progress } from './progress/progress.ts';
import { type InputArguments, withResolved } from './read-inputs.ts';
import type { Terminal } from './terminal.ts';

/**
 * Resolves the inputs that the arguments name, for what needs neither the charts nor the packs' values. Where they are all
 * files, and none has changed, it is what was found the last time.
 */
export async function resolveInputs(args: InputArguments, terminal: Terminal, progress: Progress): Promise<Resolution> {
  const folder = findCacheFolder(args, terminal);
  const cache = folder === undefined ? undefined : new ResolutionCache(`${folder}/resolutions`);
  const inputs = cache && (await inputsOf(args, terminal));
  const key = inputs && cache.keyOf(inputs);
  const known = key === undefined ? undefined : await cache?.find(key);
  if (known !== undefined) {
    for (const warning of known.warnings) progress.warn(warning);
    return known;
  }
  optimiseLate();
  return withResolved(args, terminal, progress, async ({ resolved }) => {
    if (key !== undefined) await cache?.keep(key, resolved);
    return resolved;
  });
}

/** Undefined where something is fetched: only its server knows whether it is still the same. */
async function inputsOf(args: InputArguments, { environment }: Terminal): Promise<ResolutionInputs | undefined> {
  const { profiles = [], values = [], 'pack-dir': folders = [], 'var-file': variables = [] } = args;
  const remote = [args['palette-endpoint'], args['palette-profile'], args['pack-registry']];
  if (
    remote.some((option) => option !== undefined) ||
    profiles.some((profile) => /^[a-z0-9+.-]+:\/\//i.test(profile))
  ) {
    return undefined;
  }
  const valueFiles = values.map((entry) => entry.slice(entry.indexOf('=') + 1));
  const files = [...profiles, ...folders, ...variables, ...valueFiles].map((path) => resolve(path));
  const words = {
    ...{ profiles, folders, variables, values, given: args.var, exclude: args.exclude },
    ...{ kubeVersion: args['kube-version'], apiVersions: args['api-versions'] },
  };
  try {
    const helm = await locateHelm({ helm: args.helm, environment });
    // This very file: another build of edge-bundle may find something else.
    return { paths: [...files, helm, fileURLToPath(import.meta.url)], words };
  } catch (error) {
    if (isEdgeBundleError(error, 'HELM_MISSING')) return undefined;
    throw error;
  }
}
