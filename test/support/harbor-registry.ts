import { createHash } from 'node:crypto';
import {
  Agent,
  type IncomingMessage,
  request as httpRequest,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { pipeline, Readable } from 'node:stream';

import { type Action, type HarborToken, type HarborUser, projectOf } from './harbor-accounts.ts';
import { readBody, sendError } from './harbor-answers.ts';
import type { HarborProject, HarborState } from './harbor-state.ts';

/** Who sends a request. `sent` tells whether it carried `Authorization` at all, a valid one or not. */
export interface Caller {
  readonly sent: boolean;
  readonly user: HarborUser | undefined;
  readonly token: HarborToken | undefined;
}

export interface HarborRegistryOptions {
  readonly state: HarborState;
  /** Of the Harbor front, as its clients see it. */
  readonly url: string;
  /** Of the docker-registry behind it. */
  readonly backend: string;
}

interface Target {
  readonly repository: string;
  readonly kind: 'manifests' | 'blobs' | 'tags' | 'referrers';
  readonly rest: string;
  readonly project: HarborProject;
}

interface Forwarding {
  /** Instead of the request's own body. */
  readonly body?: Buffer | undefined;
  readonly onAnswer?:
    ((status: number, headers: IncomingMessage['headers'], body: Buffer) => OutgoingHttpHeaders) | undefined;
}

const maxManifestBytes = 4 * 1024 * 1024;
const path = /^\/v2\/(?<repository>.+)\/(?<kind>manifests|blobs|tags|referrers)\/(?<rest>.*)$/;
const repositoryPattern = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const actions: Readonly<Record<string, Action>> = { GET: 'pull', HEAD: 'pull', DELETE: 'delete' };

/** `/v2/` of Harbor: its rules in front of a docker-registry, which does the rest. */
export class HarborRegistry {
  readonly #state: HarborState;
  readonly #url: string;
  readonly #backend: URL;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #patchedBytes = new Map<string, number>();
  readonly #referrers = new Map<string, object[]>();

  constructor({ state, url, backend }: HarborRegistryOptions) {
    this.#state = state;
    this.#url = url;
    this.#backend = new URL(backend);
  }

  close(): void {
    this.#agent.destroy();
  }

  async answer(request: IncomingMessage, response: ServerResponse, caller: Caller): Promise<void> {
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    const url = new URL(request.url ?? '/', this.#url);
    const line = `${request.method ?? ''} ${request.url ?? ''}`;
    if (url.pathname === '/v2' || url.pathname.endsWith('/blobs/uploads')) this.#state.violate('slash-missing', line);
    if (url.pathname === '/v2') {
      response.writeHead(301, { location: '/v2/' }).end();
      return;
    }
    if (url.pathname === '/v2/') {
      const known = caller.user !== undefined || (caller.token !== undefined && caller.token.subject !== '');
      if (known) response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      else this.#unauthorized(response, this.#challenge(caller));
      return;
    }
    const target = this.#admit(request, response, url, caller);
    if (target === undefined) return;
    if (this.#isGone(request, response, target, url)) return;
    const isWrite = request.method !== 'GET' && request.method !== 'HEAD';
    if (isWrite && this.#state.knobs.readOnly) {
      this.#denied(response, 'The system is in read only mode. Any modification is prohibited.');
    } else if (target.kind === 'manifests' && request.method === 'PUT') {
      await this.#putManifest(request, response, target, line);
    } else if (target.kind === 'referrers') {
      this.#listReferrers(response, target);
    } else if (target.kind === 'blobs' && isWrite) {
      this.#writeBlob(request, response, target, url, line);
    } else {
      this.#forward(request, response);
    }
  }

  /** What garbage collection and a project's rules keep back. */
  #isGone(request: IncomingMessage, response: ServerResponse, target: Target, url: URL): boolean {
    const { repository, kind, rest } = target;
    const { knobs } = this.#state;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const digest = kind === 'blobs' && !isRead ? (url.searchParams.get('digest') ?? '') : rest;
    if (kind === 'blobs' && knobs.collecting.has(digest) && request.method !== 'GET') {
      sendError(response, 404, 'NOT_FOUND', `the asking blob is in GC, mark it as non existing, request id: 1`);
      return true;
    }
    if (isRead && this.#state.isCollected(repository, rest)) {
      sendError(response, 404, 'NOT_FOUND', `${repository}@${rest} not found`);
      return true;
    }
    if (isRead && kind === 'manifests' && knobs.withheld?.test(repository) === true) {
      sendError(
        response,
        412,
        'PROJECTPOLICYVIOLATION',
        'current image without vulnerability scanning cannot be pulled',
      );
      return true;
    }
    return false;
  }

  /** Undefined where the request has been refused. A denied permission is 401 in Harbor, not 403. */
  #admit(request: IncomingMessage, response: ServerResponse, url: URL, caller: Caller): Target | undefined {
    const { repository = '', kind, rest = '' } = path.exec(url.pathname)?.groups ?? {};
    if (repository !== '' && !repository.includes('/')) {
      sendError(response, 400, 'BAD_REQUEST', `invalid repository name: ${repository}`);
      return undefined;
    }
    if (!repositoryPattern.test(repository) || repository.length > 255) {
      this.#unauthorized(response, '');
      return undefined;
    }
    const action = actions[request.method ?? ''] ?? 'push';
    const wanted: [string, Action][] = [[repository, action]];
    const from = request.method === 'POST' ? url.searchParams.get('from') : null;
    if (from !== null) wanted.push([from, 'pull']);
    if (request.method === 'HEAD' && !caller.sent) {
      this.#unauthorized(response, this.#challenge(caller, wanted));
      return undefined;
    }
    for (const [name, needed] of wanted) {
      const project = this.#state.projects.get(projectOf(name));
      if (project === undefined) {
        this.#unauthorized(response, '');
        return undefined;
      }
      if (!this.#may(caller, project, needed)) {
        this.#unauthorized(response, this.#challenge(caller, wanted));
        return undefined;
      }
    }
    const project = this.#state.projects.get(projectOf(repository));
    if (project === undefined) return undefined;
    return { repository, kind: kind as Target['kind'], rest, project };
  }

  #may(caller: Caller, project: HarborProject, action: Action): boolean {
    const { token } = caller;
    if (token === undefined) return this.#state.actionsOf(caller.user, project).includes(action);
    if (token.issuedAtMs < project.createdAtMs) return false;
    return token.projects.get(project.name)?.includes(action) === true;
  }

  #challenge(caller: Caller, wanted: readonly [string, Action][] = []): string {
    if (caller.sent) return 'Basic realm="harbor"';
    const scopes = wanted.map(([name, action]) => `repository:${name}:${action === 'push' ? 'pull,push' : action}`);
    const scope = scopes.length === 0 ? '' : `,scope="${scopes.join(' ')}"`;
    return `Bearer realm="${this.#url}/service/token",service="harbor-registry"${scope}`;
  }

  #unauthorized(response: ServerResponse, challenge: string): void {
    response.setHeader('www-authenticate', challenge);
    sendError(response, 401, 'UNAUTHORIZED', 'unauthorized to access repository');
  }

  #denied(response: ServerResponse, message: string): void {
    sendError(response, 403, 'DENIED', message);
  }

  #writeBlob(request: IncomingMessage, response: ServerResponse, target: Target, url: URL, line: string): void {
    const { project, rest } = target;
    const length = Number(request.headers['content-length'] ?? 0);
    const digest = url.searchParams.get('digest') ?? url.searchParams.get('mount') ?? undefined;
    const patched = this.#patchedBytes.get(rest) ?? 0;
    if (request.method === 'PUT') {
      if (request.headers['transfer-encoding'] !== undefined || (patched > 0 && length > 0)) {
        this.#state.violate('wrong-blob-put', line);
      }
    }
    const type = request.headers['content-type'];
    if (length > 0 && type !== 'application/octet-stream') this.#state.violate('wrong-content-type', line);
    const isUpload = request.method === 'PUT' || request.method === 'POST';
    const known = [...this.#state.projects.values()].map(({ content }) => content.get(digest ?? ''));
    const mounted = known.find((size) => size !== undefined) ?? 0;
    const size = request.method === 'PUT' ? patched + length : mounted;
    const refusal = isUpload ? this.#state.quotaRefusal(project, digest, size) : undefined;
    if (refusal !== undefined) {
      this.#denied(response, refusal);
      return;
    }
    this.#forward(request, response, {
      onAnswer: (status, headers) => {
        if (request.method === 'PATCH') this.#patchedBytes.set(rest, Number(headers.range?.split('-')[1] ?? -1) + 1);
        if (isUpload && status === 201 && digest !== undefined) {
          project.content.set(digest, size);
          this.#state.keepBlob(target.repository, digest);
        }
        return {};
      },
    });
  }

  async #putManifest(request: IncomingMessage, response: ServerResponse, target: Target, line: string): Promise<void> {
    const { project, repository, rest } = target;
    const body = await readBody(request, maxManifestBytes);
    if (body === undefined) {
      sendError(response, 413, 'REQUEST_ENTITY_TOO_LARGE', 'manifest is larger than 4194304 bytes');
      return;
    }
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    const refusal = this.#state.quotaRefusal(project, digest, body.byteLength);
    if (refusal !== undefined) {
      this.#denied(response, refusal);
      return;
    }
    if (this.#state.knobs.immutableTags?.test(rest) === true && (await this.#hasManifest(repository, rest))) {
      sendError(response, 412, 'PRECONDITION', `Failed to process request due to '${rest}' configured as immutable.`);
      return;
    }
    const missing = this.#missingChild(repository, body);
    if (missing !== undefined) {
      sendError(response, missing.status, missing.code, `${repository}@${missing.digest} not found`);
      return;
    }
    this.#forward(request, response, {
      body,
      onAnswer: (status, _headers, answer) => {
        if (answer.includes('MANIFEST_BLOB_UNKNOWN')) this.#state.violate('manifest-before-children', line);
        if (status !== 201) return {};
        project.content.set(digest, body.byteLength);
        this.#state.keepArtifact(repository, rest, digest);
        return this.#keepReferrer(repository, digest, body);
      },
    });
  }

  /** What has been collected since it was pushed: a child of an index is missing in the database, a blob in the storage. */
  #missingChild(
    repository: string,
    body: Buffer,
  ): { readonly status: number; readonly code: string; readonly digest: string } | undefined {
    const {
      manifests = [],
      layers = [],
      config,
    } = JSON.parse(body.toString()) as {
      manifests?: readonly { digest: string }[];
      layers?: readonly { digest: string }[];
      config?: { digest: string };
    };
    const child = manifests.find(({ digest }) => this.#state.isCollected(repository, digest));
    if (child !== undefined) return { status: 404, code: 'NOT_FOUND', digest: child.digest };
    const blobs = [...layers, ...(config === undefined ? [] : [config])];
    const blob = blobs.find(({ digest }) => this.#state.isCollected(repository, digest));
    return blob === undefined ? undefined : { status: 400, code: 'MANIFEST_BLOB_UNKNOWN', digest: blob.digest };
  }

  /** The `OCI-Subject` header tells a client that there is no need for the fallback tag. */
  #keepReferrer(repository: string, digest: string, body: Buffer): OutgoingHttpHeaders {
    const manifest = JSON.parse(body.toString()) as {
      mediaType: string;
      artifactType?: string;
      config?: { mediaType: string };
      annotations?: object;
      subject?: { digest: string };
    };
    if (manifest.subject === undefined) return {};
    const key = `${repository}@${manifest.subject.digest}`;
    const known = this.#referrers.get(key) ?? [];
    const { mediaType, annotations } = manifest;
    const artifactType = manifest.artifactType ?? manifest.config?.mediaType;
    const isNew = known.every((entry) => !('digest' in entry) || entry.digest !== digest);
    if (isNew) known.push({ mediaType, digest, size: body.byteLength, artifactType, annotations });
    this.#referrers.set(key, known);
    return { 'oci-subject': manifest.subject.digest };
  }

  #listReferrers(response: ServerResponse, { repository, rest }: Target): void {
    const manifests = this.#referrers.get(`${repository}@${rest}`) ?? [];
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    response.writeHead(200, { 'content-type': mediaType });
    response.end(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  }

  async #hasManifest(repository: string, reference: string): Promise<boolean> {
    const accept = ['manifest.v2', 'manifest.list.v2'].map(
      (kind) => `application/vnd.docker.distribution.${kind}+json`,
    );
    accept.push(...['manifest', 'index'].map((kind) => `application/vnd.oci.image.${kind}.v1+json`));
    const url = new URL(`/v2/${repository}/manifests/${reference}`, this.#backend);
    const found = await fetch(url, { method: 'HEAD', headers: { accept: accept.join(', ') } });
    return found.status === 200;
  }

  #forward(request: IncomingMessage, response: ServerResponse, { body, onAnswer }: Forwarding = {}): void {
    const headers: OutgoingHttpHeaders = { ...request.headers, 'x-forwarded-proto': 'https' };
    delete headers.authorization;
    delete headers.cookie;
    if (body !== undefined) {
      delete headers['transfer-encoding'];
      headers['content-length'] = body.byteLength;
    }
    const { hostname, port } = this.#backend;
    const sent = httpRequest({
      hostname,
      port,
      method: request.method,
      path: request.url,
      headers,
      agent: this.#agent,
    });
    if (body === undefined && request.url?.includes('/blobs/uploads/') === true) {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.byteLength;
        this.#state.upload(chunk.byteLength);
      });
      response.once('close', () => {
        if (!response.writableFinished) this.#state.lostBytes += bytes;
      });
    }
    sent.once('response', (answer) => void this.#pass(answer, response, onAnswer));
    pipeline(body === undefined ? request : Readable.from([body]), sent, (error) => {
      if (error instanceof Error && !response.headersSent && !response.destroyed) {
        sendError(response, 502, 'UNKNOWN', 'bad gateway');
      }
    });
  }

  async #pass(answer: IncomingMessage, response: ServerResponse, onAnswer: Forwarding['onAnswer']): Promise<void> {
    const status = answer.statusCode ?? 502;
    if (onAnswer === undefined) {
      response.writeHead(status, answer.headers);
      pipeline(answer, response, () => undefined);
      return;
    }
    const body = await readBody(answer);
    const more = onAnswer(status, answer.headers, body);
    response.writeHead(status, { ...answer.headers, ...more }).end(body);
  }
}
