import type { HttpResponse } from './http-response.ts';
import type { RegistryConnection, RegistryRequest } from './registry-connection.ts';

export interface RepositoryRequest extends Omit<RegistryRequest, 'url' | 'scopes'> {
  /** Below the repository (`blobs/sha256:…`), or an address that the registry gave. */
  readonly path: string | URL;
  readonly actions: 'pull' | 'pull,push' | 'pull,push,delete';
  /** Another repository that is read from. */
  readonly from?: string | undefined;
}

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

  /** @throws EdgeBundleError those of `RegistryConnection.send` */
  send(request: RepositoryRequest): Promise<HttpResponse> {
    const { path, actions, from, ...rest } = request;
    const url = path instanceof URL ? path : new URL(`v2/${this.name}/${path}`, this.#connection.endpoint);
    const scopes = [`repository:${this.name}:${actions}`, ...(from === undefined ? [] : [`repository:${from}:pull`])];
    return this.#connection.send({ ...rest, url, scopes });
  }
}
