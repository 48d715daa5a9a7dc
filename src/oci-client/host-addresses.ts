import { isIP } from 'node:net';

import { EdgeBundleError } from '../errors.ts';

/** Where a host is reached, whatever the name service says of it. */
export interface HostAddress {
  /** In lower case. */
  readonly host: string;
  readonly port: number;
  /** An IP address, without brackets. */
  readonly address: string;
}

/**
 * curl's form: `HOST:PORT:ADDRESS`, an IPv6 address in brackets or not.
 *
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseHostAddress(text: string): HostAddress {
  const { host, port, address = '' } = pattern.exec(text)?.groups ?? {};
  const bare = address.replace(/^\[(.*)\]$/, '$1');
  if (host === undefined || isIP(bare) === 0 || Number(port) > 65_535) {
    throw new EdgeBundleError('CONFIG_INVALID', `expected HOST:PORT:ADDRESS, '${text}' came`, {
      hint: 'As curl has it, with an IP address: spectro.registry.local:30003:10.0.0.5',
    });
  }
  return { host: host.toLowerCase(), port: Number(port), address: bare };
}

const pattern =
  /^(?<host>[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?):(?<port>[0-9]{1,5}):(?<address>[0-9a-f.:]+|\[[0-9a-f.:]+\])$/i;

/** The address that `hosts` have for the host of a URL; undefined where the name service is asked. */
export function addressOf(hosts: readonly HostAddress[], url: URL): string | undefined {
  const port = url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : Number(url.port);
  return hosts.find((known) => known.host === url.hostname.toLowerCase() && known.port === port)?.address;
}
