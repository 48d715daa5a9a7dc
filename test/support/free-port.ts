import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';

/**
 * A port of 127.0.0.1 that nothing listens on. It is none of those that the kernel gives to whoever asks for any port,
 * so that no server and no connection of another test comes to have it later.
 */
export async function freePort(): Promise<number> {
  const [low = ''] = (await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')).split('\t');
  const [from, to] = [5_000, Math.min(Number(low), 30_000)];
  for (;;) {
    const port = from + Math.floor(Math.random() * (to - from));
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
