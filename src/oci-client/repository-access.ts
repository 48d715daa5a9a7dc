import type { HttpResponse } from './http-response.ts';
import type { RegistryConnection, RegistryRequest } from './registry-connection.ts';
import type { Traffic } from './traffic.ts';

/** Requests to one repository of a registry: OCI distribution-spec v1.1, `/v2/<name>/`. */
export class RepositoryAccess {
  readonly registry: string;
  readonly name: string;
  /** `localhost:5000/library/nginx`, for messages. */
  readonly label: string;
  readonly #connection: RegistryConnection;

  constructor(connection: RegistryConnection, name: string) {
    this.registry = connection.registry;
    this.name = name;
    this.label = `${connection.registry}/${name}`;
    this.#connection = connection;
  }

  get traffic(): Traffic {
    return this.#connection.traffic;
  }

  /** Whether more than one host is asked for its content. */
  hasMirrors(): Promise<boolean> {
    return this.#connection.hasMirrors(this.name);
  }

  /** @throws EdgeBundleError those of `RegistryConnection.send` */
  send(request: RegistryRequest): Promise<HttpResponse> {
    return this.#connection.send(this.name, request);
  }
}
