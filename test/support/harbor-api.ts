import type { IncomingMessage, ServerResponse } from 'node:http';

import type { HarborUser } from './harbor-accounts.ts';
import { readBody, sendError, sendJson } from './harbor-answers.ts';
import type { HarborProject, HarborState } from './harbor-state.ts';

const namePattern = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;
const componentNames = ['core', 'registry', 'database', 'redis', 'registryctl', 'portal', 'jobservice', 'trivy'];

export interface HarborApiOptions {
  readonly state: HarborState;
  readonly url: string;
  readonly ca: string;
}

/** `/api/v2.0` of Harbor 2.15, as far as a loader asks for it. */
export class HarborApi {
  readonly #state: HarborState;
  readonly #url: string;
  readonly #ca: string;

  constructor({ state, url, ca }: HarborApiOptions) {
    this.#state = state;
    this.#url = url;
    this.#ca = ca;
  }

  async answer(request: IncomingMessage, response: ServerResponse, user: HarborUser | undefined): Promise<void> {
    const url = new URL(request.url ?? '/', this.#url);
    const path = url.pathname.slice('/api/v2.0'.length);
    const route = `${request.method ?? ''} ${path.replace(/^(\/(?:projects|quotas)\/)[^/]+/, '$1*')}`;
    const named = decodeURIComponent(path.split('/')[2] ?? '');
    switch (route) {
      case 'GET /ping':
        response.writeHead(200, { 'content-type': 'text/plain' }).end('Pong');
        return;
      case 'GET /health':
        this.#health(response);
        return;
      case 'GET /systeminfo':
        this.#systemInfo(response, user);
        return;
      case 'GET /systeminfo/getcert':
        if (!this.#state.knobs.offersCertificate) sendError(response, 404, 'NOT_FOUND', 'certificate not found');
        else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(this.#ca);
        return;
      default:
    }
    if (user === undefined) {
      sendError(response, 401, 'UNAUTHORIZED', 'unauthorized');
      return;
    }
    switch (route) {
      case 'GET /users/current':
        if (user.name.startsWith('robot$')) {
          sendError(response, 412, 'PRECONDITION', 'get current user not available for security context: robot');
        } else {
          sendJson(response, 200, { user_id: 1, username: user.name, sysadmin_flag: user.admin === true });
        }
        return;
      case 'HEAD /projects':
        response.writeHead(this.#state.projects.has(url.searchParams.get('project_name') ?? '') ? 200 : 404).end();
        return;
      case 'POST /projects':
        await this.#createProject(request, response, user);
        return;
      case 'GET /projects/*':
        this.#withProject(named, request, response, (project) => ({
          project_id: project.id,
          name: project.name,
          metadata: { public: String(project.public) },
        }));
        return;
      case 'GET /projects/*/summary':
        this.#withProject(named, request, response, (project) => ({ repo_count: 0, quota: this.#quota(project) }));
        return;
      case 'GET /quotas':
        if (user.admin !== true) sendError(response, 403, 'FORBIDDEN', 'forbidden');
        else this.#quotas(response, url.searchParams.get('reference_id') ?? '');
        return;
      case 'PUT /quotas/*':
        if (user.admin !== true) sendError(response, 403, 'FORBIDDEN', 'forbidden');
        else await this.#setQuota(request, response, Number(named));
        return;
      default:
        if (request.method === 'GET' && path.includes('/artifacts/')) this.#artifact(response, path, request.url ?? '');
        else sendError(response, 404, 'NOT_FOUND', `path ${path} was not found`);
    }
  }

  /** What stands before Harbor's core decodes a path once: a name that was encoded once has slashes then. */
  #artifact(response: ServerResponse, path: string, line: string): void {
    const pattern = /^\/projects\/(?<project>[^/]+)\/repositories\/(?<name>[^/]+)\/artifacts\/(?<reference>[^/]+)$/;
    const { project, name, reference } = pattern.exec(decodeURIComponent(path))?.groups ?? {};
    if (project === undefined || name === undefined || reference === undefined) {
      this.#state.violate('name-encoded-once', `GET ${line}`);
      sendError(response, 404, 'NOT_FOUND', `path ${path} was not found`);
      return;
    }
    const repository = `${project}/${decodeURIComponent(name)}`;
    const digest = this.#state.artifact(repository, reference);
    if (digest === undefined) sendError(response, 404, 'NOT_FOUND', `artifact ${repository}:${reference} not found`);
    else sendJson(response, 200, { digest, type: 'IMAGE', size: 1 });
  }

  #health(response: ServerResponse): void {
    const { unhealthy } = this.#state.knobs;
    const components = componentNames.map((name) =>
      unhealthy.has(name)
        ? { name, status: 'unhealthy', error: `failed to check ${name}` }
        : { name, status: 'healthy' },
    );
    sendJson(response, 200, { status: unhealthy.size === 0 ? 'healthy' : 'unhealthy', components });
  }

  #systemInfo(response: ServerResponse, user: HarborUser | undefined): void {
    const common = { auth_mode: 'db_auth', self_registration: false };
    const { readOnly } = this.#state.knobs;
    const more = {
      harbor_version: 'v2.15.2-e0a4b1c2',
      external_url: this.#url,
      read_only: readOnly,
      project_creation_restriction: 'adminonly',
    };
    sendJson(response, 200, user === undefined ? common : { ...common, ...more });
  }

  async #createProject(request: IncomingMessage, response: ServerResponse, user: HarborUser): Promise<void> {
    if (request.headers['content-type']?.startsWith('application/json') !== true) {
      sendError(response, 415, 'UNSUPPORTED_MEDIA_TYPE', 'unsupported media type');
      return;
    }
    const asked = JSON.parse((await readBody(request)).toString()) as {
      project_name?: unknown;
      metadata?: { public?: unknown };
      storage_limit?: unknown;
    };
    const { project_name: name, metadata, storage_limit: limit } = asked;
    if (this.#state.knobs.readOnly) {
      sendError(response, 403, 'DENIED', 'The system is in read only mode. Any modification is prohibited.');
    } else if (user.admin !== true && user.mayCreateProjects !== true) {
      sendError(response, 403, 'FORBIDDEN', 'Only system admin can create project');
    } else if (typeof name !== 'string' || !namePattern.test(name) || name.length > 255) {
      sendError(
        response,
        400,
        'BAD_REQUEST',
        'project name is not in lower case or longer than 255 or illegal characters',
      );
    } else if (metadata?.public !== undefined && typeof metadata.public !== 'string') {
      sendError(response, 422, 'UNPROCESSABLE_ENTITY', 'metadata.public in body must be of type string');
    } else if (limit !== undefined && (typeof limit !== 'number' || limit < -1)) {
      sendError(response, 400, 'BAD_REQUEST', 'invalid storage_limit');
    } else if (this.#state.projects.has(name)) {
      sendError(response, 409, 'CONFLICT', `The project named ${name} already exists`);
    } else {
      const quotaBytes = user.admin === true && typeof limit === 'number' && limit !== 0 ? limit : undefined;
      const project = this.#state.addProject({
        name,
        public: metadata?.public === 'true',
        quotaBytes,
        owner: user.name,
      });
      response.writeHead(201, { location: `/api/v2.0/projects/${project.id}` }).end();
    }
  }

  /** A numeric name is read as an id, but for `X-Is-Resource-Name: true`. */
  #withProject(
    named: string,
    request: IncomingMessage,
    response: ServerResponse,
    view: (project: HarborProject) => object,
  ): void {
    const isId = /^[0-9]+$/.test(named) && request.headers['x-is-resource-name'] !== 'true';
    const project = isId
      ? [...this.#state.projects.values()].find(({ id }) => id === Number(named))
      : this.#state.projects.get(named);
    if (project === undefined) sendError(response, 404, 'NOT_FOUND', `project ${named} not found`);
    else sendJson(response, 200, view(project));
  }

  #quota(project: HarborProject): object {
    return {
      hard: { storage: this.#state.hardBytes(project) },
      used: { storage: this.#state.usedBytes(project) },
    };
  }

  #quotas(response: ServerResponse, projectId: string): void {
    const found = [...this.#state.projects.values()].filter(({ id }) => String(id) === projectId);
    const body = found.map((project) => ({ id: project.id, ref: { id: project.id }, ...this.#quota(project) }));
    response.setHeader('x-total-count', body.length);
    sendJson(response, 200, body);
  }

  async #setQuota(request: IncomingMessage, response: ServerResponse, id: number): Promise<void> {
    const { hard } = JSON.parse((await readBody(request)).toString()) as { hard: { storage: number } };
    const project = [...this.#state.projects.values()].find((candidate) => candidate.id === id);
    if (project === undefined) {
      sendError(response, 404, 'NOT_FOUND', `quota ${id} not found`);
      return;
    }
    project.quotaBytes = hard.storage;
    response.writeHead(200).end();
  }
}
