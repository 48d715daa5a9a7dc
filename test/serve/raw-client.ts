import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import type { RegistryServer } from '../../src/serve/registry-server.ts';

/** A connection of its own, on which a test sends what no HTTP client would. */
async function connectTo({ address }: Pick<RegistryServer, 'address'>): Promise<Socket> {
  const socket = connect(address.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Connections to a server that are ended together. */
export class Connections {
  readonly #sockets: Socket[] = [];

  async open(server: Pick<RegistryServer, 'address'>): Promise<Socket> {
    const socket = await connectTo(server);
    this.#sockets.push(socket);
    return socket;
  }

  end(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }
}

/** All that comes until the server ends the connection. */
export async function readToEnd(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // Not by once(): a connection that is reset has ended too.
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks).toString('latin1');
}

export function statusLine(answer: string): number {
  return Number(answer.split(' ')[1]);
}
