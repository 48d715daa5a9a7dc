import { registerSecret } from '../redaction.ts';
import { parseRegistry } from './reference.ts';

export interface PasswordCredentials {
  readonly username: string;
  readonly password: string;
}

/** Docker's identity token: an OAuth2 refresh token that stands in the place of the password. */
export interface IdentityTokenCredentials {
  readonly identityToken: string;
}

export type Credentials = PasswordCredentials | IdentityTokenCredentials;

export interface CredentialRequest {
  /** What of the registry is wanted: there may be a login for a part of it. */
  readonly repository?: string | undefined;
  /** What was found before does not work any more. Default: it may be given again. */
  readonly isFresh?: boolean | undefined;
}

/** Knows who logs in where. */
export interface CredentialSource {
  /**
   * The login for `registry` (a host in normal form, see `parseRegistry`), or undefined where it has none.
   *
   * @throws EdgeBundleError CREDENTIALS_INVALID, FILE_FAILED
   */
  find(registry: string, request?: CredentialRequest): Promise<Credentials | undefined>;
}

/** The Authorization header of basic authentication: RFC 7617, in UTF-8. */
export function basicAuthorization(credentials: PasswordCredentials): string {
  const encoded = Buffer.from(`${credentials.username}:${credentials.password}`, 'utf8').toString('base64');
  registerSecret(encoded);
  return `Basic ${encoded}`;
}

/** One user for one registry. */
export class FixedCredentials implements CredentialSource {
  readonly #registry: string;
  readonly #credentials: PasswordCredentials;

  /** @throws EdgeBundleError REFERENCE_INVALID where `registry` is not a host */
  constructor(registry: string, credentials: PasswordCredentials) {
    this.#registry = parseRegistry(registry);
    this.#credentials = credentials;
    registerSecret(credentials.password);
  }

  find(registry: string): Promise<Credentials | undefined> {
    return Promise.resolve(registry === this.#registry ? this.#credentials : undefined);
  }
}

/** Asks one source after the other; the first that knows the registry wins. */
export class CredentialChain implements CredentialSource {
  readonly #sources: readonly CredentialSource[];

  constructor(sources: readonly CredentialSource[]) {
    this.#sources = sources;
  }

  async find(registry: string, request?: CredentialRequest): Promise<Credentials | undefined> {
    for (const source of this.#sources) {
      const found = await source.find(registry, request);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
