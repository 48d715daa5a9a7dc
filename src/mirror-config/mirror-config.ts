import type { BundleDocument } from '../bundle/bundle-document.ts';
import type { LeftOutImage } from '../bundle/left-out.ts';
import { EdgeBundleError } from '../errors.ts';
import { containerdFiles } from './containerd.ts';
import { type MirrorOptions, registriesOf } from './mirror.ts';
import { namespaceManifest, namespacesOf } from './namespaces.ts';
import { rancherFiles } from './rancher.ts';
import { userData } from './user-data.ts';

export const mirrorFormats = ['containerd', 'k3s', 'rke2', 'user-data', 'namespaces'] as const;
export type MirrorFormat = (typeof mirrorFormats)[number];

export interface MirrorConfigOptions extends MirrorOptions {
  readonly formats: readonly MirrorFormat[];
  /** Images that are not in the bundle although the cluster asks for them. */
  readonly leftOut?: readonly LeftOutImage[] | undefined;
}

export interface MirrorConfig {
  /** By path: `containerd/certs.d/docker.io/hosts.toml`. */
  readonly files: ReadonlyMap<string, string>;
  readonly registries: readonly string[];
  readonly namespaces: readonly string[];
}

/**
 * The configuration with which the original names of a bundle's images lead to its mirrors. No login is in it. The same
 * inputs give the same files.
 *
 * @param document of a bundle, or the images of several
 * @throws EdgeBundleError CONFIG_INVALID where there is no mirror for a format that needs one; REFERENCE_INVALID where
 *   two registries would be one in a mirror
 */
export function mirrorConfig(document: Pick<BundleDocument, 'images'>, options: MirrorConfigOptions): MirrorConfig {
  const { formats, mirrors, leftOut = [] } = options;
  const registries = registriesOf(document, mirrors);
  const namespaces = namespacesOf(leftOut);
  const files = new Map<string, string>();
  for (const format of mirrorFormats.filter((name) => formats.includes(name))) {
    for (const [path, text] of filesOf(format, { registries, namespaces, options })) files.set(path, text);
  }
  return { files, registries, namespaces };
}

interface Facts {
  readonly registries: readonly string[];
  readonly namespaces: readonly string[];
  readonly options: MirrorConfigOptions;
}

function filesOf(format: MirrorFormat, { registries, namespaces, options }: Facts): ReadonlyMap<string, string> {
  if (format === 'namespaces') {
    return new Map(namespaces.length === 0 ? [] : [['namespaces.yaml', namespaceManifest(namespaces)]]);
  }
  const [mirror] = options.mirrors;
  if (mirror === undefined) throw new EdgeBundleError('CONFIG_INVALID', `there is no mirror for '${format}'`);
  switch (format) {
    case 'containerd':
      return below('containerd/certs.d', containerdFiles(registries, options));
    case 'k3s':
    case 'rke2':
      return below(format, rancherFiles(format, registries, options));
    case 'user-data':
      return new Map([['user-data.yaml', userData(registries, mirror)]]);
  }
}

function below(folder: string, files: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...files].map(([path, text]) => [`${folder}/${path}`, text]));
}
