import type { BundleDocument } from '../bundle/bundle-document.ts';
import { EdgeBundleError } from '../errors.ts';
import { targetRepository } from '../loader/target-repository.ts';
import { parseReference } from '../oci-client/reference.ts';
import { registryComponent } from '../serve/names.ts';

/** A place that has the images of other registries. */
export interface Mirror {
  /** `https://10.0.0.5:30003`, without a path. */
  readonly url: string;
  /** What names there begin with, for the images of a registry: `spectro-images/docker.io`. */
  readonly prefixOf: (registry: string) => string;
}

/** A mirror, and how its certificate is checked. */
export interface MirrorOptions {
  /** In the order in which they are asked. */
  readonly mirrors: readonly Mirror[];
  /** The CAs of all of them, in PEM. */
  readonly ca?: string | undefined;
  /** Takes any certificate. */
  readonly insecure?: boolean | undefined;
}

/** A registry that `load` has brought a bundle into. */
export function loadedMirror(url: string, project: string): Mirror {
  const name = 'name';
  return {
    url,
    prefixOf: (registry) =>
      targetRepository(project, { registry, repository: name, tag: undefined, digest: undefined }).slice(
        0,
        -name.length - 1,
      ),
  };
}

/** `edge-bundle serve` over a bundle. */
export function servedMirror(url: string): Mirror {
  return { url, prefixOf: registryComponent };
}

/**
 * The registries that images come from, sorted: `docker.io`, `localhost:5000`.
 *
 * @throws EdgeBundleError REFERENCE_INVALID where two of them would be one in a mirror
 */
export function registriesOf(
  { images }: Pick<BundleDocument, 'images'>,
  mirrors: readonly Mirror[],
): readonly string[] {
  const registries = [...new Set(images.map(({ reference }) => parseReference(reference).registry))].sort();
  for (const { prefixOf, url } of mirrors) {
    const holders = new Map<string, string>();
    for (const registry of registries) {
      const prefix = prefixOf(registry);
      const other = holders.get(prefix);
      if (other !== undefined) {
        throw new EdgeBundleError(
          'REFERENCE_INVALID',
          `'${other}' and '${registry}' would both be '${prefix}' at ${url}`,
          {
            hint: 'Carry the images of one of them in a bundle of its own.',
          },
        );
      }
      holders.set(prefix, registry);
    }
  }
  return registries;
}
