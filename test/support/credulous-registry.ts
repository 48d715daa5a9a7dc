import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A registry that takes whatever comes whole for what it is called: what is checked there is checked by who sends it. */
export interface CredulousRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** What it took, by the digest or the tag under which it came. */
  readonly taken: ReadonlyMap<string, Buffer>;
  stop(): Promise<void>;
}

export async function startCredulousRegistry(): Promise<CredulousRegistry> {
  const taken = new Map<string, Buffer>();
  const uploads = new Map<string, Buffer>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://localhost');
    const name = url.pathname.split('/').at(-1) ?? '';
    // Ends with an error where the connection does before all of it came.
    const body = await buffer(request);
    const location = { Location: url.pathname, 'Content-Length': 0 };
    switch (request.method ?? '') {
      case 'POST': {
        const id = `${uploads.size}`;
        uploads.set(id, Buffer.alloc(0));
        return void response.writeHead(202, { ...location, Location: `${url.pathname}${id}` }).end();
      }
      case 'PATCH':
        uploads.set(name, Buffer.concat([uploads.get(name) ?? Buffer.alloc(0), body]));
        return void response.writeHead(202, location).end();
      case 'PUT':
        taken.set(url.searchParams.get('digest') ?? name, Buffer.concat([uploads.get(name) ?? Buffer.alloc(0), body]));
        return void response.writeHead(201, location).end();
      case 'DELETE':
        return void response.writeHead(204).end();
      default: {
        const content = url.pathname === '/v2/' ? Buffer.from('{}') : taken.get(name);
        if (content === undefined) return void response.writeHead(404).end();
        response.writeHead(200, { 'Content-Length': content.byteLength, 'Content-Type': 'application/octet-stream' });
        return void response.end(request.method === 'HEAD' ? undefined : content);
      }
    }
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
