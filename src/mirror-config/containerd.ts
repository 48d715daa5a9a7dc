import { stringify } from 'smol-toml';

import type { MirrorOptions } from './mirror.ts';

const caFile = 'ca.crt';

/** Those whose own API is at another address. */
const upstreamHosts: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };

/**
 * For each registry a folder with `hosts.toml`, and the CA beside it (containerd, docs/hosts.md; 1.5 and newer): what
 * belongs into `/etc/containerd/certs.d`. The registry itself is asked last.
 */
export function containerdFiles(
  registries: readonly string[],
  { mirrors, ca, insecure = false }: MirrorOptions,
): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const registry of registries) {
    const folder = folderName(registry);
    const hosts = mirrors.map(({ url, prefixOf }): [string, object] => {
      const isTls = url.startsWith('https:');
      return [
        `${url}/v2/${prefixOf(registry)}`,
        {
          capabilities: ['pull', 'resolve'],
          override_path: true,
          ...(isTls && ca !== undefined ? { ca: caFile } : {}),
          ...(isTls && insecure ? { skip_verify: true } : {}),
        },
      ];
    });
    files.set(`${folder}/hosts.toml`, stringify({ server: upstreamOf(registry), host: Object.fromEntries(hosts) }));
    if (ca !== undefined && mirrors.some(({ url }) => url.startsWith('https:'))) files.set(`${folder}/${caFile}`, ca);
  }
  return files;
}

/** A colon is no character of file names everywhere; containerd looks for this spelling first. */
function folderName(registry: string): string {
  return registry.replace(/:([0-9]+)$/, '_$1_');
}

/** containerd, as others do, speaks HTTP with this machine. */
function upstreamOf(registry: string): string {
  const isLocal = /^(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?$/.test(registry);
  return `${isLocal ? 'http' : 'https'}://${upstreamHosts[registry] ?? registry}`;
}
