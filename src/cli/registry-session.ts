import type { HarborClient } from '../harbor/harbor-client.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import type { Progress } from './progress/progress.ts';
import { retryNotice } from './progress/retry-notice.ts';
import { readClientOptions, type RegistryArguments } from './registry-options.ts';
import type { RegistryTarget } from './registry-target.ts';
import type { Terminal } from './terminal.ts';

export interface RegistrySession {
  /** Host, and port where one is given, in normal form. */
  readonly registry: string;
  readonly client: RegistryClient;
  /** Undefined where the registry is not a Harbor. */
  readonly harbor: HarborClient | undefined;
}

/** Opens what talks to `target`, which tells of its retries, and closes it when `use` is done. */
export async function withRegistry<T>(
  args: RegistryArguments,
  target: RegistryTarget,
  { terminal, progress }: { readonly terminal: Terminal; readonly progress: Progress },
  use: (session: RegistrySession) => Promise<T>,
): Promise<T> {
  const { parseRegistry } = await import('../oci-client/reference.ts');
  const { RegistryClient } = await import('../oci-client/registry-client.ts');
  const { HarborClient } = await import('../harbor/harbor-client.ts');
  const registry = parseRegistry(target.registry);
  const plainHttp = target.isPlainHttp ? [registry] : [];
  const onRetry = retryNotice(progress);
  const options = { ...(await readClientOptions(args, [registry], terminal, plainHttp)), onRetry };
  const client = new RegistryClient(options);
  const harbor = target.isHarbor ? new HarborClient(registry, options) : undefined;
  try {
    return await use({ registry, client, harbor });
  } finally {
    await harbor?.close();
    await client.close();
  }
}
