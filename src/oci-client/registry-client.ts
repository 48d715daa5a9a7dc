import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { Authenticator } from './authenticator.ts';
import type { CredentialSource } from './credentials.ts';
import { EndpointHealth } from './endpoint-health.ts';
import { isRepositoryName, parseRegistry } from './reference.ts';
import { type ConnectionContext, RegistryConnection } from './registry-connection.ts';
import { Repository, type RepositoryOptions } from './repository.ts';
import { RepositoryAccess } from './repository-access.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { RouteFinder, type RouteOptions } from './route-finder.ts';
import { type ServedByHost, ServedCounter } from './served.ts';
import { Transport, type TransportOptions } from './transport.ts';

export interface RegistryClientOptions extends TransportOptions, RepositoryOptions, RouteOptions {
  /** Who logs in where. Default: everything is asked for anonymously. */
  readonly credentials?: CredentialSource | undefined;
}

export interface PingOptions extends OperationOptions {
  /** Whoever asks asks again: what fails for the moment is told at once. Default: false. */
  readonly isOneOfMany?: boolean | undefined;
}

/** A client of OCI registries: one for all that a program does, since its repositories share connections and logins. */
export class RegistryClient {
  readonly #options: RegistryClientOptions;
  readonly #transport: Transport;
  readonly #context: ConnectionContext;
  readonly #repositories = new Map<string, Repository>();

  /** @throws EdgeBundleError CONFIG_INVALID where `ca` holds no certificate, REFERENCE_INVALID for a bad host */
  constructor(options: RegistryClientOptions = {}) {
    this.#options = options;
    this.#transport = new Transport(options);
    this.#context = {
      transport: this.#transport,
      authenticator: new Authenticator(this.#transport, options.credentials),
      routes: new RouteFinder(options, (registry) => this.#transport.endpoint(registry)),
      health: new EndpointHealth(),
      served: new ServedCounter(),
    };
  }

  /**
   * A repository, the same object each time. Nothing is sent yet.
   *
   * @throws EdgeBundleError REFERENCE_INVALID
   */
  repository(registry: string, repository: string): Repository {
    const connection = this.#connection(registry);
    if (!isRepositoryName(repository)) {
      throw new EdgeBundleError('REFERENCE_INVALID', `${JSON.stringify(repository)} is not the name of a repository`);
    }
    const access = new RepositoryAccess(connection, repository);
    const known = this.#repositories.get(access.label);
    if (known !== undefined) return known;
    const opened = new Repository(access, this.#options);
    this.#repositories.set(access.label, opened);
    return opened;
  }

  /**
   * Whether `registry` answers, and takes the login where there are credentials for it: without these, a registry that
   * wants a login is fine too, for some of its repositories may be public.
   *
   * @throws EdgeBundleError AUTH_FAILED, TLS_UNTRUSTED, REGISTRY_UNAVAILABLE, TIMEOUT, REGISTRY_ERROR, ABORTED
   */
  async ping(registry: string, options: PingOptions = {}): Promise<void> {
    await this.#connection(registry).ping(options);
  }

  /** When to try again, for what is made of several requests. */
  get retries(): RetryPolicy {
    return this.#transport.traffic.retries;
  }

  /** What each host has served so far: the registries themselves and their mirrors. */
  get served(): ReadonlyMap<string, ServedByHost> {
    return this.#context.served.hosts;
  }

  /** Ends all connections, used ones too. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  #connection(registry: string): RegistryConnection {
    return new RegistryConnection(parseRegistry(registry), this.#context);
  }
}
