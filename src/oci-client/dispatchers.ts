import type { SecureContext } from 'node:tls';

import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici';

import { addressOf, type HostAddress } from './host-addresses.ts';
import { type ClientCertificate, createTlsContext } from './tls-context.ts';
import { type Proxies, proxyAuthorization } from './proxies.ts';

/** How all hosts are connected to. */
export interface DispatcherOptions {
  readonly insecure: boolean;
  /** In PEM, besides those that Node.js knows. */
  readonly ca: string | undefined;
  readonly proxies: Proxies | undefined;
  /** Where some hosts are reached, without a proxy, whatever the name service says. */
  readonly addresses: readonly HostAddress[];
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
}

/** What is different for one host, and for nobody else. */
export interface Peer {
  /** `https://mirror.example:5000`. An http:// one is spoken to in plain HTTP. */
  readonly origin: string;
  /** In PEM; besides those that are trusted everywhere. Counts for what the host redirects to as well. */
  readonly ca?: string | undefined;
  /** Its certificate is not checked. */
  readonly insecure?: boolean | undefined;
  readonly clientCertificates?: readonly ClientCertificate[] | undefined;
  /** Are sent to this origin with every request. */
  readonly headers?: Readonly<Record<string, string | string[]>> | undefined;
}

/** Whether `url` is on the host of `peer`, on any port. */
export function isHostOf(peer: Peer | undefined, url: URL): boolean {
  return peer !== undefined && new URL(peer.origin).hostname === url.hostname;
}

/** Connections: one pool for each way to connect, made when it is needed first. */
export class Dispatchers {
  readonly #options: DispatcherOptions;
  readonly #made = new Map<Peer | undefined, Map<string, Dispatcher>>();

  /** @throws EdgeBundleError CONFIG_INVALID where `ca` holds no certificate */
  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#make(undefined, true, undefined);
  }

  /** @throws EdgeBundleError CONFIG_INVALID where the CAs or the client certificates of `peer` are none */
  find(url: URL, peer?: Peer): Dispatcher {
    const settings = hasTlsSettings(peer, isHostOf(peer, url)) ? peer : undefined;
    const isOwn = settings === undefined || isHostOf(peer, url);
    const proxy = this.proxyOf(url);
    return this.#made.get(settings)?.get(keyOf(isOwn, proxy)) ?? this.#make(settings, isOwn, proxy);
  }

  proxyOf(url: URL): URL | undefined {
    if (addressOf(this.#options.addresses, url) !== undefined) return undefined;
    return this.#options.proxies?.find(url);
  }

  /** Ends all connections, used ones too. */
  async close(): Promise<void> {
    const all = [...this.#made.values()].flatMap((made) => [...made.values()]);
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
  }

  #make(peer: Peer | undefined, isOwn: boolean, proxy: URL | undefined): Dispatcher {
    const { connectTimeoutMs: timeout, headersTimeoutMs: headersTimeout, bodyTimeoutMs: bodyTimeout } = this.#options;
    const connect = { timeout, ...this.#tls(peer, isOwn) };
    const timeouts = { headersTimeout, bodyTimeout };
    const dispatcher =
      proxy === undefined
        ? new Agent({ ...timeouts, connect: this.#connectorOf(connect) })
        : new ProxyAgent({
            ...timeouts,
            uri: proxy.origin,
            ...tokenOf(proxy),
            requestTls: connect,
            proxyTls: { timeout, ...this.#tls(undefined, true) },
            // A proxy that takes the connection and then says nothing.
            clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: timeout }),
            // Proxies seldom allow CONNECT to anything but port 443.
            proxyTunnel: false,
          });
    const made = this.#made.get(peer) ?? new Map<string, Dispatcher>();
    this.#made.set(peer, made.set(keyOf(isOwn, proxy), dispatcher));
    return dispatcher;
  }

  /** The name stays the one that the certificate is checked for. */
  #connectorOf(options: buildConnector.BuildOptions): buildConnector.connector {
    const connect = buildConnector(options);
    return (target, callback) => {
      const { protocol, hostname, port } = target;
      const address = addressOf(this.#options.addresses, new URL(`${protocol}//${hostname}:${port}`));
      connect(address === undefined ? target : { ...target, hostname: address }, callback);
    };
  }

  #tls(peer: Peer | undefined, isOwn: boolean): { rejectUnauthorized: boolean; secureContext?: SecureContext } {
    const { insecure } = this.#options;
    const ca = [this.#options.ca, peer?.ca].filter((text) => text !== undefined);
    const clientCertificates = isOwn ? (peer?.clientCertificates ?? []) : [];
    const rejectUnauthorized = !insecure && !(isOwn && peer?.insecure === true);
    if (ca.length === 0 && clientCertificates.length === 0) return { rejectUnauthorized };
    // Made once: with `ca` alone each connection would read all of the system's certificates again.
    return { rejectUnauthorized, secureContext: createTlsContext({ ca, clientCertificates }) };
  }
}

function keyOf(isOwn: boolean, proxy: URL | undefined): string {
  return `${isOwn ? 'own' : 'other'} ${proxy?.href ?? ''}`;
}

function hasTlsSettings(peer: Peer | undefined, isOwn: boolean): boolean {
  if (peer?.ca !== undefined) return true;
  return isOwn && (peer?.insecure === true || (peer?.clientCertificates ?? []).length > 0);
}

function tokenOf(proxy: URL): { token?: string } {
  const token = proxyAuthorization(proxy);
  return token === undefined ? {} : { token };
}
