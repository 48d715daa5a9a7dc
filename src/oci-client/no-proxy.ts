import { BlockList, isIP, isIPv6 } from 'node:net';

/** One entry of NO_PROXY: which hosts, and which port where it names one. */
interface Exception {
  readonly port: number | undefined;
  matches(host: string): boolean;
}

/** Tells whether a host (without brackets, in lower case) is reached without a proxy. */
export type NoProxy = (host: string, port: number) => boolean;

/**
 * Reads NO_PROXY as Go's tools do (golang.org/x/net/http/httpproxy): entries between commas or white space, each `*`, an
 * address, a CIDR range, or a domain: `example.com` with all below it, `.example.com` and `*.example.com` only what is
 * below. An address or a domain may end in `:PORT`. What is none of these matches nothing. This machine (localhost,
 * 127.0.0.0/8, ::1) never takes a proxy.
 */
export function parseNoProxy(text: string): NoProxy {
  const exceptions = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .map((entry) => parseEntry(entry));
  return (host, port) =>
    isThisMachine(host) || exceptions.some((exception) => (exception.port ?? port) === port && exception.matches(host));
}

function parseEntry(entry: string): Exception {
  if (entry === '*') return { port: undefined, matches: () => true };
  const range = parseRange(entry);
  if (range !== undefined) return { port: undefined, matches: (host) => isInRange(range, host) };
  const { name, port } = splitPort(entry);
  if (isIP(name) !== 0) return { port, matches: (host) => sameAddress(host, name) };
  if (name.startsWith('.') || name.startsWith('*.')) {
    const suffix = name.replace(/^\*/, '');
    return { port, matches: (host) => host.length > suffix.length && host.endsWith(suffix) };
  }
  return { port, matches: (host) => host === name || host.endsWith(`.${name}`) };
}

function splitPort(entry: string): { name: string; port: number | undefined } {
  if (isIPv6(entry)) return { name: entry, port: undefined };
  const { name = entry, port } = /^(?<name>.*?)(:(?<port>[0-9]{1,5}))?$/.exec(entry)?.groups ?? {};
  return { name: name.replace(/^\[(.*)\]$/, '$1'), port: port === undefined ? undefined : Number(port) };
}

function parseRange(entry: string): BlockList | undefined {
  const { address = '', bits = '' } = /^(?<address>[^/]*)\/(?<bits>[0-9]{1,3})$/.exec(entry)?.groups ?? {};
  const family = isIP(address);
  if (family === 0 || Number(bits) > (family === 4 ? 32 : 128)) return undefined;
  const range = new BlockList();
  range.addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  return range;
}

function isInRange(range: BlockList, host: string): boolean {
  const family = isIP(host);
  return family !== 0 && range.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** `::1` and `0:0:0:0:0:0:0:1` are one address. */
function sameAddress(host: string, address: string): boolean {
  if (isIP(host) !== isIP(address)) return false;
  const one = new BlockList();
  one.addAddress(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  return isInRange(one, host);
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function isThisMachine(host: string): boolean {
  return host === 'localhost' || isInRange(loopback, host);
}
