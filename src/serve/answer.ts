import type { Exchange } from './exchange.ts';
import { ProtocolError } from './protocol-error.ts';
import { listReferrers, listRepositories, listTags, pullBlob, pullManifest } from './pull.ts';
import {
  cancelUpload,
  completeUpload,
  continueUpload,
  type PushOptions,
  startUpload,
  tellUpload,
} from './push-blob.ts';
import { pushManifest } from './push-manifest.ts';
import type { RegistryContent } from './registry-content.ts';
import { parseRoute, type Route } from './route.ts';
import type { UploadSessions } from './upload-sessions.ts';

export interface AnswerOptions {
  readonly exchange: Exchange;
  readonly content: RegistryContent;
  readonly sessions: UploadSessions;
  readonly maxBlobBytes: number;
}

type Answer = () => void | Promise<void>;
type Push = (options: PushOptions) => void | Promise<void>;

/** Answers a request. @throws ProtocolError for what is refused; anything else that fails on our side */
export async function answer(options: AnswerOptions): Promise<void> {
  const { exchange } = options;
  const answers = answersTo(parseRoute(exchange.path), options);
  const method = exchange.method === 'HEAD' ? 'GET' : exchange.method;
  const chosen = answers[method];
  if (chosen !== undefined) return chosen();
  const allowed = Object.keys(answers).flatMap((name) => (name === 'GET' ? ['GET', 'HEAD'] : [name]));
  const reason = method === 'DELETE' ? 'nothing can be deleted here' : `${exchange.path} has no method ${method}`;
  throw new ProtocolError(405, 'UNSUPPORTED', reason, { headers: { allow: allowed.join(', ') } });
}

/** The methods of each end point. */
function answersTo(route: Route, options: AnswerOptions): Readonly<Record<string, Answer>> {
  const { exchange } = options;
  const push = (task: Push): Answer => {
    return () => task(writable(options));
  };
  switch (route.kind) {
    case 'base':
      return { GET: () => exchange.sendJson(200, {}, {}) };
    case 'catalog':
      return { GET: () => listRepositories(options) };
    case 'tags':
      return { GET: () => listTags(route.name, options) };
    case 'referrers':
      return { GET: () => listReferrers(route.name, route.digest, options) };
    case 'blob':
      return { GET: () => pullBlob(route.name, route.digest, options) };
    case 'manifest':
      return {
        GET: () => pullManifest(route.name, route.reference, options),
        PUT: push((to) => pushManifest(route.name, route.reference, to)),
      };
    case 'uploads':
      return { POST: push((to) => startUpload(route.name, to)) };
    case 'upload':
      return {
        GET: push((to) => tellUpload(route.name, route.session, to)),
        PATCH: push((to) => continueUpload(route.name, route.session, to)),
        PUT: push((to) => completeUpload(route.name, route.session, to)),
        DELETE: push((to) => cancelUpload(route.name, route.session, to)),
      };
  }
}

function writable(options: AnswerOptions): PushOptions {
  const { writer } = options.content;
  if (writer !== undefined) return { ...options, writer };
  throw new ProtocolError(
    405,
    'UNSUPPORTED',
    'this registry is read-only; serve a folder with --writable to push to it',
  );
}
