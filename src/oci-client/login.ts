import { realpath } from 'node:fs/promises';

import * as z from 'zod';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { withFileLock } from '../files/file-lock.ts';
import { CredentialHelper } from './credential-helper.ts';
import { parseCredentialText, readCredentialText, registryOfKey } from './credential-text.ts';
import { basicAuthorization, FixedCredentials, type PasswordCredentials } from './credentials.ts';
import { credentialsFromEnvironment, dockerConfigPath, nameOfKey, serverName } from './docker-config.ts';
import { parseRegistry } from './reference.ts';
import { RegistryClient } from './registry-client.ts';
import type { TransportOptions } from './transport.ts';

export interface LoginOptions extends OperationOptions {
  /** Where Docker's configuration and its helper programs are found: HOME, DOCKER_CONFIG, REGISTRY_AUTH_FILE, PATH. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How the registry is reached. */
  readonly transport?: TransportOptions | undefined;
}

/** Where a login is kept. */
export interface LoginPlace {
  /** The config file; or, where it leaves logins to one, the helper program. */
  readonly place: string;
  /** Whether commands will find another login for this registry first, elsewhere. */
  readonly isHidden: boolean;
}

/** Kept with all members: it is written back. */
const configSchema = z.looseObject({
  auths: z.record(z.string(), z.unknown()).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});

type Config = z.infer<typeof configSchema>;

const lockWaitMs = 10_000;

/**
 * Tries a login, and keeps it where Docker's tools keep theirs: in the config file (REGISTRY_AUTH_FILE, or else
 * `config.json` in DOCKER_CONFIG or `~/.docker`), which only its owner may read, or with the credential helper that the
 * file names.
 *
 * @throws EdgeBundleError AUTH_FAILED where the registry refuses it: nothing is kept then; CREDENTIALS_INVALID,
 *   FILE_FAILED, and those of `RegistryClient.ping`
 */
export async function login(
  registry: string,
  credentials: PasswordCredentials,
  options: LoginOptions,
): Promise<LoginPlace> {
  const { environment, transport, signal } = options;
  const host = parseRegistry(registry);
  const source = new FixedCredentials(host, credentials);
  const client = new RegistryClient({ ...transport, credentials: source });
  try {
    await client.ping(host, { signal });
  } finally {
    await client.close();
  }
  const place = await changeConfig(host, options, async (config, helper) => {
    const others = Object.entries(config.auths ?? {}).filter(([key]) => !isFor(key, host));
    if (helper !== undefined) await helper.store(serverName(host), credentials);
    // What a helper keeps leaves an empty entry, as Docker has it.
    const entry = helper === undefined ? { auth: basicAuthorization(credentials).replace('Basic ', '') } : {};
    return { ...config, auths: Object.fromEntries([...others, [serverName(host), entry]]) };
  });
  const found = await credentialsFromEnvironment(environment).find(host);
  return { place, isHidden: JSON.stringify(found) !== JSON.stringify(credentials) };
}

/**
 * Forgets the login for a registry, in the config file and in the helper that the file names. Logins for a part of the
 * registry stay.
 *
 * @returns where it was; undefined where there was none
 * @throws EdgeBundleError CREDENTIALS_INVALID, FILE_FAILED
 */
export async function logout(registry: string, options: LoginOptions): Promise<string | undefined> {
  const host = parseRegistry(registry);
  let found: readonly boolean[] = [];
  const place = await changeConfig(host, options, async (config, helper) => {
    const auths = Object.entries(config.auths ?? {});
    const others = auths.filter(([key]) => !isFor(key, host));
    const helped = await helper?.get(serverName(host));
    const isHelped = helped !== undefined && helped !== 'not-installed';
    if (isHelped) await helper?.erase(serverName(host));
    found = [isHelped, others.length < auths.length];
    return others.length === auths.length ? undefined : { ...config, auths: Object.fromEntries(others) };
  });
  return found.includes(true) ? place : undefined;
}

/** Whether a key of `auths` is for the whole registry. */
function isFor(key: string, registry: string): boolean {
  return nameOfKey(key) === registry;
}

/** @returns where the login is kept */
async function changeConfig(
  registry: string,
  { environment, signal }: LoginOptions,
  change: (config: Config, helper: CredentialHelper | undefined) => Promise<Config | undefined>,
): Promise<string> {
  const { REGISTRY_AUTH_FILE: podmanFile } = environment;
  const named = podmanFile === undefined || podmanFile === '' ? dockerConfigPath(environment) : podmanFile;
  if (named === undefined) {
    throw new EdgeBundleError('FILE_FAILED', 'there is no place for logins: this user has no home folder', {
      hint: 'Set DOCKER_CONFIG to a folder, or REGISTRY_AUTH_FILE to a file.',
    });
  }
  const path = await target(named);
  return withFileLock(`${path}.lock`, { waitMs: lockWaitMs, signal }, async () => {
    const text = await readCredentialText(path);
    const config = text === undefined ? {} : parseCredentialText(text, configSchema, `'${path}'`);
    const name = helperFor(registry, config);
    const helper = name === undefined ? undefined : new CredentialHelper(name, { environment });
    const changed = await change(config, helper);
    if (changed !== undefined) {
      await writeFileAtomic(path, `${JSON.stringify(changed, undefined, '\t')}\n`, { mode: 0o600 });
    }
    return helper?.program ?? path;
  });
}

function helperFor(registry: string, config: Config): string | undefined {
  const own = Object.entries(config.credHelpers ?? {}).find(([key]) => registryOfKey(key) === registry)?.[1];
  return own ?? (config.credsStore === '' ? undefined : config.credsStore);
}

/** The file that a link leads to: the link stays. */
async function target(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return path;
    throw new EdgeBundleError('FILE_FAILED', `cannot read '${path}'`, { cause: error });
  }
}
