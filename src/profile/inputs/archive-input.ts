import { basename } from 'node:path';

import type { Digest } from '../../content/digest.ts';
import { readArchive } from '../../files/read-archive.ts';
import { packageFiles, readPackageName } from './package-name.ts';
import { problem } from '../problems.ts';
import type { PackageInput } from '../profile-kinds.ts';

const maxUnpackedBytes = 512 * 1024 * 1024;

/**
 * Tells whether a `tar.gz` is a pack (`pack.json` at the top, or in a folder at the top) or a Helm chart
 * (`NAME/Chart.yaml`). Nothing is unpacked.
 *
 * @throws EdgeBundleError ARCHIVE_INVALID, PROFILE_INVALID
 */
export async function readArchiveInput(
  bytes: Buffer,
  source: { readonly file: string; readonly digest: Digest },
): Promise<PackageInput> {
  const where = `'${source.file}'`;
  const files = await readArchive(bytes, { where, maxBytes: maxUnpackedBytes });
  for (const { kind, file } of packageFiles) {
    for (const [path, content] of files) {
      if (path.split('/').length > 2 || basename(path) !== file) continue;
      const names = readPackageName(kind, content, `${where}, ${path}`);
      return { kind, ...names, ...source, source: 'archive' };
    }
  }
  throw problem(where, 'is an archive that holds neither a pack (pack.json) nor a Helm chart (NAME/Chart.yaml)');
}
