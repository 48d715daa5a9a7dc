import * as z from 'zod';

import { EdgeBundleError } from '../errors.ts';
import type { Capability } from './endpoint.ts';
import { parseToml } from './toml-document.ts';

/** How one host is used, as a hosts.toml says it. File names are as they stand there. */
export interface HostSettings {
  /** What repositories are below: `https://mirror.example/v2/`. Undefined: the registry itself, with its usual address. */
  readonly root: URL | undefined;
  /** Undefined: the file names none. */
  readonly capabilities: readonly Capability[] | undefined;
  readonly caFiles: readonly string[];
  /** A certificate and its key; both in one file where the second is missing. */
  readonly clientFiles: readonly (readonly [certificate: string, key?: string | undefined])[];
  readonly skipVerify: boolean;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

export interface HostsToml {
  /** In the order of the file. */
  readonly mirrors: readonly HostSettings[];
  /** The registry itself, which is asked last. */
  readonly server: HostSettings;
}

const oneOrMore = z.union([z.string(), z.array(z.string())], { error: 'expected a text or a list of texts' });

const clientSchema = z.union([z.string(), z.array(z.union([z.string(), z.tuple([z.string(), z.string()])]))], {
  error: 'expected a file, or a list of files, or of pairs of a certificate and its key',
});

const hostSchema = z.object({
  capabilities: z
    .array(
      z
        .string()
        .toLowerCase()
        .pipe(z.enum(['pull', 'resolve', 'push'])),
    )
    .optional(),
  ca: oneOrMore.optional(),
  client: clientSchema.optional(),
  skip_verify: z.boolean().optional(),
  override_path: z.boolean().optional(),
  header: z.record(z.string(), oneOrMore).optional(),
});

const fileSchema = hostSchema.extend({
  server: z.string().optional(),
  host: z.record(z.string(), hostSchema).optional(),
});

/**
 * Reads a hosts.toml (containerd, docs/hosts.md). Members that are not known here are passed over, as containerd does.
 *
 * @param path for messages
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseHostsToml(text: string, path: string): HostsToml {
  const { server, host = {}, ...defaults } = parseToml(text, fileSchema, path);
  return {
    mirrors: Object.entries(host).map(([address, settings]) => hostSettings(address, settings, path)),
    server: hostSettings(server, defaults, path),
  };
}

function hostSettings(address: string | undefined, settings: z.infer<typeof hostSchema>, path: string): HostSettings {
  const { capabilities, ca = [], client = [], skip_verify, override_path = false, header = {} } = settings;
  return {
    root: address === undefined || address === '' ? undefined : rootOf(address, override_path, path),
    capabilities: capabilities?.length === 0 ? undefined : capabilities,
    caFiles: [ca].flat(),
    clientFiles: [client].flat(1).map((entry) => (typeof entry === 'string' ? [entry] : entry)),
    skipVerify: skip_verify ?? false,
    headers: header,
  };
}

/** The API's root: `/v2` below the address, unless that ends so or says that it is the root. */
function rootOf(address: string, isRoot: boolean, path: string): URL {
  const text = /^https?:/.test(address) ? address : `https://${address}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '' || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new EdgeBundleError('CONFIG_INVALID', `'${path}' names a host that is no address`, {
      hint: 'Expected https://HOST[:PORT][/PATH], without a user: logins are found by host.',
    });
  }
  const folder = url.pathname.replace(/\/+/g, '/').replace(/\/$/, '');
  url.pathname = isRoot || folder.endsWith('/v2') ? `${folder}/` : `${folder}/v2/`;
  return url;
}
