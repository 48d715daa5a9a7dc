import { bundleTargets } from './bundle-targets.ts';
import { contentTargets } from './content-targets.ts';
import { keyTargets } from './key-targets.ts';
import { openRegistryTargets } from './registry-targets.ts';
import type { FuzzTarget } from './run-target.ts';
import { textTargets } from './text-targets.ts';

export interface OpenTargets {
  readonly targets: readonly FuzzTarget[];
  readonly close: () => Promise<void>;
}

/** All parsers of outside data. */
export async function openTargets(): Promise<OpenTargets> {
  const [bundle, registry] = [await bundleTargets(), await openRegistryTargets()];
  return {
    targets: [...textTargets, ...keyTargets, ...contentTargets, ...bundle.targets, ...registry.targets],
    close: async () => {
      await registry.close();
      bundle.close();
    },
  };
}
