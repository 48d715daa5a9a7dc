import type { InferredOptionTypes, Options } from 'yargs';

import type { RouteSource } from '../oci-client/endpoint.ts';
import type { MappingRule } from '../oci-client/mapping-rules.ts';
import type { RegistryClientOptions } from '../oci-client/registry-client.ts';
import type { RouteOptions } from '../oci-client/route-finder.ts';
import type { TransportOptions } from '../oci-client/transport.ts';
import { findCredentials } from './login.ts';
import { everyRegistry } from './optional-values.ts';
import { readTextFile } from './text-file.ts';
import type { Terminal } from './terminal.ts';
import { readTransferOptions, type TransferArguments, transferOptions } from './transfer-options.ts';
import { maxTimerMs, wholeNumber } from './usage.ts';

const group = 'Registries:';

/** What every command that talks to a registry takes. A password is never an argument: others can read those. */
export const registryOptions = {
  'plain-http': {
    group,
    type: 'string',
    array: true,
    describe: 'Use HTTP without TLS: for every registry, or with =HOST for that one (repeatable)',
  },
  insecure: { group, type: 'boolean', describe: 'Do not check certificates' },
  'ca-cert': { group, type: 'string', requiresArg: true, describe: 'Trust the CAs in this PEM file too' },
  resolve: {
    group,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Reach HOST:PORT at this address, whatever the name service says: HOST:PORT:ADDRESS (repeatable)',
  },
  username: { group, type: 'string', requiresArg: true, describe: 'Log in as (or EDGE_BUNDLE_USERNAME)' },
  'password-file': {
    group,
    type: 'string',
    requiresArg: true,
    describe: 'Read the password from this file (or EDGE_BUNDLE_PASSWORD)',
  },
  'password-stdin': { group, type: 'boolean', describe: 'Read the password from standard input' },
  'cred-file': {
    group,
    type: 'string',
    requiresArg: true,
    describe: 'Logins of several registries, - for standard input: {"image":[{"endpoint","username","password"}]}',
  },
  timeout: {
    group,
    requiresArg: true,
    coerce: wholeNumber('timeout', 1, maxTimerMs / 1000),
    describe: 'How long a registry may stay silent, in seconds',
  },
  ...transferOptions,
} as const satisfies Readonly<Record<string, Options>>;

/** What every command that reads images takes besides: where else than at their registries they are found. */
export const mirrorOptions = {
  'hosts-dir': {
    group,
    type: 'string',
    requiresArg: true,
    describe: 'Mirrors: a folder as containerd has it, with HOST/hosts.toml for each registry',
  },
  'registries-conf': {
    group,
    type: 'string',
    requiresArg: true,
    describe: 'Mirrors and rewriting: a registries.conf as Podman has it; goes before --hosts-dir',
  },
  map: {
    group,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Find images whose name begins with FROM under TO: FROM=TO, or a file of user data (repeatable)',
  },
} as const satisfies Readonly<Record<string, Options>>;

export type RegistryArguments = InferredOptionTypes<typeof registryOptions>;
export type MirrorArguments = InferredOptionTypes<typeof mirrorOptions>;
export type ConnectionArguments = Pick<RegistryArguments, 'plain-http' | 'insecure' | 'ca-cert' | 'timeout'> &
  Partial<Pick<RegistryArguments, 'resolve'>> &
  Partial<TransferArguments>;

/**
 * What a client needs, as the options say.
 *
 * @param registries those that it will talk to; `--username` needs that there is only one
 * @param plainHttp registries that an http:// URL names
 */
export async function readClientOptions(
  args: RegistryArguments & Partial<MirrorArguments>,
  registries: readonly string[],
  terminal: Terminal,
  plainHttp: readonly string[] = [],
): Promise<RegistryClientOptions> {
  return {
    credentials: await findCredentials(args, registries, terminal),
    ...(await readTransportOptions(args, terminal, plainHttp)),
    ...(await readRouteOptions(args)),
  };
}

/** How registries are reached. Proxies come from the environment. */
export async function readTransportOptions(
  args: ConnectionArguments,
  terminal: Terminal,
  plainHttp: readonly string[] = [],
): Promise<TransportOptions> {
  const { proxiesFromEnvironment } = await import('../oci-client/proxies.ts');
  const { parseHostAddress } = await import('../oci-client/host-addresses.ts');
  const hosts = args['plain-http'] ?? [];
  const timeoutMs = args.timeout === undefined ? undefined : args.timeout * 1000;
  return {
    plainHttp: hosts.includes(everyRegistry) ? 'all' : [...hosts, ...plainHttp],
    insecure: args.insecure,
    ca: await readAuthorities(args, terminal),
    proxies: proxiesFromEnvironment(terminal.environment),
    addresses: (args.resolve ?? []).map((text) => parseHostAddress(text)),
    connectTimeoutMs: timeoutMs,
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
    ...readTransferOptions(args),
  };
}

/** Node.js would forget NODE_EXTRA_CA_CERTS where others are given. */
async function readAuthorities(args: ConnectionArguments, terminal: Terminal): Promise<string | undefined> {
  const { NODE_EXTRA_CA_CERTS: extra } = terminal.environment;
  const files = [args['ca-cert'], extra === '' ? undefined : extra].filter((file) => file !== undefined);
  const texts = await Promise.all(files.map((file) => readTextFile(file, 'the CA certificates')));
  return texts.length === 0 ? undefined : texts.join('\n');
}

async function readRouteOptions(args: Partial<MirrorArguments>): Promise<RouteOptions> {
  const { map = [], 'registries-conf': file, 'hosts-dir': folder } = args;
  const mirrors: RouteSource[] = [];
  if (file !== undefined) {
    const { RegistriesConf } = await import('../oci-client/registries-conf.ts');
    mirrors.push(new RegistriesConf(file));
  }
  if (folder !== undefined) {
    const { HostsDirectory } = await import('../oci-client/hosts-directory.ts');
    mirrors.push(await HostsDirectory.open(folder));
  }
  return { mirrors, mapping: (await Promise.all(map.map((text) => readMapping(text)))).flat() };
}

/** A rule, or a file of them: a path begins with '.' or '/', or has no '='. */
async function readMapping(text: string): Promise<readonly MappingRule[]> {
  const { parseMappingRule, parseMappingRules } = await import('../oci-client/mapping-rules.ts');
  if (text.includes('=') && !/^[./]/.test(text)) return [parseMappingRule(text)];
  return parseMappingRules(await readTextFile(text, 'the mapping rules'), `'${text}'`);
}
