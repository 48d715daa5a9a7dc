import { BlockList, isIP, isIPv6 } from 'node:net';

import { EdgeBundleError } from '../errors.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether nobody but this machine reaches it. A name counts as one that others reach, but for `localhost`. */
function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host.toLowerCase() === 'localhost';
  return loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

export interface Exposure {
  readonly host: string;
  readonly hasTls: boolean;
  readonly hasUsers: boolean;
  /** Whoever reaches the server may use it. */
  readonly allowAnonymous: boolean;
  /** What is said on the line can be read and changed there, passwords too. */
  readonly allowPlainHttp: boolean;
}

/** @throws EdgeBundleError CONFIG_INVALID where others would reach a server without a login or without TLS unasked */
export function ensureGuarded({ host, hasTls, hasUsers, allowAnonymous, allowPlainHttp }: Exposure): void {
  if (isLoopback(host)) return;
  const lacking = [
    ...(hasTls || allowPlainHttp ? [] : ['TLS (--tls-cert and --tls-key; or --allow-plain-http)']),
    ...(hasUsers || allowAnonymous ? [] : ['logins (--htpasswd; or --allow-anonymous)']),
  ];
  if (lacking.length === 0) return;
  throw new EdgeBundleError(
    'CONFIG_INVALID',
    `'${host}' is reached by others, and the server has no ${lacking.join(' and no ')}`,
    {
      hint: 'Listen on 127.0.0.1, give what is lacking, or say that it may lack.',
    },
  );
}
