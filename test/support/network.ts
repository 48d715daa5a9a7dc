import { afterAll } from 'vitest';

import { proxiesFromEnvironment } from '../../src/oci-client/proxies.ts';
import { RegistryClient, type RegistryClientOptions } from '../../src/oci-client/registry-client.ts';
import { CertificateAuthority } from './certificates.ts';
import { startForwardProxy } from './forward-proxy.ts';
import { type Script, type ScriptedServer, startScriptedServer } from './scripted-server.ts';

/** Hosts with their real names and TLS, on this machine: a proxy knows where they are. */
export interface Network {
  /** The file with the CA that all trust. */
  readonly caPath: string;
  /** Environment variables that lead there. */
  readonly environment: Readonly<Record<string, string>>;
  readonly server: (host: string) => ScriptedServer;
  /** What a host was asked for, in order: `GET /v2/ Basic`, with the scheme of the login where there was one. */
  readonly asked: (host: string) => readonly string[];
  /** A client that trusts the hosts' certificates. It is closed with the network. */
  readonly open: (options?: RegistryClientOptions) => RegistryClient;
  stop(): Promise<void>;
}

/** One for all networks of a test file: making one takes its time. */
let authority: Promise<CertificateAuthority> | undefined;

afterAll(async () => {
  await (await authority)?.remove();
});

/** @param scripts by host, with the port where it is not 443 */
export async function startNetwork(scripts: Readonly<Record<string, Script>>): Promise<Network> {
  authority ??= CertificateAuthority.create();
  const { certificate, certificatePath: caPath } = await authority;
  const hosts = Object.keys(scripts);
  const tls = await (await authority).issue([...new Set(hosts.map((host) => host.replace(/:\d+$/, '')))]);
  const servers = new Map<string, ScriptedServer>();
  for (const [host, script] of Object.entries(scripts)) servers.set(host, await startScriptedServer(script, { tls }));
  const names = [...servers].map(([host, { host: place }]) => [host.includes(':') ? host : `${host}:443`, place]);
  const proxy = await startForwardProxy({ names: Object.fromEntries(names) as Record<string, string> });
  const environment = { HTTPS_PROXY: `http://${proxy.host}` };
  const clients: RegistryClient[] = [];
  const serverOf = (host: string): ScriptedServer => {
    const found = servers.get(host);
    if (found === undefined) throw new Error(`there is no ${host}`);
    return found;
  };
  return {
    caPath,
    environment,
    server: serverOf,
    asked: (host) =>
      serverOf(host).requests.map(({ method, path, headers }) =>
        `${method} ${path} ${headers.authorization?.split(' ')[0] ?? ''}`.trimEnd(),
      ),
    open(options = {}) {
      const proxies = proxiesFromEnvironment(environment);
      const client = new RegistryClient({ ca: certificate, proxies, retries: 2, retryBaseMs: 1, ...options });
      clients.push(client);
      return client;
    },
    async stop() {
      for (const client of clients) await client.close();
      await proxy.stop();
      for (const server of servers.values()) await server.stop();
    },
  };
}
