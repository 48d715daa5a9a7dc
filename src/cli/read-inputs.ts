import { EdgeBundleError } from '../errors.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import type { Transport } from '../oci-client/transport.ts';
import type { PackSource } from '../profile/packs/pack-definition.ts';
import type { Profile } from '../profile/profile-kinds.ts';
import type { Connections, Packages } from '../resolve/packages.ts';
import type { ResolvedProfiles, Unrendered } from '../resolve/resolved-profiles.ts';
import { findCacheFolder } from './cache-folder.ts';
import type { Progress } from './progress/progress.ts';
import type { ProfileArguments } from './profile-options.ts';
import {
  type MirrorArguments,
  readClientOptions,
  readTransportOptions,
  type RegistryArguments,
} from './registry-options.ts';
import type { Terminal } from './terminal.ts';
import { readTextFile } from './text-file.ts';
import { usageError } from './usage.ts';

export type InputArguments = ProfileArguments &
  RegistryArguments &
  MirrorArguments & { readonly profiles?: readonly string[] | undefined };

export interface ResolvedArguments {
  readonly profiles: readonly Profile[];
  readonly resolved: ResolvedProfiles;
}

/**
 * Reads the inputs that the arguments name and resolves them; `use` works with the result while charts and packs can still
 * be fetched. What is not rendered is a warning here; `ensureRendered` makes it an error.
 */
export async function withResolved<T>(
  args: InputArguments,
  terminal: Terminal,
  progress: Progress,
  use: (resolved: ResolvedArguments) => Promise<T>,
): Promise<T> {
  const { environment, signal } = terminal;
  const { HelmFinder } = await import('../helm/helm-finder.ts');
  const helm = new HelmFinder({ helm: args.helm, environment, signal });
  // It runs while all the rest is loaded and read.
  helm.prepare();
  let tools: OpenPackages | undefined;
  try {
    const profiles = await readInputs(args, terminal);
    const { resolveProfiles } = await import('../resolve/resolve-profiles.ts');
    const kubeVersion = args['kube-version'];
    tools = await openPackages(args, profiles, terminal);
    const resolved = await resolveProfiles({
      profiles,
      packages: tools.packages,
      helm,
      given: await readGiven(args),
      chartValues: await readChartValues(args.values ?? []),
      kubeVersion: kubeVersion === undefined ? undefined : `v${kubeVersion.replace(/^v/, '')}`,
      apiVersions: args['api-versions'],
      exclude: args.exclude,
      cacheFolder: findCacheFolder(args, terminal),
      signal,
    });
    for (const warning of resolved.warnings) progress.warn(warning);
    return await use({ profiles, resolved });
  } finally {
    await Promise.all([helm.close(), tools?.close()]);
  }
}

/** @throws EdgeBundleError RENDER_FAILED, RENDER_LIMIT, PACK_NOT_FOUND: all that could not be rendered */
export async function ensureRendered(
  { unrendered }: Pick<ResolvedProfiles, 'unrendered'>,
  args: ProfileArguments,
): Promise<void> {
  if (args['allow-unrendered'] || unrendered.length === 0) return;
  const { combineFailures } = await import('../errors.ts');
  throw combineFailures(
    'RENDER_FAILED',
    `${unrendered.length} charts or packs were not rendered: images that only they name are missing`,
    unrendered.map((part) => {
      const hint = part.hint ?? 'Correct the values, or go on without with --allow-unrendered.';
      return new EdgeBundleError(part.code, `${describeUnrendered(part)}: ${part.reason}`, { hint });
    }),
  );
}

/** Names what was not rendered: `profile 'store', pack 'web', chart 'web'`. */
export function describeUnrendered({ profile, pack, chart }: Unrendered): string {
  const parts = [`profile '${profile}'`];
  if (pack !== undefined) parts.push(`pack '${pack}'`);
  if (chart !== undefined) parts.push(`chart '${chart}'`);
  return parts.join(', ');
}

/** Files, folders and addresses, and what is read from Palette. */
async function readInputs(args: InputArguments, terminal: Terminal): Promise<readonly Profile[]> {
  const { readProfile } = await import('../profile/profile.ts');
  const remote = await readFromPalette(args, terminal);
  const local = await Promise.all((args.profiles ?? []).map((file) => readProfile(file)));
  if (local.length + remote.length === 0) {
    throw usageError('no profile is given', 'Name a file, or read it from Palette with --palette-profile.');
  }
  return [...local, ...remote];
}

async function readFromPalette(args: InputArguments, terminal: Terminal): Promise<readonly Profile[]> {
  const { 'palette-endpoint': endpoint, 'palette-profile': profiles = [], 'palette-project': project } = args;
  if (endpoint === undefined && profiles.length === 0) return [];
  if (endpoint === undefined) throw usageError('--palette-profile is given, and no --palette-endpoint');
  if (profiles.length === 0) throw usageError('--palette-endpoint is given, and no --palette-profile');
  const { fetchProfiles } = await import('../palette/fetch-profiles.ts');
  const apiKey = await readApiKey(args, terminal);
  const transport = await readTransportOptions(args, terminal);
  return fetchProfiles({ ...transport, endpoint, apiKey, profiles, project, signal: terminal.signal });
}

async function readApiKey(args: InputArguments, { environment }: Terminal): Promise<string> {
  const file = args['palette-api-key-file'];
  const key = file === undefined ? environment.EDGE_BUNDLE_PALETTE_API_KEY : await readTextFile(file, 'the API key');
  if (key === undefined || key.trim() === '') {
    throw usageError('no API key is given', 'Give --palette-api-key-file or EDGE_BUNDLE_PALETTE_API_KEY.');
  }
  return key.trim();
}

interface OpenPackages {
  readonly packages: Packages;
  close(): Promise<void>;
}

/** Where packs and charts come from. A client is made only where something has to be fetched: that takes time. */
async function openPackages(
  args: InputArguments,
  profiles: readonly Profile[],
  terminal: Terminal,
): Promise<OpenPackages> {
  const { Packages } = await import('../resolve/packages.ts');
  const { PackFolder } = await import('../profile/packs/pack-folder.ts');
  const bases = args['pack-registry'] ?? [];
  const addresses = profiles.flatMap((profile) =>
    'source' in profile && profile.source === 'remote' ? [profile.file] : [],
  );
  const hosts = [...bases.map((base) => hostOf(`oci://${base.replace(/^oci:\/\//, '')}`)), ...addresses.map(hostOf)];
  const connections: { close(): Promise<void> }[] = [];
  let opened: Promise<Connections> | undefined;
  const connect = (): Promise<Connections> =>
    (opened ??= openConnections(args, hosts, terminal).then((made) => {
      connections.push(made.client, made.download.transport);
      return made;
    }));
  const folders = (args['pack-dir'] ?? []).map((folder) => new PackFolder(folder));
  return {
    packages: new Packages({ sources: [...folders, ...(await openRegistries(bases, connect))], connect }),
    close: async () => {
      await Promise.all(connections.map((connection) => connection.close()));
    },
  };
}

async function openRegistries(
  bases: readonly string[],
  connect: () => Promise<Connections>,
): Promise<readonly PackSource[]> {
  if (bases.length === 0) return [];
  const { PackRegistry } = await import('../profile/packs/pack-registry.ts');
  const { client } = await connect();
  return bases.map((base) => new PackRegistry(base, client));
}

async function openConnections(
  args: InputArguments,
  hosts: readonly string[],
  terminal: Terminal,
): Promise<Connections & { readonly client: RegistryClient; readonly download: { readonly transport: Transport } }> {
  const { RegistryClient } = await import('../oci-client/registry-client.ts');
  const { Transport } = await import('../oci-client/transport.ts');
  const options = await readClientOptions(args, hosts, terminal);
  return {
    client: new RegistryClient(options),
    download: { transport: new Transport(options), credentials: options.credentials },
  };
}

function hostOf(address: string): string {
  return /^[a-z]+:\/\/([^/]+)/.exec(address)?.[1] ?? address;
}

async function readGiven(args: ProfileArguments): Promise<ReadonlyMap<string, string>> {
  const { parseGivenValue, readGivenValues } = await import('../profile/macros/given-values.ts');
  const files = await Promise.all((args['var-file'] ?? []).map((file) => readGivenValues(file)));
  const kubeVersion = args['kube-version'];
  return new Map([
    ...(kubeVersion === undefined ? [] : [['system.kubernetes.version', kubeVersion.replace(/^v/, '')] as const]),
    ...files.flat(),
    ...(args.var ?? []).map(parseGivenValue),
  ]);
}

async function readChartValues(entries: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
  const { parseYaml } = await import('../profile/yaml-text.ts');
  const { combineProblems, problem } = await import('../profile/problems.ts');
  const values = new Map<string, unknown>();
  for (const entry of entries) {
    const [, chart, file] = /^([^=]+)=(.+)$/s.exec(entry) ?? [];
    if (chart === undefined || file === undefined) throw usageError(`--values: expected CHART=FILE, '${entry}' came`);
    const where = `the values of chart '${chart}' in '${file}'`;
    const text = await readTextFile(file, `the values of chart '${chart}'`);
    const { documents, problems } = parseYaml(text, where, { allowsDuplicateKeys: true });
    if (problems.length > 0) throw combineProblems(where, problems);
    if (documents.length > 1) throw problem(where, `holds ${documents.length} YAML documents, not one`);
    values.set(chart, documents[0]);
  }
  return values;
}
