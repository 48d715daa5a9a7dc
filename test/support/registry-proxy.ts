import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What goes wrong with one answer. */
export type Fault =
  | { readonly kind: 'truncate'; readonly afterBytes: number }
  /** The connection is reset (RST): what is on its way is lost. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  | { readonly kind: 'corrupt'; readonly atByte: number }
  | { readonly kind: 'hang'; readonly afterBytes?: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** Content-Length says so many bytes more than there are. */
  | { readonly kind: 'length'; readonly extraBytes: number }
  /** Range is ignored. */
  | { readonly kind: 'whole' }
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    };

export interface ProxiedRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface ProxiedAnswer extends ProxiedRequest {
  readonly status: number;
  /** Of the body, as far as the kernel took them. */
  bytes: number;
}

export interface RegistryProxyOptions {
  readonly fault?: ((request: ProxiedRequest) => Fault | undefined) | undefined;
  /** Of each answer's body. Default: no limit. */
  readonly bytesPerSecond?: number | undefined;
  /** How long each answer takes to begin. Default: 0. */
  readonly latencyMs?: number | undefined;
}

/** An HTTP proxy in front of a registry on this machine: counts what passes, and breaks it on demand. */
export interface RegistryProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly answers: readonly ProxiedAnswer[];
  /** Bytes of blobs' bodies that were sent so far. */
  readonly blobBytes: number;
  /** Is called whenever `blobBytes` grows. */
  onBlobBytes: ((bytes: number) => void) | undefined;
  fault: RegistryProxyOptions['fault'];
  stop(): Promise<void>;
}

export async function startRegistryProxy(upstream: string, options: RegistryProxyOptions = {}): Promise<RegistryProxy> {
  const { bytesPerSecond, latencyMs = 0 } = options;
  const answers: ProxiedAnswer[] = [];
  const server = createServer((incoming, outgoing) => {
    void handle(incoming, outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  let blobBytes = 0;
  const proxy: RegistryProxy = {
    host,
    answers,
    get blobBytes() {
      return blobBytes;
    },
    onBlobBytes: undefined,
    fault: options.fault,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const fault = proxy.fault?.({ method, path, headers });
    if (latencyMs > 0) await sleep(latencyMs);
    if (fault?.kind === 'answer') {
      answers.push({ method, path, headers, status: fault.status, bytes: 0 });
      outgoing.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    // The registry makes absolute Locations from Host.
    const forward = httpRequest({ host: '127.0.0.1', port: Number(upstream.split(':')[1]), method, path, headers });
    if (fault?.kind === 'whole') forward.removeHeader('range');
    incoming.pipe(forward);
    incoming.once('error', () => forward.destroy());
    outgoing.once('close', () => forward.destroy());
    forward.on('error', () => undefined);
    try {
      const [answer] = (await once(forward, 'response')) as [IncomingMessage];
      const { statusCode: status = 502 } = answer;
      const record: ProxiedAnswer = { method, path, headers, status, bytes: 0 };
      answers.push(record);
      outgoing.writeHead(status, { ...answer.headers, ...wrongLength(answer, fault) });
      outgoing.flushHeaders();
      const pace = new Pace(fault?.kind === 'slow' ? fault.bytesPerSecond : bytesPerSecond);
      const countsAsBlob = method === 'GET' && path.includes('/blobs/sha256:');
      let position = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        const sent = spoil(chunk, position, fault);
        position += chunk.byteLength;
        if (sent.byteLength > 0) await write(outgoing, sent);
        record.bytes += sent.byteLength;
        if (countsAsBlob) {
          blobBytes += sent.byteLength;
          proxy.onBlobBytes?.(blobBytes);
        }
        if (fault?.kind === 'truncate' && position >= fault.afterBytes) return void outgoing.destroy();
        if (fault?.kind === 'reset' && position >= fault.afterBytes) return void outgoing.socket?.resetAndDestroy();
        if (fault?.kind === 'hang' && position >= (fault.afterBytes ?? 0)) return;
        await pace.after(sent.byteLength);
      }
      if (fault?.kind === 'length') outgoing.destroy();
      else if (fault?.kind !== 'hang') outgoing.end();
    } catch {
      outgoing.destroy();
    }
  }
  return proxy;
}

function spoil(chunk: Buffer, position: number, fault: Fault | undefined): Buffer {
  if (fault?.kind === 'truncate' || fault?.kind === 'reset')
    return chunk.subarray(0, Math.max(0, fault.afterBytes - position));
  if (fault?.kind === 'hang') return chunk.subarray(0, Math.max(0, (fault.afterBytes ?? 0) - position));
  if (fault?.kind !== 'corrupt') return chunk;
  const at = fault.atByte - position;
  if (at < 0 || at >= chunk.byteLength) return chunk;
  const copy = Buffer.from(chunk);
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
}

/** Keeps one body to a rate, however late its timers are. */
class Pace {
  readonly #bytesPerMs: number;
  #dueMs = performance.now();

  constructor(bytesPerSecond = Infinity) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  async after(bytes: number): Promise<void> {
    this.#dueMs += bytes / this.#bytesPerMs;
    const waitMs = this.#dueMs - performance.now();
    if (waitMs > 1) await sleep(waitMs);
  }
}

function wrongLength(answer: IncomingMessage, fault: Fault | undefined): Record<string, string> {
  if (fault?.kind !== 'length') return {};
  return { 'content-length': String(Number(answer.headers['content-length']) + fault.extraBytes) };
}

/** Resolves when the kernel has the bytes: what a receiver that is killed had no chance to get is not counted. */
function write(outgoing: ServerResponse, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    if (outgoing.destroyed) {
      reject(new Error('the client is gone'));
      return;
    }
    outgoing.once('close', reject);
    outgoing.write(chunk, (error) => {
      outgoing.removeListener('close', reject);
      if (error) reject(error);
      else resolve();
    });
  });
}
