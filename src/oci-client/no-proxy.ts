import { BlockList, isIP, isIPv6 } from 'node:net';

/** Tells whether a host (without brackets, in lower case) is reached without a proxy. */
export type NoProxy = (host: string, port: number) => boolean;

/**
 * Reads NO_PROXY as Go's tools do (golang.org/x/net/http/httpproxy): entries between commas or white space, each `*`, an
 * address, a CIDR range, or a domain: `example.com` with all below it, `.example.com` and `*.example.com` only what is
 * below. An address or a domain may end in `:PORT`. What is none of these matches nothing. This machine (localhost,
 * 127.0.0.0/8, ::1) never takes a proxy.
 */
export function parseNoProxy(text: string): NoProxy {
  const onAnyPort = new Exceptions();
  const onPort = new Map<number, Exceptions>();
  for (const entry of text.toLowerCase().split(/[\s,]+/)) {
    if (entry === '' || onAnyPort.addRange(entry)) continue;
    const { name, port } = splitPort(entry);
    const exceptions = port === undefined ? onAnyPort : (onPort.get(port) ?? new Exceptions());
    if (port !== undefined) onPort.set(port, exceptions);
    exceptions.add(name);
  }
  return (host, port) => isThisMachine(host) || onAnyPort.has(host) || onPort.get(port)?.has(host) === true;
}

/** What is reached without a proxy on one port, or on any. */
class Exceptions {
  #hasAll = false;
  readonly #addresses = new BlockList();
  readonly #domains = new Set<string>();
  /** Of which only what is below is meant. */
  readonly #parents = new Set<string>();

  /** @returns whether it is `*`, or a range */
  addRange(entry: string): boolean {
    if (entry === '*') {
      this.#hasAll = true;
      return true;
    }
    const { address = '', bits = '' } = /^(?<address>[^/]*)\/(?<bits>[0-9]{1,3})$/.exec(entry)?.groups ?? {};
    const family = isIP(address);
    if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) return false;
    this.#addresses.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
    return true;
  }

  /** @param name an address or a domain */
  add(name: string): void {
    const family = isIP(name);
    if (family !== 0) this.#addresses.addAddress(name, family === 4 ? 'ipv4' : 'ipv6');
    else if (name.startsWith('.') || name.startsWith('*.')) this.#parents.add(name.replace(/^\*?\./, ''));
    else this.#domains.add(name);
  }

  has(host: string): boolean {
    if (this.#hasAll || this.#domains.has(host) || isIn(this.#addresses, host)) return true;
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const parent = host.slice(dot + 1);
      if (this.#domains.has(parent) || this.#parents.has(parent)) return true;
    }
    return false;
  }
}

function splitPort(entry: string): { name: string; port: number | undefined } {
  if (isIPv6(entry)) return { name: entry, port: undefined };
  const { name = entry, port } = /^(?<name>.*?)(:(?<port>[0-9]{1,5}))?$/.exec(entry)?.groups ?? {};
  return { name: name.replace(/^\[(.*)\]$/, '$1'), port: port === undefined ? undefined : Number(port) };
}

function isIn(addresses: BlockList, host: string): boolean {
  const family = isIP(host);
  return family !== 0 && addresses.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function isThisMachine(host: string): boolean {
  return host === 'localhost' || isIn(loopback, host);
}
