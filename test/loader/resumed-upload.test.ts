import { once } from 'node:events';
import { connect } from 'node:net';
import { Readable } from 'node:stream';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import type { Repository } from '../../src/oci-client/repository.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { blob, noise } from '../support/graphs.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Served, serveFolder } from '../serve/served.ts';

const content = blob(noise(2_000_000, 'resumed'));
let server: Served;
let proxy: RegistryProxy;
let client: RegistryClient;
let repository: Repository;
let uploadedBytes: number;

beforeEach(async () => {
  server = await serveFolder(await temporaryFolder());
  proxy = await startRegistryProxy(server.host);
  uploadedBytes = 0;
  proxy.fault = ({ method, headers }) => {
    if (method === 'PATCH' || method === 'PUT') uploadedBytes += Number(headers['content-length'] ?? 0);
    return undefined;
  };
  client = new RegistryClient({ plainHttp: 'all' });
  repository = client.repository(proxy.host, 'a/b');
});

afterEach(async () => {
  await client.close();
  await proxy.stop();
  await server.close();
});

/** Begins an upload, sends `sentBytes` of it, and breaks the connection. */
async function interrupted(host: string, sentBytes: number): Promise<string> {
  const begun = await fetch(`http://${host}/v2/a/b/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', `http://${host}`);
  const socket = connect(Number(location.port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    `PATCH ${location.pathname}${location.search} HTTP/1.1\r\nHost: ${host}\r\n` +
      `Content-Type: application/octet-stream\r\nContent-Length: ${content.bytes.byteLength}\r\n\r\n`,
  );
  socket.write(content.bytes.subarray(0, sentBytes));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  socket.resetAndDestroy();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return location.href;
}

it('an upload goes on where it was interrupted, and the whole is verified', async () => {
  const location = await interrupted(proxy.host, 1_500_000);
  uploadedBytes = 0;
  const told: string[] = [];
  await repository.upload(content.descriptor, Readable.from([content.bytes]), {
    location,
    onLocation: (where) => Promise.resolve(void told.push(where)),
  });
  expect(uploadedBytes).toBe(500_000);
  expect(told).toHaveLength(1);
  expect(await repository.exists(content.descriptor)).toBe(true);
});

it('an upload that the registry has forgotten is begun anew', async () => {
  const location = await interrupted(proxy.host, 1_500_000);
  await repository.cancelUpload(content.descriptor, location);
  uploadedBytes = 0;
  await repository.upload(content.descriptor, Readable.from([content.bytes]), { location });
  expect(uploadedBytes).toBe(2_000_000);
  expect(await repository.exists(content.descriptor)).toBe(true);
});

it('content that does not match is not completed by what the registry has of it', async () => {
  const location = await interrupted(proxy.host, 1_500_000);
  const damaged = Buffer.from(content.bytes);
  damaged[10] = (damaged[10] ?? 0) ^ 1;
  await expect(repository.upload(content.descriptor, Readable.from([damaged]), { location })).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
  expect(await repository.exists(content.descriptor)).toBe(false);
});

it('docker-registry lets go of an upload that broke in the middle: it is sent from the beginning', async () => {
  const registry = await startDockerRegistry();
  const target = client.repository(registry.host, 'a/b');
  const location = await interrupted(registry.host, 1_500_000);
  await target.upload(content.descriptor, Readable.from([content.bytes]), { location });
  expect(await target.exists(content.descriptor)).toBe(true);
  await registry.stop();
});
