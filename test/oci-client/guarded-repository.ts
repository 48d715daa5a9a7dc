import { afterEach, expect } from 'vitest';

import { readContent } from '../../src/content/verify.ts';
import type { PasswordCredentials } from '../../src/oci-client/credentials.ts';
import type { Repository } from '../../src/oci-client/repository.ts';
import { blob, image } from '../support/graphs.ts';
import { type Network, startNetwork } from '../support/network.ts';
import { type Answer, reply, type Script } from '../support/scripted-server.ts';

export const layer = blob('a layer');
export const root = image([layer]);

/** A function that starts a network, which ends after each test. */
export function useNetwork(): (scripts: Readonly<Record<string, Script>>) => Promise<Network> {
  let network: Network | undefined;
  afterEach(async () => {
    await network?.stop();
    network = undefined;
  });
  return async (scripts) => {
    network = await startNetwork(scripts);
    return network;
  };
}

/** The repository `name`, for those whom `isAllowed` takes; everybody else gets `challenge`. */
export function repository(name: string, isAllowed: (authorization: string) => boolean, challenge: Answer): Script {
  const manifest = reply(
    200,
    {
      'Content-Type': root.descriptor.mediaType,
      'Content-Length': `${root.descriptor.size}`,
      'Docker-Content-Digest': root.descriptor.digest,
    },
    root.bytes,
  );
  const guard = (answer: Answer): Answer => {
    return (request, response) =>
      isAllowed(request.headers.authorization ?? '') ? answer(request, response) : challenge(request, response);
  };
  return {
    'GET /v2/': guard(reply(200, { 'Docker-Distribution-Api-Version': 'registry/2.0' }, '{}')),
    [`HEAD /v2/${name}/manifests/1`]: guard((_request, response) => {
      response.writeHead(200, {
        'Content-Type': root.descriptor.mediaType,
        'Content-Length': root.descriptor.size,
        'Docker-Content-Digest': root.descriptor.digest,
      });
      response.end();
    }),
    [`GET /v2/${name}/manifests/${root.descriptor.digest}`]: guard(manifest),
    [`GET /v2/${name}/blobs/${layer.descriptor.digest}`]: guard(reply(200, {}, layer.bytes)),
  };
}

/** Reads the image by its tag, and its layer. */
export async function pull(from: Repository): Promise<void> {
  const resolved = await from.resolve('1');
  expect(await readContent(from, resolved)).toEqual(root.bytes);
  expect(await readContent(from, layer.descriptor)).toEqual(layer.bytes);
}

export function basic({ username, password }: PasswordCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
