import type { InferredOptionTypes, Options } from 'yargs';

import type { RegistryClientOptions } from '../oci-client/registry-client.ts';
import { findCredentials } from './login.ts';
import { everyRegistry } from './plain-http.ts';
import { readTextFile } from './text-file.ts';
import type { Terminal } from './terminal.ts';
import { wholeNumber } from './usage.ts';

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
    describe: 'Logins of several registries: {"image":[{"endpoint","username","password"}]}',
  },
  timeout: {
    group,
    requiresArg: true,
    coerce: wholeNumber('timeout', 1),
    describe: 'How long a registry may stay silent, in seconds',
  },
} as const satisfies Readonly<Record<string, Options>>;

export type RegistryArguments = InferredOptionTypes<typeof registryOptions>;

/**
 * What a client needs, as the options say.
 *
 * @param registries those that it will talk to; `--username` needs that there is only one
 * @param plainHttp registries that an http:// URL names
 */
export async function readClientOptions(
  args: RegistryArguments,
  registries: readonly string[],
  terminal: Terminal,
  plainHttp: readonly string[] = [],
): Promise<RegistryClientOptions> {
  const hosts = args['plain-http'] ?? [];
  const timeoutMs = args.timeout === undefined ? undefined : args.timeout * 1000;
  return {
    credentials: await findCredentials(args, registries, terminal),
    plainHttp: hosts.includes(everyRegistry) ? 'all' : [...hosts, ...plainHttp],
    insecure: args.insecure,
    ca: args['ca-cert'] === undefined ? undefined : await readTextFile(args['ca-cert'], 'the CA certificates'),
    connectTimeoutMs: timeoutMs,
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
  };
}
