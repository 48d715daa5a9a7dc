import { join } from 'node:path';

import * as z from 'zod';

import { homeFolder } from '../files/home-folder.ts';
import { registerSecret } from '../redaction.ts';
import { CredentialChain, type CredentialRequest, type Credentials, type CredentialSource } from './credentials.ts';
import { CredentialHelper, type CredentialHelperOptions } from './credential-helper.ts';
import { invalidCredentials, parseCredentialText, readCredentialText, registryOfKey } from './credential-text.ts';
import { dockerHub } from './reference.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The logins that Docker's and Podman's tools would use, in this order: the variable `DOCKER_AUTH_CONFIG` (the text of a
 * config file), the file that `REGISTRY_AUTH_FILE` names, or else `$XDG_RUNTIME_DIR/containers/auth.json` and
 * `config.json` in `$DOCKER_CONFIG` or `~/.docker`. A file that is not there holds none.
 */
export function credentialsFromEnvironment(environment: Environment = process.env): CredentialSource {
  const read = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const text = read('DOCKER_AUTH_CONFIG');
  const podmanFile = read('REGISTRY_AUTH_FILE');
  const runtimeFolder = read('XDG_RUNTIME_DIR');
  const files =
    podmanFile === undefined
      ? [runtimeFolder && join(runtimeFolder, 'containers', 'auth.json'), dockerConfigPath(environment)]
      : [podmanFile];
  const known = files.filter((path) => path !== undefined);
  const fromText = (content: string): CredentialSource =>
    new DockerConfig('the variable DOCKER_AUTH_CONFIG', () => Promise.resolve(content), { environment });
  return new CredentialChain([
    ...(text === undefined ? [] : [fromText(text)]),
    ...known.map((path) => dockerConfigFile(path, { environment })),
  ]);
}

/** `config.json` in `$DOCKER_CONFIG` or `~/.docker`; undefined where the user has no home. */
export function dockerConfigPath(environment: Environment): string | undefined {
  const { DOCKER_CONFIG: folder } = environment;
  if (folder !== undefined && folder !== '') return join(folder, 'config.json');
  const home = homeFolder(environment);
  return home === undefined ? undefined : join(home, '.docker', 'config.json');
}

/**
 * The logins of a Docker config file or of Podman's auth.json: those in `auths`, and those of the helper programs in
 * `credHelpers` (for one registry) and `credsStore` (for all), which come first.
 */
export function dockerConfigFile(
  path: string,
  helpers: CredentialHelperOptions = { environment: process.env },
): CredentialSource {
  return new DockerConfig(`'${path}'`, () => readCredentialText(path), helpers);
}

const authSchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});

type Auth = z.infer<typeof authSchema>;

export const dockerConfigSchema = z.object({
  auths: z.record(z.string(), authSchema).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});

interface Logins {
  /** By registry, or by registry and the first parts of a path. */
  readonly auths: ReadonlyMap<string, Auth>;
  readonly helpers: ReadonlyMap<string, string>;
  readonly store: string | undefined;
}

class DockerConfig implements CredentialSource {
  readonly #origin: string;
  readonly #read: () => Promise<string | undefined>;
  readonly #helperOptions: CredentialHelperOptions;
  readonly #helped = new Map<string, Promise<Credentials | undefined>>();
  #logins: Promise<Logins> | undefined;

  constructor(origin: string, read: () => Promise<string | undefined>, helpers: CredentialHelperOptions) {
    this.#origin = origin;
    this.#read = read;
    this.#helperOptions = helpers;
  }

  async find(registry: string, request: CredentialRequest = {}): Promise<Credentials | undefined> {
    if (request.isFresh === true) {
      this.#logins = undefined;
      this.#helped.delete(registry);
    }
    this.#logins ??= this.#load();
    const logins = await this.#logins;
    const helped = await this.#askHelper(registry, logins);
    if (helped !== undefined) return helped;
    for (const name of prefixesOf(registry, request.repository)) {
      const auth = logins.auths.get(name);
      const known = auth === undefined ? undefined : credentialsOf(auth, `${this.#origin} (${name})`);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  async #load(): Promise<Logins> {
    const text = await this.#read();
    const config = text === undefined ? {} : parseCredentialText(text, dockerConfigSchema, this.#origin);
    const auths = new Map<string, Auth>();
    for (const [key, auth] of Object.entries(config.auths ?? {})) {
      const name = nameOfKey(key);
      if (name !== undefined && !auths.has(name)) auths.set(name, auth);
    }
    const helpers = Object.entries(config.credHelpers ?? {}).flatMap(([key, helper]) => {
      const registry = registryOfKey(key);
      return registry === undefined ? [] : [[registry, helper] as const];
    });
    return { auths, helpers: new Map(helpers), store: config.credsStore };
  }

  async #askHelper(registry: string, logins: Logins): Promise<Credentials | undefined> {
    const own = logins.helpers.get(registry);
    const name = own ?? logins.store;
    if (name === undefined || name === '') return undefined;
    const known = this.#helped.get(registry);
    if (known !== undefined) return known;
    // A store that is not there matters only where a login has been put into it: that leaves an empty entry.
    const isNeeded = own !== undefined || isEmpty(logins.auths.get(registry));
    const asked = this.#get(name, registry, isNeeded);
    this.#helped.set(registry, asked);
    asked.catch(() => this.#helped.delete(registry));
    return asked;
  }

  async #get(name: string, registry: string, isNeeded: boolean): Promise<Credentials | undefined> {
    const helper = new CredentialHelper(name, this.#helperOptions);
    const found = await helper.get(serverName(registry));
    if (found !== 'not-installed') return found;
    if (!isNeeded) return undefined;
    throw invalidCredentials(this.#origin, `it leaves ${registry} to '${helper.program}', which is not in PATH`);
  }
}

/** What a registry is called in Docker's config file, and to a helper. */
export function serverName(registry: string): string {
  return registry === dockerHub ? 'https://index.docker.io/v1/' : registry;
}

/**
 * What a key of `auths` is for, in normal form: a whole registry (`https://index.docker.io/v1/`, `ghcr.io`), or a part
 * of one (`quay.io/team`), as Podman has it. Undefined where it is neither.
 */
export function nameOfKey(key: string): string | undefined {
  const registry = registryOfKey(key);
  if (registry === undefined || /^(https?:\/\/[^/]+(\/.*)?|[^/]+(\/(v[12]\/?)?)?)$/.test(key)) return registry;
  return `${registry}/${key.slice(key.indexOf('/') + 1).replace(/\/+$/, '')}`;
}

/** The most exact name first: `quay.io/team/app`, `quay.io/team`, `quay.io`. */
function prefixesOf(registry: string, repository: string | undefined): readonly string[] {
  const parts = repository === undefined || repository === '' ? [] : repository.split('/');
  return Array.from({ length: parts.length + 1 }, (_, dropped) =>
    [registry, ...parts.slice(0, parts.length - dropped)].join('/'),
  );
}

function isEmpty(auth: Auth | undefined): boolean {
  return auth !== undefined && !auth.auth && !auth.identitytoken && !auth.username;
}

function credentialsOf(auth: Auth, origin: string): Credentials | undefined {
  if (auth.identitytoken) {
    registerSecret(auth.identitytoken);
    return { identityToken: auth.identitytoken };
  }
  if (auth.auth) {
    registerSecret(auth.auth);
    const text = Buffer.from(auth.auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 1) throw invalidCredentials(origin, "'auth' is not user:password in base64");
    // Docker fills the password up with NULs.
    return known(text.slice(0, colon), text.slice(colon + 1).replace(/\0+$/, ''));
  }
  // A credential helper leaves an empty entry behind.
  return auth.username && auth.password !== undefined ? known(auth.username, auth.password) : undefined;
}

/** Docker's config file names the user of an identity token so, too. */
function known(username: string, password: string): Credentials {
  registerSecret(password);
  return username === '<token>' ? { identityToken: password } : { username, password };
}
