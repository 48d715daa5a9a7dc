import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { registerSecret } from '../redaction.ts';
import type { Peer } from './dispatchers.ts';
import { allCapabilities, type Capability, type Endpoint, type Route, type RouteSource } from './endpoint.ts';
import { type HostSettings, type HostsToml, parseHostsToml } from './hosts-toml.ts';
import { parseRegistry } from './reference.ts';
import { type ClientCertificate, createTlsContext } from './tls-context.ts';

/** A host that is ready to be used. */
interface ConfiguredHost {
  readonly endpoint: Endpoint;
  readonly capabilities: ReadonlySet<Capability>;
}

/** A file that has been read, with all that it names. */
interface HostsFile {
  readonly mirrors: readonly ConfiguredHost[];
  readonly server: HostSettings;
  readonly serverTls: Omit<Peer, 'origin'>;
  readonly path: string;
}

const mirrorCapabilities: ReadonlySet<Capability> = new Set(['pull', 'resolve']);

/**
 * Mirrors as containerd has them: a folder with `<host>_<port>_/hosts.toml`, `<host>:<port>/hosts.toml` or
 * `<host>/hosts.toml`, and `_default/hosts.toml` for all other registries. Hosts are asked in the order of the file, the
 * registry itself (`server`) last. Two things are not as in containerd: a mirror is written to only where its
 * capabilities name `push`, and a file that is malformed is an error.
 */
export class HostsDirectory implements RouteSource {
  readonly #folder: string;
  readonly #files = new Map<string, Promise<HostsFile | undefined>>();
  readonly #upstreams = new Map<string, ConfiguredHost>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws EdgeBundleError FILE_FAILED where there is no such folder: somebody named it */
  static async open(folder: string): Promise<HostsDirectory> {
    await readdir(folder).catch((error: unknown) => {
      throw fileError(error, `cannot read the mirrors in '${folder}'`);
    });
    return new HostsDirectory(folder);
  }

  async find(
    registry: string,
    repository: string,
    rootOf: (registry: string) => URL,
  ): Promise<readonly Route[] | undefined> {
    const file = await this.#fileFor(registry);
    if (file === undefined) return undefined;
    const upstream = this.#upstream(registry, file, rootOf);
    const mirrors = file.mirrors.map((host) => ({ ...host, repository, namespace: registry }));
    return [...mirrors, { ...upstream, repository }];
  }

  async #fileFor(registry: string): Promise<HostsFile | undefined> {
    for (const name of folderNames(registry)) {
      const path = join(this.#folder, name, 'hosts.toml');
      const reading = this.#files.get(path) ?? readHostsFile(path);
      this.#files.set(path, reading);
      const file = await reading;
      if (file !== undefined) return file;
    }
    return undefined;
  }

  #upstream(registry: string, file: HostsFile, rootOf: (registry: string) => URL): ConfiguredHost {
    const known = this.#upstreams.get(registry);
    if (known !== undefined) return known;
    const { server, serverTls } = file;
    const root = server.root ?? new URL('v2/', rootOf(registry));
    const endpoint = {
      registry: server.root === undefined ? registry : registryAt(server.root, file.path),
      root,
      peer: { origin: root.origin, ...serverTls },
    };
    const host = { endpoint, capabilities: new Set(server.capabilities ?? allCapabilities) };
    this.#upstreams.set(registry, host);
    return host;
  }
}

function folderNames(registry: string): readonly string[] {
  const withPort = registry.replace(/:([0-9]+)$/, '_$1_');
  return [...new Set([withPort, registry, '_default'])];
}

async function readHostsFile(path: string): Promise<HostsFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read the mirrors in '${path}'`);
  }
  const { mirrors, server }: HostsToml = parseHostsToml(text, path);
  return {
    mirrors: await Promise.all(mirrors.map((settings) => mirrorOf(settings, path))),
    server,
    serverTls: await readTls(server, path),
    path,
  };
}

async function mirrorOf(settings: HostSettings, path: string): Promise<ConfiguredHost> {
  const { root } = settings;
  if (root === undefined) throw new EdgeBundleError('CONFIG_INVALID', `'${path}' names a host without an address`);
  const peer = { origin: root.origin, ...(await readTls(settings, path)) };
  return {
    endpoint: { registry: registryAt(root, path), root, peer },
    capabilities: new Set(settings.capabilities ?? mirrorCapabilities),
  };
}

/** Whose login is used there. */
function registryAt({ host }: URL, path: string): string {
  try {
    return parseRegistry(host);
  } catch (cause) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${path}' names '${host}', which is no host`, { cause });
  }
}

async function readTls(settings: HostSettings, path: string): Promise<Omit<Peer, 'origin'>> {
  const { caFiles, clientFiles, skipVerify, headers } = settings;
  const read = (name: string): Promise<string> => readNear(path, name);
  const authorities = await Promise.all(caFiles.map(read));
  const clientCertificates = await Promise.all(
    clientFiles.map(async ([certificateFile, keyFile]): Promise<ClientCertificate> => {
      const certificate = await read(certificateFile);
      return { certificate, key: keyFile === undefined || keyFile === '' ? certificate : await read(keyFile) };
    }),
  );
  try {
    createTlsContext({ ca: authorities, clientCertificates });
  } catch (cause) {
    const reason = cause instanceof EdgeBundleError ? cause.about(`'${path}'`) : cause;
    throw reason;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (/auth|token|key|secret|cookie/i.test(name)) for (const secret of [value].flat()) registerSecret(secret);
  }
  return {
    ca: authorities.length === 0 ? undefined : authorities.join('\n'),
    insecure: skipVerify,
    clientCertificates,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
  };
}

async function readNear(path: string, name: string): Promise<string> {
  const file = resolve(dirname(path), name);
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw fileError(error, `cannot read '${file}', which '${path}' names`);
  });
}
