import * as z from 'zod';

import { EdgeBundleError } from '../errors.ts';
import { registerSecret } from '../redaction.ts';
import type { Credentials, CredentialSource } from './credentials.ts';
import { parseCredentialText, readCredentialText, registryOfKey } from './credential-text.ts';

const entrySchema = z.object({
  endpoint: z.string(),
  username: z.string(),
  /** A Google service account's key is the password of `_json_key`, as a JSON object. */
  password: z.union([z.string(), z.record(z.string(), z.unknown())], { error: 'expected a string or an object' }),
});

const fileSchema = z.object({ image: z.array(entrySchema).optional(), helm: z.array(entrySchema).optional() });

/**
 * The credentials file of the vendor's builder, `{"image":[{"endpoint","username","password"}],"helm":[…]}`. Where
 * both lists name a registry, `image` wins.
 */
export class CredentialsFile implements CredentialSource {
  readonly #origin: string;
  readonly #read: () => Promise<string | undefined>;
  #logins: Promise<ReadonlyMap<string, Credentials>> | undefined;

  /** @param read gives the text; by default it is the file's. `path` names it then */
  constructor(path: string, read: () => Promise<string | undefined> = () => readCredentialText(path)) {
    this.#origin = `'${path}'`;
    this.#read = read;
  }

  async find(registry: string): Promise<Credentials | undefined> {
    this.#logins ??= this.#load();
    return (await this.#logins).get(registry);
  }

  async #load(): Promise<ReadonlyMap<string, Credentials>> {
    const text = await this.#read();
    if (text === undefined)
      throw new EdgeBundleError('FILE_FAILED', `the credentials file ${this.#origin} does not exist`);
    const file = parseCredentialText(text, fileSchema, this.#origin);
    const logins = new Map<string, Credentials>();
    for (const { endpoint, username, password } of [...(file.image ?? []), ...(file.helm ?? [])]) {
      const registry = registryOfKey(endpoint);
      if (registry === undefined || logins.has(registry)) continue;
      const secret = typeof password === 'string' ? password : JSON.stringify(password);
      registerSecret(secret);
      logins.set(registry, { username, password: secret });
    }
    return logins;
  }
}
