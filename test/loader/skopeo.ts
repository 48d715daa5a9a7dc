import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface SkopeoAccess {
  /** Host and port. */
  readonly registry: string;
  readonly caPath?: string | undefined;
  readonly login?: { readonly name: string; readonly password: string } | undefined;
}

const run = promisify(execFile);

/** Pulls `name` with all its platforms and layers, and tells the digest of the manifest that came. */
export async function pullDigest({ registry, caPath, login }: SkopeoAccess, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-skopeo-'));
  try {
    if (caPath !== undefined) await copyFile(caPath, join(folder, 'ca.crt'));
    const trust = caPath === undefined ? ['--src-tls-verify=false'] : [`--src-cert-dir=${folder}`];
    const credentials = login === undefined ? [] : [`--src-creds=${login.name}:${login.password}`];
    const target = join(folder, 'image');
    const flags = ['--insecure-policy', 'copy', '--quiet', '--all', '--preserve-digests', ...trust, ...credentials];
    await run('skopeo', [...flags, `docker://${registry}/${name}`, `dir:${target}`]);
    const manifest = await readFile(join(target, 'manifest.json'));
    return `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
