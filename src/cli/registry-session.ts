import type { OperationOptions } from '../content/store.ts';
import type { HarborClient } from '../harbor/harbor-client.ts';
import type { RegistryClient, RegistryClientOptions } from '../oci-client/registry-client.ts';
import type { WaitOptions } from '../oci-client/wait-for.ts';
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
  /** What both were made with. */
  readonly options: RegistryClientOptions;
}

export interface SessionOptions {
  readonly terminal: Terminal;
  readonly progress: Progress;
  /** Where what is asked for first may have to be waited for. */
  readonly wait?: WaitOptions | undefined;
}

/** Opens what talks to `target`, which tells of its retries, and closes it when `use` is done. */
export async function withRegistry<T>(
  args: RegistryArguments,
  target: RegistryTarget,
  { terminal, progress, wait }: SessionOptions,
  use: (session: RegistrySession) => Promise<T>,
): Promise<T> {
  const { parseRegistry } = await import('../oci-client/reference.ts');
  const { RegistryClient } = await import('../oci-client/registry-client.ts');
  const { HarborClient } = await import('../harbor/harbor-client.ts');
  const registry = parseRegistry(target.registry);
  const plainHttp = target.isPlainHttp ? [registry] : [];
  const onRetry = retryNotice(progress);
  const given = { ...(await readClientOptions(args, [registry], terminal, plainHttp)), onRetry };
  if (given.insecure === true) progress.warn(insecureWarning);
  const { signal } = terminal;
  const authorities = (): Promise<string | undefined> => authoritiesOf(registry, target, { ...given, signal });
  const options = { ...given, ca: await (wait === undefined ? authorities() : waitedFor(authorities, wait)) };
  const client = new RegistryClient(options);
  const harbor = target.isHarbor ? new HarborClient(registry, options) : undefined;
  try {
    return await use({ registry, client, harbor, options });
  } finally {
    await harbor?.close();
    await client.close();
  }
}

const insecureWarning =
  'CERTIFICATES ARE NOT CHECKED (--insecure): whoever is between here and the registry can read the password and change what is sent; --ca-cert FILE or --ca-fingerprint SHA256 is safe';

/** What the options name, and the CA that Harbor gives, where it is the one that was pinned. */
async function authoritiesOf(
  registry: string,
  { caFingerprint: fingerprint }: RegistryTarget,
  options: RegistryClientOptions & OperationOptions,
): Promise<string | undefined> {
  if (fingerprint === undefined) return options.ca;
  const { fetchAuthority } = await import('../harbor/fetch-authority.ts');
  const authority = await fetchAuthority(registry, { ...options, fingerprint });
  return options.ca === undefined ? authority : `${options.ca}\n${authority}`;
}

async function waitedFor<T>(ask: () => Promise<T>, options: WaitOptions): Promise<T> {
  const { waitFor } = await import('../oci-client/wait-for.ts');
  const answers: T[] = [];
  await waitFor(async () => void answers.push(await ask()), options);
  return answers[0] as T;
}
