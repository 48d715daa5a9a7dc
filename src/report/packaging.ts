import type { LoaderPackageDocument } from './documents.ts';
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
