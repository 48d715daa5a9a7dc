import { readFile } from 'node:fs/promises';

import type { BundleTrust } from '../bundle/read-head.ts';
import { fileError } from '../files/file-error.ts';
import { fetchAuthority } from '../harbor/fetch-authority.ts';
import { HarborClient } from '../harbor/harbor-client.ts';
import { type CredentialSource, FixedCredentials } from '../oci-client/credentials.ts';
import { CredentialsFile } from '../oci-client/credentials-file.ts';
import { parseHostAddress } from '../oci-client/host-addresses.ts';
import { parseRegistry } from '../oci-client/reference.ts';
import { RegistryClient } from '../oci-client/registry-client.ts';
import type { TransportOptions } from '../oci-client/transport.ts';
import { waitFor, type WaitOptions } from '../oci-client/wait-for.ts';
import { readPublicKeys } from '../trust/read-public-keys.ts';
import { trustOf } from '../trust/trust-policy.ts';
import type { FirstBootConfig } from './config-schema.ts';

/** The registry of the configuration, and what talks to it. */
export interface OpenRegistry {
  readonly registry: string;
  readonly transport: TransportOptions;
  readonly client: RegistryClient;
  readonly harbor: HarborClient | undefined;
  readonly hasLogin: boolean;
  close(): Promise<void>;
}

/**
 * @param wait how Harbor is waited for where it has to give its CA
 * @throws EdgeBundleError CONFIG_INVALID, CREDENTIALS_INVALID, FILE_FAILED; TLS_UNTRUSTED where the CA is not the pinned one
 */
export async function openRegistry(config: FirstBootConfig, wait: WaitOptions): Promise<OpenRegistry> {
  const registry = registryOf(config);
  const credentials = await credentialsOf(config, registry);
  const given = await transportOf(config, registry);
  const transport = { ...given, ca: await authorityOf(config, { registry, given, wait }) };
  const client = new RegistryClient({ ...transport, credentials });
  const harbor = config.harbor === undefined ? undefined : new HarborClient(registry, { ...transport, credentials });
  return {
    registry,
    transport,
    client,
    harbor,
    hasLogin: (await credentials?.find(registry)) !== undefined,
    close: async () => {
      await harbor?.close();
      await client.close();
    },
  };
}

/** Host and port, in normal form. */
export function registryOf({ harbor, registry }: FirstBootConfig): string {
  return parseRegistry(new URL(harbor ?? registry ?? '').host);
}

async function transportOf(config: FirstBootConfig, registry: string): Promise<TransportOptions> {
  const { harbor, registry: other, caCert, insecure } = config;
  const isPlainHttp = (harbor ?? other ?? '').startsWith('http:');
  return {
    plainHttp: isPlainHttp ? [registry] : [],
    insecure,
    addresses: config.resolve.map((text) => parseHostAddress(text)),
    ca: caCert === undefined ? undefined : await readText(caCert, 'the CA certificate'),
  };
}

interface AuthorityRequest {
  readonly registry: string;
  readonly given: TransportOptions;
  readonly wait: WaitOptions;
}

async function authorityOf(
  { caFingerprint: fingerprint }: FirstBootConfig,
  { registry, given, wait }: AuthorityRequest,
): Promise<string | undefined> {
  if (fingerprint === undefined) return given.ca;
  let authority: string | undefined;
  await waitFor(async () => {
    authority = await fetchAuthority(registry, { ...given, fingerprint, signal: wait.signal });
  }, wait);
  return authority;
}

async function credentialsOf(config: FirstBootConfig, registry: string): Promise<CredentialSource | undefined> {
  const { credFile, username, passwordFile } = config;
  if (credFile !== undefined) return new CredentialsFile(credFile);
  if (username === undefined || passwordFile === undefined) return undefined;
  const password = (await readText(passwordFile, 'the password')).replace(/\r?\n$/, '');
  return new FixedCredentials(registry, { username, password });
}

/** What a bundle has to satisfy: undefined where nothing is asked for. @throws EdgeBundleError KEY_INVALID, FILE_FAILED */
export async function trustOfConfig({ keys, minimumDate }: FirstBootConfig): Promise<BundleTrust | undefined> {
  const texts = await Promise.all(keys.map(async (name) => ({ name, text: await readText(name, 'the public key') })));
  return trustOf({
    keys: keys.length === 0 ? [] : readPublicKeys(texts),
    minimumDate: minimumDate === undefined ? undefined : Date.parse(minimumDate) / 1000,
  });
}

async function readText(path: string, what: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(error, `cannot read ${what} in '${path}'`);
  });
}
