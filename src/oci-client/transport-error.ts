import {
  abortedError,
  EdgeBundleError,
  type ErrorCode,
  errorMessage,
  isEdgeBundleError,
  systemErrorCode,
} from '../errors.ts';

/** What was going on when a connection failed. */
export interface TransportErrorContext {
  /** What failed: `cannot read sha256:… of localhost:5000/app`. */
  readonly what: string;
  readonly url: URL;
  readonly signal?: AbortSignal | undefined;
  /** Where the connection goes through one. */
  readonly proxy?: URL | undefined;
  /** Where a body was on its way, its bytes so far and in all. */
  readonly progress?: { readonly receivedBytes: number; readonly expectedBytes: number } | undefined;
}

const timeouts: Readonly<Record<string, string>> = {
  UND_ERR_CONNECT_TIMEOUT: 'no connection came about in time',
  ETIMEDOUT: 'no connection came about in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer came in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stalled',
};

const lost: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'no such host is known',
  EAI_AGAIN: 'the name service does not answer',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ECONNABORTED: 'the connection was closed',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the connection was closed',
};

const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** The error that a failed connection, TLS handshake or transfer means. An EdgeBundleError stays as it is. */
export function transportError(error: unknown, context: TransportErrorContext): EdgeBundleError {
  const { url, signal, proxy, progress } = context;
  const what = proxy === undefined ? context.what : `${context.what} (through the proxy ${proxy.host})`;
  if (signal?.aborted === true) return abortedError(signal);
  if (isEdgeBundleError(error)) return error;
  const refusal = proxyRefusal(error);
  if (refusal !== undefined) return proxyError(refusal, { what, url, cause: error });
  const code = systemErrorCode(error) ?? '';
  const came = progress === undefined ? '' : `, ${progress.receivedBytes} of ${progress.expectedBytes} bytes came`;
  const stalled = timeouts[code];
  if (stalled !== undefined)
    return new EdgeBundleError('TIMEOUT', `${what}: ${url.host}: ${stalled}${came}`, { cause: error });
  const gone = lost[code];
  if (gone !== undefined) {
    return progress === undefined
      ? new EdgeBundleError('REGISTRY_UNAVAILABLE', `${what}: ${url.host}: ${gone}`, { cause: error })
      : new EdgeBundleError('TRANSFER_INCOMPLETE', `${what}: ${url.host}: ${gone}${came}`, { cause: error });
  }
  if (untrusted.has(code) || code.startsWith('CERT_') || code.startsWith('CRL_')) {
    return new EdgeBundleError(
      'TLS_UNTRUSTED',
      `${what}: the certificate of ${url.host} is not trusted: ${errorMessage(error)} (${code})`,
      { hint: untrustedHint(code), cause: error },
    );
  }
  return new EdgeBundleError('REGISTRY_ERROR', `${what}: ${url.host}: ${errorMessage(error)}`, {
    ...(speaksPlainHttp(code)
      ? { hint: `It does not speak TLS; if it is to be plain HTTP, say --plain-http=${url.host}.` }
      : {}),
    cause: error,
  });
}

/** The status that a proxy answered CONNECT with: undici tells it in words only. */
function proxyRefusal(error: unknown): number | undefined {
  const status = /^Proxy response \((\d{3})\)/.exec(errorMessage(error))?.[1];
  if (status !== undefined) return Number(status);
  return errorMessage(error).startsWith('Proxy Authentication Required') ? 407 : undefined;
}

function proxyError(status: number, { what, url, cause }: { what: string; url: URL; cause: unknown }): EdgeBundleError {
  const [code, hint]: readonly [ErrorCode, string] =
    status === 407
      ? [
          'AUTH_FAILED',
          'The proxy wants a login: put user and password into its address, in HTTPS_PROXY or HTTP_PROXY.',
        ]
      : status === 429 || status >= 500
        ? ['REGISTRY_UNAVAILABLE', 'The proxy cannot reach that host, or is overloaded.']
        : ['REGISTRY_ERROR', 'The proxy does not allow that host and port; NO_PROXY names hosts to reach without it.'];
  return new EdgeBundleError(code, `${what}: ${url.host}: the proxy answered ${status}`, { hint, cause });
}

function untrustedHint(code: string): string {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    return "Check this machine's clock, or renew the registry's certificate; --insecure goes on without checking.";
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return 'Use a name that the certificate has; --insecure goes on without checking.';
  }
  return 'Name the authority that signed it with --ca-cert FILE; --insecure goes on without checking.';
}

function speaksPlainHttp(code: string): boolean {
  return code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' || code === 'EPROTO';
}
