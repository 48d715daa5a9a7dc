import { stringify } from 'yaml';

import type { Mirror } from './mirror.ts';

/** User data of an edge host whose agent finds the images of `registries` at `mirror`. */
export function userData(registries: readonly string[], { url, prefixOf }: Mirror): string {
  const rules = Object.fromEntries(
    registries.map((registry) => [registry, `${new URL(url).host}/${prefixOf(registry)}`]),
  );
  const document = { stylus: { externalRegistries: { registryMappingRules: rules } } };
  return `#cloud-config\n${stringify(document, { lineWidth: 0 })}`;
}
