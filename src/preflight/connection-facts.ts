import { addressOf } from '../oci-client/host-addresses.ts';
import type { TransportOptions } from '../oci-client/transport.ts';
import type { ConnectionFacts } from './connection-checks.ts';

/**
 * How the options of a client reach a registry (host and port, in normal form). Undefined where a proxy is between: what is
 * there can then only be asked through it.
 */
export function connectionFacts(registry: string, options: TransportOptions): ConnectionFacts | undefined {
  const { plainHttp = [], insecure = false, ca, proxies, addresses = [] } = options;
  const isPlainHttp = plainHttp === 'all' || plainHttp.includes(registry);
  const url = new URL(`${isPlainHttp ? 'http' : 'https'}://${registry}/`);
  if (proxies?.find(url) !== undefined) return undefined;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isPlainHttp ? 80 : 443) : Number(url.port),
    isPlainHttp,
    isInsecure: insecure,
    ca,
    address: addressOf(addresses, url),
  };
}
