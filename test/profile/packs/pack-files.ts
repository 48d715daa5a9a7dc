import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export type PackFiles = Readonly<Record<string, string | Uint8Array>>;

/** The files of a small pack. */
export function packFiles(name = 'web', version = '1.0.0', more: PackFiles = {}): PackFiles {
  return {
    'pack.json': JSON.stringify({
      name,
      version,
      layer: 'addon',
      displayName: `The ${name}`,
      addonType: 'system app',
      charts: ['charts/web-2.0.tgz'],
      kubeManifests: ['manifests/jobs/clean-up.yaml', './manifests/rbac.yml'],
    }),
    'values.yaml': 'pack: {namespace: web}\n',
    'charts/web-2.0.tgz': 'no real chart',
    'manifests/jobs/clean-up.yaml': 'kind: Job\n',
    'manifests/rbac.yml': 'kind: Role\n',
    'README.md': '# web\n',
    ...more,
  };
}

/** Writes files, with the folders that they need. @returns the folder */
export async function writeFiles(folder: string, files: PackFiles): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** What the system's `tar` makes of a folder's files, or of the folder itself. */
export function tarGz(folder: string, ...names: readonly string[]): Buffer {
  return execFileSync('tar', ['-czf', '-', '-C', folder, ...names]);
}
