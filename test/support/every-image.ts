import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { mediaTypes } from '../../src/content/media-types.ts';

export interface EveryImageOptions {
  /** What the one layer of each image has, by its manifest. */
  readonly layerBytes: number;
  /** Default: amd64. */
  readonly architecture?: string;
}

export interface EveryImage {
  readonly url: string;
  stop(): Promise<void>;
}

const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** A registry that has every image there is, each with a layer of its own that nobody can download: for measuring. */
export async function startEveryImage({ layerBytes, architecture = 'amd64' }: EveryImageOptions): Promise<EveryImage> {
  const config = JSON.stringify({ os: 'linux', architecture });
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    if (path.endsWith(`/blobs/${digestOf(config)}`)) return void response.end(config);
    const [, repository, name] = /^\/v2\/(.+)\/manifests\/([^?]+)/.exec(path) ?? [];
    if (repository === undefined || name === undefined)
      return void response.writeHead(path === '/v2/' ? 200 : 404).end();
    const manifest = manifests.get(name) ?? makeManifest(`${repository}:${name}`);
    response.writeHead(200, { 'content-type': mediaTypes.ociManifest, 'docker-content-digest': digestOf(manifest) });
    response.end(request.method === 'HEAD' ? undefined : manifest);
  });
  const manifests = new Map<string, string>();
  const makeManifest = (image: string): string => {
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: mediaTypes.ociLayerGzip, digest: digestOf(image), size: layerBytes }],
    });
    manifests.set(digestOf(text), text);
    return text;
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
