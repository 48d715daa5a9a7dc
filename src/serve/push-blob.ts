import type { OutgoingHttpHeaders } from 'node:http';

import type { Descriptor } from '../content/descriptor.ts';
import { type Digest, isDigest } from '../content/digest.ts';
import { mediaTypes } from '../content/media-types.ts';
import { isRepositoryName } from '../oci-client/reference.ts';
import { parseChunkRange } from './byte-range.ts';
import type { Exchange } from './exchange.ts';
import { ProtocolError } from './protocol-error.ts';
import type { RegistryContent, RegistryWriter } from './registry-content.ts';
import type { UploadSession } from './upload-session.ts';
import type { UploadSessions } from './upload-sessions.ts';

/** Pushing blobs: OCI distribution-spec v1.1, "Pushing blobs". */
export interface PushOptions {
  readonly exchange: Exchange;
  readonly content: RegistryContent;
  readonly writer: RegistryWriter;
  readonly sessions: UploadSessions;
  readonly maxBlobBytes: number;
}

/** `POST`: mounts the blob, takes it whole, or opens an upload. */
export async function startUpload(name: string, options: PushOptions): Promise<void> {
  const { exchange, sessions } = options;
  const { query } = exchange;
  if (await mount(name, options)) return;
  const digest = query.has('digest') ? digestParameter(query) : undefined;
  const session = await sessions.start(name);
  if (digest === undefined) {
    exchange.sendEmpty(202, progressHeaders(session));
    return;
  }
  await use(session.repository, session.id, options, async () => {
    try {
      await append(session, options);
      await complete(session, digest, options);
    } finally {
      // Nobody knows the address of this upload, so nobody could go on with it.
      await session.discard();
    }
  });
}

/** `PATCH` */
export function continueUpload(name: string, id: string, options: PushOptions): Promise<void> {
  return use(name, id, options, async (session) => {
    await append(session, options);
    options.exchange.sendEmpty(202, progressHeaders(session));
  });
}

/** `PUT`, with the last chunk or without a body. */
export function completeUpload(name: string, id: string, options: PushOptions): Promise<void> {
  return use(name, id, options, async (session) => {
    const digest = digestParameter(options.exchange.query);
    await append(session, options);
    await complete(session, digest, options);
  });
}

/** `GET` */
export function tellUpload(name: string, id: string, options: PushOptions): Promise<void> {
  return use(name, id, options, (session) => options.exchange.sendEmpty(204, progressHeaders(session)));
}

/** `DELETE` */
export function cancelUpload(name: string, id: string, options: PushOptions): Promise<void> {
  return use(name, id, options, async (session) => {
    await session.discard();
    options.exchange.sendEmpty(204, {});
  });
}

function use(
  repository: string,
  id: string,
  { sessions, exchange }: PushOptions,
  task: (session: UploadSession) => void | Promise<void>,
): Promise<void> {
  return sessions.use({ repository, id }, () => exchange.cutOff(), task);
}

/** False where the blob cannot be mounted: the client then uploads it. */
async function mount(name: string, options: PushOptions): Promise<boolean> {
  const { exchange, content, writer } = options;
  const digest = exchange.query.get('mount');
  const from = exchange.query.get('from');
  if (digest === null || from === null || !isDigest(digest) || !isRepositoryName(from)) return false;
  const target = await (await content.repository(from))?.findBlob(digest);
  if (target === undefined || !(await content.store.exists(target, { signal: exchange.signal }))) return false;
  await writer.mountBlob(name, target);
  exchange.sendEmpty(201, blobHeaders(name, digest));
  return true;
}

async function append(session: UploadSession, options: PushOptions): Promise<void> {
  const { exchange, maxBlobBytes } = options;
  ensureInOrder(session, exchange);
  await session.append(exchange.body(), maxBlobBytes);
}

async function complete(session: UploadSession, expected: Digest, options: PushOptions): Promise<void> {
  const { exchange, writer } = options;
  const { digest, path } = await session.finish(expected);
  if (digest !== expected) {
    throw new ProtocolError(400, 'DIGEST_INVALID', `expected content of digest ${expected}, ${digest} came`, {
      detail: { digest: expected },
    });
  }
  const target: Descriptor = { mediaType: mediaTypes.octetStream, digest, size: session.sizeBytes };
  await writer.addBlob(session.repository, target, path);
  exchange.sendEmpty(201, blobHeaders(session.repository, digest));
}

/** @throws ProtocolError 416 where `Content-Range` says that the chunk does not start where the upload ends */
function ensureInOrder(session: UploadSession, exchange: Exchange): void {
  const header = exchange.header('content-range');
  if (header === undefined) return;
  const range = parseChunkRange(header);
  const announced = exchange.announcedBytes;
  if (range?.start === session.sizeBytes && (announced === undefined || announced === range.end - range.start)) return;
  const next = `the next chunk starts at ${session.sizeBytes}; the request says ${JSON.stringify(header.slice(0, 80))}`;
  throw new ProtocolError(416, 'BLOB_UPLOAD_INVALID', `${next}, Content-Length ${announced ?? 'unknown'}`, {
    headers: progressHeaders(session),
  });
}

function digestParameter(query: URLSearchParams): Digest {
  const digest = query.get('digest');
  if (digest !== null && isDigest(digest)) return digest;
  throw new ProtocolError(400, 'DIGEST_INVALID', "the parameter 'digest' is missing or not a digest");
}

/** `0-0` is what registries say of an upload that has nothing yet. */
function progressHeaders(session: UploadSession): OutgoingHttpHeaders {
  return {
    location: `/v2/${session.repository}/blobs/uploads/${session.id}`,
    range: `0-${Math.max(0, session.sizeBytes - 1)}`,
    'docker-upload-uuid': session.id,
  };
}

function blobHeaders(name: string, digest: Digest): OutgoingHttpHeaders {
  return { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest };
}
