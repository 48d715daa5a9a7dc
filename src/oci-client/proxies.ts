import { EdgeBundleError } from '../errors.ts';
import { registerSecret } from '../redaction.ts';
import { type NoProxy, parseNoProxy } from './no-proxy.ts';

const defaultPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/** Through which proxy a request goes. */
export interface Proxies {
  /** The proxy for `url`, with its user and password where it has some; undefined where there is none. */
  find(url: URL): URL | undefined;
}

/**
 * The proxies that HTTPS_PROXY and HTTP_PROXY name, but for the hosts in NO_PROXY (see `parseNoProxy`). Each may be
 * written in lower case too, which wins. A proxy without a scheme is an `http://` one.
 *
 * @throws EdgeBundleError CONFIG_INVALID where one is no address of an HTTP or HTTPS proxy
 */
export function proxiesFromEnvironment(environment: Readonly<Record<string, string | undefined>>): Proxies {
  const read = (name: string): string | undefined =>
    [environment[name.toLowerCase()], environment[name]].find((value) => value !== undefined && value !== '');
  const proxy = (name: string): URL | undefined => {
    const text = read(name);
    return text === undefined ? undefined : parseProxy(name, text);
  };
  return new EnvironmentProxies(proxy('HTTP_PROXY'), proxy('HTTPS_PROXY'), parseNoProxy(read('NO_PROXY') ?? ''));
}

/** What a proxy is asked with where its URL has a user: RFC 9110, section 11.7.1. */
export function proxyAuthorization({ username, password }: URL): string | undefined {
  if (username === '') return undefined;
  const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const encoded = Buffer.from(login, 'utf8').toString('base64');
  registerSecret(encoded);
  return `Basic ${encoded}`;
}

class EnvironmentProxies implements Proxies {
  readonly #http: URL | undefined;
  readonly #https: URL | undefined;
  readonly #noProxy: NoProxy;

  constructor(http: URL | undefined, https: URL | undefined, noProxy: NoProxy) {
    this.#http = http;
    this.#https = https;
    this.#noProxy = noProxy;
  }

  find(url: URL): URL | undefined {
    const proxy = url.protocol === 'https:' ? this.#https : this.#http;
    if (proxy === undefined) return undefined;
    const host = url.hostname.toLowerCase().replace(/^\[(.*)\]$/, '$1');
    const port = url.port === '' ? (defaultPorts[url.protocol] ?? 0) : Number(url.port);
    return this.#noProxy(host, port) ? undefined : proxy;
  }
}

function parseProxy(name: string, text: string): URL {
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  // The text may hold a password: it is not shown.
  if (proxy === undefined || proxy.hostname === '') {
    throw invalidProxy(name, 'it is no address');
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw invalidProxy(name, `'${proxy.protocol}' is no kind of proxy that is known here`);
  }
  try {
    registerSecret(decodeURIComponent(proxy.password));
    decodeURIComponent(proxy.username);
  } catch {
    throw invalidProxy(name, 'its user or password has a % that encodes nothing');
  }
  registerSecret(proxy.password);
  return proxy;
}

function invalidProxy(name: string, reason: string): EdgeBundleError {
  return new EdgeBundleError('CONFIG_INVALID', `the proxy in ${name} cannot be used: ${reason}`, {
    hint: 'Expected http://[USER:PASSWORD@]HOST:PORT, or https://; a special character in the password as %XX.',
  });
}
