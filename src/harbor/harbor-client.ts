import type { Digest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { CredentialSource } from '../oci-client/credentials.ts';
import type { HttpResponse } from '../oci-client/http-response.ts';
import { parseRegistry } from '../oci-client/reference.ts';
import { type HttpRequest, Transport, type TransportOptions } from '../oci-client/transport.ts';
import type { WaitOptions } from '../oci-client/wait-for.ts';
import {
  artifactSchema,
  currentUserSchema,
  healthSchema,
  projectSchema,
  readAnswer,
  summarySchema,
  systemInfoSchema,
} from './harbor-answers.ts';
import { harborError, readOnlyError } from './harbor-error.ts';
import { type ReadinessSource, waitForHarbor } from './wait-for-harbor.ts';

export interface HarborClientOptions extends TransportOptions {
  /** Without a login only `ping`, `health` and a little of `systemInfo` are answered. */
  readonly credentials?: CredentialSource | undefined;
}

export interface HarborComponent {
  readonly name: string;
  readonly isHealthy: boolean;
  readonly error?: string | undefined;
}

export interface HarborHealth {
  /** Whether all components are healthy; Harbor answers with status 200 in both cases. */
  readonly isHealthy: boolean;
  readonly components: readonly HarborComponent[];
}

export interface HarborSystemInfo {
  /** Undefined without a login. */
  readonly version?: string | undefined;
  readonly externalUrl?: string | undefined;
  readonly isReadOnly: boolean;
}

export interface ProjectOptions extends OperationOptions {
  /** Whether everybody may pull. Default: false. */
  readonly public?: boolean | undefined;
  /** In bytes; -1: none, whatever Harbor's default is. Default: Harbor's. */
  readonly storageLimit?: number | undefined;
}

export interface ProjectQuota {
  /** In bytes; undefined: no limit. */
  readonly hardBytes?: number | undefined;
  readonly usedBytes: number;
}

const creationHints: Readonly<Record<number, string>> = {
  400: "A project's name has lower-case letters and digits, joined by '.', '_' or '-', at most 255.",
  403: "Only an administrator, or a robot account of the system, may create projects here: have one create it and give the user the developer's role in it.",
};

const maxAuthorityBytes = 64 * 1024;

/** Without these nothing can be pushed; the others (job service, scanner, portal) may come later. */
export const essentialComponents: ReadonlySet<string> = new Set(['core', 'registry', 'database', 'redis']);

export interface ReadyOptions extends OperationOptions {
  /** Whoever asks asks again: what fails for the moment is told at once. Default: false. */
  readonly isOneOfMany?: boolean | undefined;
}

interface ApiRequest extends Pick<HttpRequest, 'what' | 'headers' | 'body'>, ReadyOptions {
  /** Checking a password is slow in Harbor on purpose: not where none is asked for. */
  readonly isAnonymous?: boolean;
}

/** What only Harbor has: `/api/v2.0` of Harbor 2.x. Content goes through `RegistryClient`. */
export class HarborClient implements ReadinessSource {
  /** Host and port, in normal form. */
  readonly registry: string;
  readonly #transport: Transport;
  readonly #credentials: CredentialSource | undefined;

  /** @throws EdgeBundleError REFERENCE_INVALID where `registry` is not a host, CONFIG_INVALID */
  constructor(registry: string, options: HarborClientOptions = {}) {
    this.registry = parseRegistry(registry);
    this.#transport = new Transport(options);
    this.#credentials = options.credentials;
  }

  /** @throws EdgeBundleError HARBOR_ERROR where something else than Harbor answers, REGISTRY_UNAVAILABLE, TIMEOUT, TLS_UNTRUSTED */
  async ping(options: OperationOptions = {}): Promise<void> {
    const response = await this.#send('GET', 'ping', { ...options, what: 'cannot reach Harbor', isAnonymous: true });
    if (response.status !== 200) throw await harborError(response);
    await response.discard();
  }

  async health(options: ReadyOptions = {}): Promise<HarborHealth> {
    const what = "cannot ask for Harbor's health";
    const response = await this.#send('GET', 'health', { ...options, what, isAnonymous: true });
    if (response.status !== 200) throw await harborError(response);
    const { status, components } = await readAnswer(response, healthSchema);
    return {
      isHealthy: status === 'healthy',
      components: components.map(({ name, status: state, error }) => ({ name, isHealthy: state === 'healthy', error })),
    };
  }

  /** The CA that signed Harbor's certificate, in PEM; undefined where Harbor gives none. */
  async authority(options: OperationOptions = {}): Promise<string | undefined> {
    const what = `cannot get the CA of Harbor at ${this.registry}`;
    const response = await this.#send('GET', 'systeminfo/getcert', { ...options, what, isAnonymous: true });
    if (response.status === 404) {
      await response.discard();
      return undefined;
    }
    if (response.status !== 200) throw await harborError(response);
    return (await response.read(maxAuthorityBytes)).toString('utf8');
  }

  async systemInfo(options: ReadyOptions = {}): Promise<HarborSystemInfo> {
    const response = await this.#send('GET', 'systeminfo', { ...options, what: 'cannot ask Harbor about itself' });
    if (response.status !== 200) throw await harborError(response);
    const { harbor_version, external_url, read_only } = await readAnswer(response, systemInfoSchema);
    return { version: harbor_version, externalUrl: external_url, isReadOnly: read_only ?? false };
  }

  /** @throws EdgeBundleError AUTH_FAILED, ACCESS_DENIED, HARBOR_ERROR */
  async projectExists(name: string, options: OperationOptions = {}): Promise<boolean> {
    const path = `projects?project_name=${encodeURIComponent(name)}`;
    const response = await this.#send('HEAD', path, { ...options, what: `cannot look for project '${name}'` });
    if (response.status !== 200 && response.status !== 404) throw await harborError(response);
    await response.discard();
    return response.status === 200;
  }

  /**
   * Creates a project where there is none of that name. One that exists stays as it is.
   *
   * @returns whether it was created
   * @throws EdgeBundleError AUTH_FAILED; ACCESS_DENIED where the user may not create projects; READ_ONLY; HARBOR_ERROR
   */
  async ensureProject(name: string, options: ProjectOptions = {}): Promise<boolean> {
    const { public: isPublic = false, storageLimit, signal } = options;
    if (await this.projectExists(name, { signal })) return false;
    const project = {
      project_name: name,
      metadata: { public: String(isPublic) },
      ...(storageLimit === undefined ? {} : { storage_limit: storageLimit }),
    };
    const response = await this.#send('POST', 'projects', {
      what: `cannot create project '${name}'`,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(project)),
      signal,
    });
    // 409: somebody else has just created it.
    if (response.status !== 201 && response.status !== 409)
      throw await harborError(response, creationHints[response.status]);
    await response.discard();
    return response.status === 201;
  }

  /**
   * Whether this login may create projects: an administrator may, everybody where Harbor is set so. Undefined for a robot account,
   * which Harbor tells nothing of itself.
   *
   * @throws EdgeBundleError AUTH_FAILED, HARBOR_ERROR
   */
  async mayCreateProjects(options: OperationOptions = {}): Promise<boolean | undefined> {
    const what = 'cannot ask Harbor for the rights of this login';
    const information = await this.#send('GET', 'systeminfo', { ...options, what });
    if (information.status !== 200) throw await harborError(information);
    const { project_creation_restriction: restriction } = await readAnswer(information, systemInfoSchema);
    const response = await this.#send('GET', 'users/current', { ...options, what });
    if (response.status === 401) throw await harborError(response);
    if (response.status !== 200) {
      await response.discard();
      return undefined;
    }
    return (await readAnswer(response, currentUserSchema)).sysadmin_flag === true || restriction === 'everyone';
  }

  /**
   * Whether everybody may pull from a project.
   *
   * @throws EdgeBundleError AUTH_FAILED, ACCESS_DENIED, HARBOR_ERROR, also where there is no such project
   */
  async isProjectPublic(name: string, options: OperationOptions = {}): Promise<boolean> {
    const response = await this.#send('GET', `projects/${encodeURIComponent(name)}`, {
      ...options,
      what: `cannot ask for project '${name}'`,
      // A name of digits would be taken for an id.
      headers: { 'x-is-resource-name': 'true' },
    });
    if (response.status !== 200) throw await harborError(response);
    return (await readAnswer(response, projectSchema)).metadata.public === 'true';
  }

  /** @throws EdgeBundleError AUTH_FAILED, ACCESS_DENIED, HARBOR_ERROR, also where there is no such project */
  async projectQuota(name: string, options: OperationOptions = {}): Promise<ProjectQuota | undefined> {
    const response = await this.#send('GET', `projects/${encodeURIComponent(name)}/summary`, {
      ...options,
      what: `cannot ask for the quota of project '${name}'`,
      // A name of digits would be taken for an id.
      headers: { 'x-is-resource-name': 'true' },
    });
    if (response.status !== 200) throw await harborError(response);
    const { quota } = await readAnswer(response, summarySchema);
    if (quota === undefined) return undefined;
    const { hard, used } = quota;
    return { hardBytes: hard.storage === -1 ? undefined : hard.storage, usedBytes: used.storage };
  }

  /**
   * Whether Harbor takes content now: the parts that a push needs are healthy, `/v2/` answers with this login, and it is not in
   * read-only mode.
   *
   * @throws EdgeBundleError REGISTRY_UNAVAILABLE with the components that are not healthy; READ_ONLY; AUTH_FAILED; and those of
   *   `health`
   */
  async ensureReady({ signal, isOneOfMany = false }: ReadyOptions = {}): Promise<void> {
    const { components } = await this.health({ signal, isOneOfMany });
    const ill = components.filter((component) => !component.isHealthy && essentialComponents.has(component.name));
    if (ill.length > 0) {
      const list = ill.map((component) => `${component.name} (${component.error ?? 'unhealthy'})`).join(', ');
      throw new EdgeBundleError('REGISTRY_UNAVAILABLE', `Harbor at ${this.registry} is not healthy: ${list}`, {
        hint: 'It may still be starting: try again later.',
      });
    }
    await this.#ensureRegistry({ signal, isOneOfMany });
    const { isReadOnly } = await this.systemInfo({ signal, isOneOfMany });
    if (isReadOnly) throw readOnlyError(`Harbor at ${this.registry} takes no content: it is in read-only mode`);
  }

  /** Waits until `ensureReady` has nothing to say against it: see `waitForHarbor`. */
  async waitUntilReady(options: WaitOptions = {}): Promise<void> {
    await waitForHarbor(this, options);
  }

  /**
   * The digest of what `reference`, a tag or a digest, leads to, by the API: also where a project's rules (vulnerabilities,
   * signatures) keep its content from being pulled. Undefined where there is nothing.
   *
   * @throws EdgeBundleError AUTH_FAILED, ACCESS_DENIED, HARBOR_ERROR
   */
  async artifactDigest(
    repository: string,
    reference: string,
    options: OperationOptions = {},
  ): Promise<Digest | undefined> {
    const [project = '', ...rest] = repository.split('/');
    // Twice: what stands before Harbor's core decodes it once.
    const name = encodeURIComponent(encodeURIComponent(rest.join('/')));
    const path = `projects/${encodeURIComponent(project)}/repositories/${name}/artifacts/${encodeURIComponent(reference)}`;
    const response = await this.#send('GET', path, {
      ...options,
      what: `cannot look for '${reference}' in ${repository}`,
      headers: { 'x-is-resource-name': 'true' },
    });
    if (response.status === 404) {
      await response.discard();
      return undefined;
    }
    if (response.status !== 200) throw await harborError(response);
    return (await readAnswer(response, artifactSchema)).digest;
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  /** A health that is good says nothing of what stands between: content goes through `/v2/`. */
  async #ensureRegistry(options: ReadyOptions): Promise<void> {
    const what = `cannot use the registry of Harbor at ${this.registry}`;
    const response = await this.#send('GET', '/v2/', { ...options, what });
    const isLoggedIn = (await this.#credentials?.find(this.registry)) !== undefined;
    // Without a login that is the good answer.
    if (response.status !== 200 && !(response.status === 401 && !isLoggedIn)) throw await harborError(response);
    await response.discard();
  }

  /** @param path below `/api/v2.0/`, or from the root on where it begins with a slash */
  async #send(method: HttpRequest['method'], path: string, request: ApiRequest): Promise<HttpResponse> {
    const { what, headers, body, signal, isAnonymous = false, isOneOfMany = false } = request;
    return this.#transport.send({
      what,
      method,
      url: new URL(path, new URL('api/v2.0/', this.#transport.endpoint(this.registry))),
      headers,
      body,
      attempts: isOneOfMany ? this.#transport.traffic.retries.beginOnly() : undefined,
      signal,
      authorization: isAnonymous ? undefined : await this.#authorization(),
    });
  }

  async #authorization(): Promise<string | undefined> {
    const credentials = await this.#credentials?.find(this.registry);
    if (credentials === undefined) return undefined;
    if (!('password' in credentials)) {
      throw new EdgeBundleError('CREDENTIALS_INVALID', `for ${this.registry} there is an identity token only`, {
        hint: "Harbor's API wants a user name and a password.",
      });
    }
    const { username, password } = credentials;
    return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
  }
}
