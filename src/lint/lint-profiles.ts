import { readPackValues } from '../profile/packs/pack-values.ts';
import type { ResolvedProfiles } from '../resolve/resolved-profiles.ts';
import { findAlwaysPullImages } from './admission-plugins.ts';
import type { LintedLayer, LintFinding } from './finding.ts';
import { lintImages } from './lint-images.ts';
import { lintLocalRegistry } from './lint-local-registry.ts';
import type { Measurement } from './measure-images.ts';

/**
 * Checks profiles against what a cluster with a local registry needs: the documented prerequisites, and that the content
 * tags are complete and exact. The profiles are taken together, as one cluster gets them.
 *
 * @param measurement what the registries say of the images; without it, sizes and architectures are not checked
 */
export function lintProfiles(resolved: ResolvedProfiles, measurement: Measurement | undefined): LintFinding[] {
  const layers = resolved.layers.map((layer) => ({
    ...layer,
    values: readPackValues(layer.values, layer.path, layer.presets).values,
  }));
  const isCluster = layers.some(({ layer }) => layer === 'k8s' || layer === 'os');
  return [
    ...(isCluster ? lintStorageLayer(layers) : []),
    ...lintLocalRegistry(layers, measurement, isCluster),
    ...layers.flatMap(lintAdmission),
    ...lintImages(resolved, measurement),
  ];
}

function lintStorageLayer(layers: readonly LintedLayer[]): LintFinding[] {
  if (layers.some(({ layer }) => layer === 'csi')) return [];
  return [
    {
      rule: 'storage-layer',
      severity: 'error',
      profile: layers[0]?.profile ?? '',
      message: 'there is no storage layer, and the local registry keeps its images on a persistent volume',
      change: "Add a pack of layer 'csi' to the profile.",
    },
  ];
}

function lintAdmission({ profile, pack, layer, path, values }: LintedLayer): LintFinding[] {
  // The operating system's user data may hold the distribution's configuration.
  if (layer !== 'k8s' && layer !== 'os') return [];
  return findAlwaysPullImages(values).map((place) => ({
    rule: 'always-pull-images',
    severity: 'error',
    profile,
    pack,
    path: `${path}.values#${place}`,
    message:
      'the admission plugin AlwaysPullImages is enabled: pods would not start while the local registry is down, and the registry is such a pod',
    change: 'Remove AlwaysPullImages from enable-admission-plugins.',
  }));
}
