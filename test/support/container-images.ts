import { parseAllDocuments } from 'yaml';

/**
 * The `image` of every container in Kubernetes YAML, read by another parser and in another way than the resolver does:
 * every object under a key `containers`, `initContainers` or `ephemeralContainers`.
 */
export function containerImages(text: string): Set<string> {
  const images = new Set<string>();
  for (const document of parseAllDocuments(text, { merge: true, uniqueKeys: false, logLevel: 'silent' })) {
    JSON.stringify(
      document.toJS({ maxAliasCount: -1 }),
      function (this: unknown, key: string, value: unknown): unknown {
        if (/^(init|ephemeral)?containers$/i.test(key) && Array.isArray(value)) {
          for (const container of value as readonly ({ image?: unknown } | null)[]) {
            if (typeof container?.image === 'string' && container.image !== '') images.add(container.image);
          }
        }
        return value;
      },
    );
  }
  return images;
}

/** A reference as Docker would complete it, computed without the code under test. */
export function completed(image: string): string {
  const [, name = '', digest = ''] = /^([^@]*)(@.*)?$/.exec(image) ?? [];
  const hasTag = name.lastIndexOf(':') > name.lastIndexOf('/');
  const tagged = hasTag || digest !== '' ? name : `${name}:latest`;
  const first = tagged.split('/')[0] ?? '';
  const hasHost = tagged.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  const full = hasHost ? tagged : `docker.io/${tagged.includes('/') ? '' : 'library/'}${tagged}`;
  return (
    full.replace(/^index\.docker\.io\//, 'docker.io/').replace(/^docker\.io\/([^/]+)$/, 'docker.io/library/$1') + digest
  );
}
