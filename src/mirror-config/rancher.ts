import { stringify } from 'yaml';

import type { MirrorOptions } from './mirror.ts';

export type RancherDistribution = 'k3s' | 'rke2';

const caFile = 'edge-bundle-ca.crt';
const comment = `# No login is in here. Where the project is not public, add it, and let only root read this file:
#   configs:
#     HOST:
#       auth: {username: USER, password: PASSWORD}
`;

/**
 * `registries.yaml` and the CA: what belongs into `/etc/rancher/k3s` or `/etc/rancher/rke2`. A rewrite there counts for
 * every endpoint of a registry, and so only the first mirror is used.
 */
export function rancherFiles(
  distribution: RancherDistribution,
  registries: readonly string[],
  { mirrors: [mirror], ca, insecure = false }: MirrorOptions,
): ReadonlyMap<string, string> {
  if (mirror === undefined) return new Map();
  const { url, prefixOf } = mirror;
  const isTls = url.startsWith('https:');
  const tls = {
    ...(isTls && ca !== undefined ? { ca_file: `/etc/rancher/${distribution}/${caFile}` } : {}),
    ...(isTls && insecure ? { insecure_skip_verify: true } : {}),
  };
  const document = {
    mirrors: Object.fromEntries(
      registries.map((registry) => [registry, { endpoint: [url], rewrite: { '^(.*)$': `${prefixOf(registry)}/$1` } }]),
    ),
    ...(Object.keys(tls).length === 0 ? {} : { configs: { [new URL(url).host]: { tls } } }),
  };
  return new Map([
    ['registries.yaml', comment + stringify(document, { lineWidth: 0 })],
    ...(isTls && ca !== undefined ? [[caFile, ca] as const] : []),
  ]);
}
