import { homedir } from 'node:os';
import { join } from 'node:path';

import { z } from 'zod';

import { registerSecret } from '../redaction.ts';
import { CredentialChain, type Credentials, type CredentialSource } from './credentials.ts';
import { invalidCredentials, parseCredentialText, readCredentialText, registryOfKey } from './credential-text.ts';

/**
 * The logins that Docker's and Podman's tools would use, in this order: the variable `DOCKER_AUTH_CONFIG` (the text of a
 * config file), the file that `REGISTRY_AUTH_FILE` names, or else `$XDG_RUNTIME_DIR/containers/auth.json` and
 * `config.json` in `$DOCKER_CONFIG` or `~/.docker`. A file that is not there holds none.
 */
export function credentialsFromEnvironment(environment: NodeJS.ProcessEnv = process.env): CredentialSource {
  const read = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name]);
  const text = read('DOCKER_AUTH_CONFIG');
  const podmanFile = read('REGISTRY_AUTH_FILE');
  const runtimeFolder = read('XDG_RUNTIME_DIR');
  const dockerFolder = read('DOCKER_CONFIG') ?? join(homedir(), '.docker');
  const files =
    podmanFile === undefined
      ? [
          ...(runtimeFolder === undefined ? [] : [join(runtimeFolder, 'containers', 'auth.json')]),
          join(dockerFolder, 'config.json'),
        ]
      : [podmanFile];
  return new CredentialChain([
    ...(text === undefined ? [] : [new DockerConfig('the variable DOCKER_AUTH_CONFIG', () => Promise.resolve(text))]),
    ...files.map((path) => dockerConfigFile(path)),
  ]);
}

/** The logins in `auths` of a Docker config file or of Podman's auth.json. Credential helpers are not asked. */
export function dockerConfigFile(path: string): CredentialSource {
  return new DockerConfig(`'${path}'`, () => readCredentialText(path));
}

const authSchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});

const configSchema = z.object({ auths: z.record(z.string(), authSchema).optional() });

type Auth = z.infer<typeof authSchema>;

class DockerConfig implements CredentialSource {
  readonly #origin: string;
  readonly #read: () => Promise<string | undefined>;
  #auths: Promise<ReadonlyMap<string, Auth>> | undefined;

  constructor(origin: string, read: () => Promise<string | undefined>) {
    this.#origin = origin;
    this.#read = read;
  }

  async find(registry: string): Promise<Credentials | undefined> {
    this.#auths ??= this.#load();
    const auth = (await this.#auths).get(registry);
    return auth === undefined ? undefined : credentialsOf(auth, `${this.#origin} (${registry})`);
  }

  async #load(): Promise<ReadonlyMap<string, Auth>> {
    const auths = new Map<string, Auth>();
    const text = await this.#read();
    if (text === undefined) return auths;
    const config = parseCredentialText(text, configSchema, this.#origin);
    for (const [key, auth] of Object.entries(config.auths ?? {})) {
      const registry = isWholeRegistry(key) ? registryOfKey(key) : undefined;
      if (registry !== undefined && !auths.has(registry)) auths.set(registry, auth);
    }
    return auths;
  }
}

/** Podman knows logins for a part of a registry too (`quay.io/team`): these are not for all of it. */
function isWholeRegistry(key: string): boolean {
  return /^(https?:\/\/[^/]+(\/.*)?|[^/]+(\/(v[12]\/?)?)?)$/.test(key);
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

function known(username: string, password: string): Credentials {
  registerSecret(password);
  return { username, password };
}
