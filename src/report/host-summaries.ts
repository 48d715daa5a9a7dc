import type { LoaderPackageDocument, MirrorConfigDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { formatBytes } from './units.ts';

/** What `loader package` tells people. */
export function formatLoaderPackage(document: LoaderPackageDocument): string {
  const { path, archive, version, node, files, bytes, sha256 } = document;
  return formatFields([
    ['package', path],
    ...(archive === undefined ? [] : [['archive', archive] as const]),
    ['version', version],
    ['Node.js', node],
    ['files', String(files)],
    ['size', formatBytes(bytes)],
    ['sha256', sha256],
  ]);
}

/** What `mirror-config` tells people. */
export function formatMirrorConfig({ out, files, registries, namespaces }: MirrorConfigDocument): string {
  return formatFields([
    ['folder', out],
    ['registries', registries.join(', ')],
    ...(namespaces.length === 0 ? [] : [['labelled', namespaces.join(', ')] as const]),
    ...files.map((file, index) => [index === 0 ? 'files' : '', file] as const),
  ]);
}
