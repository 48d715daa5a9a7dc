import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { errorMessage, systemErrorCode, throwIfAborted } from '../errors.ts';
import { createTlsContext } from '../oci-client/tls-context.ts';
import type { Check } from '../report/preflight-check.ts';

/** How a registry is reached. */
export interface ConnectionFacts {
  readonly host: string;
  readonly port: number;
  readonly isPlainHttp: boolean;
  readonly isInsecure: boolean;
  /** In PEM, besides those that Node.js knows. */
  readonly ca: string | undefined;
  /** What `--resolve` says of this host and port. */
  readonly address: string | undefined;
}

const timeoutMs = 10_000;
const dayMs = 86_400_000;
const soonDays = 30;

const meanings: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no connection came about in time',
  ENOTFOUND: 'no such name is known',
  EAI_AGAIN: 'the name service does not answer',
};

/**
 * A step at a time from the name to the certificate, so that it is seen which one fails: what comes after a failure is not
 * checked.
 *
 * @throws EdgeBundleError CONFIG_INVALID where `ca` holds no certificate, ABORTED
 */
export async function checkConnection(
  facts: ConnectionFacts,
  nowMs: number,
  signal?: AbortSignal,
): Promise<readonly Check[]> {
  throwIfAborted(signal);
  const address = await findAddress(facts);
  if (address.check.status === 'fail' || address.address === undefined) return [address.check];
  let socket: Socket;
  try {
    socket = await connected(connectTcp({ host: address.address, port: facts.port }), 'connect', signal);
  } catch (error) {
    throwIfAborted(signal);
    return [address.check, { name: 'connection', status: 'fail', ...unreachable(facts, error) }];
  }
  const connection: Check = { name: 'connection', status: 'pass', message: `${address.address}:${facts.port} answers` };
  try {
    if (facts.isPlainHttp) return [address.check, connection, plainHttp];
    return [address.check, connection, await checkCertificate(facts, socket, { nowMs, signal })];
  } finally {
    socket.destroy();
  }
}

const plainHttp: Check = {
  name: 'certificate',
  status: 'warn',
  message: 'the connection is plain HTTP: passwords and images can be read and changed on their way',
  hint: 'Use https://, with --ca-cert where the certificate is self-signed.',
};

async function findAddress({ host, address }: ConnectionFacts): Promise<{ check: Check; address?: string }> {
  if (isIP(host) !== 0) return { check: { name: 'address', status: 'pass', message: host }, address: host };
  if (address !== undefined) {
    return { check: { name: 'address', status: 'pass', message: `${host} is ${address}, by --resolve` }, address };
  }
  try {
    const { address: found } = await lookup(host);
    return { check: { name: 'address', status: 'pass', message: `${host} is ${found}` }, address: found };
  } catch (error) {
    const message = `${host} has no address: ${meaningOf(error)}`;
    const hint = `Say where it is with --resolve ${host}:PORT:ADDRESS, or write it into /etc/hosts.`;
    return { check: { name: 'address', status: 'fail', message, hint } };
  }
}

async function checkCertificate(
  facts: ConnectionFacts,
  socket: Socket,
  { nowMs, signal }: { readonly nowMs: number; readonly signal: AbortSignal | undefined },
): Promise<Check> {
  const { host, isInsecure, ca } = facts;
  const secure = connectTls({
    socket,
    // It is looked at, whatever it is; nothing is sent on this connection.
    rejectUnauthorized: false,
    secureContext: createTlsContext({ ca: ca === undefined ? [] : [ca], clientCertificates: [] }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
  try {
    await connected(secure, 'secureConnect', signal);
  } catch (error) {
    throwIfAborted(signal);
    const message = `${host}:${facts.port} does not speak TLS: ${meaningOf(error)}`;
    return {
      name: 'certificate',
      status: 'fail',
      message,
      hint: 'If it is to be plain HTTP, write http:// in the URL.',
    };
  }
  const raw = secure.getPeerCertificate().raw as Buffer | undefined;
  const certificate = raw === undefined ? undefined : new X509Certificate(raw);
  // Of Node.js it is a text, or null.
  const reason = secure.authorizationError as unknown as string | null;
  secure.destroy();
  if (certificate === undefined) {
    return { name: 'certificate', status: 'fail', message: `${host} shows no certificate` };
  }
  const found = judge(certificate, { facts, nowMs, reason: reason ?? undefined });
  // Without the check a load works all the same.
  return isInsecure && found.status === 'fail' ? { ...found, status: 'warn' } : found;
}

interface Circumstances {
  readonly facts: ConnectionFacts;
  readonly nowMs: number;
  /** OpenSSL's, where the chain is not trusted. */
  readonly reason: string | undefined;
}

function judge(certificate: X509Certificate, { facts: { host }, nowMs, reason }: Circumstances): Check {
  const [from, to] = [certificate.validFrom, certificate.validTo].map((text) => new Date(text)) as [Date, Date];
  const fail = (message: string, hint: string): Check => ({ name: 'certificate', status: 'fail', message, hint });
  if (nowMs < from.getTime()) {
    return fail(
      `the certificate is valid from ${from.toISOString()}, and it is ${new Date(nowMs).toISOString()} here`,
      "Set this machine's clock.",
    );
  }
  if (nowMs > to.getTime()) {
    return fail(
      `the certificate expired on ${to.toISOString()}, and it is ${new Date(nowMs).toISOString()} here`,
      "Renew the registry's certificate, or set this machine's clock.",
    );
  }
  const isNamed = (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
  if (!isNamed) {
    return fail(
      `the certificate names ${certificate.subjectAltName ?? certificate.subject}, and not ${host}`,
      'Use a name that it has, with --resolve where no name server knows it; or have one made with this name.',
    );
  }
  if (reason !== undefined) {
    return fail(
      `the certificate is not trusted (${reason}); it was issued by ${certificate.issuer.replaceAll('\n', ', ')}`,
      'Name the authority that signed it with --ca-cert FILE.',
    );
  }
  const days = Math.floor((to.getTime() - nowMs) / dayMs);
  const message = `trusted, names ${host}, expires on ${to.toISOString().slice(0, 10)}`;
  if (days >= soonDays) return { name: 'certificate', status: 'pass', message };
  return { name: 'certificate', status: 'warn', message: `${message}, in ${days} days`, hint: 'Have it renewed soon.' };
}

async function connected<T extends Socket>(socket: T, event: string, signal: AbortSignal | undefined): Promise<T> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    await once(socket, event, { signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]) });
    return socket;
  } catch (error) {
    // What comes after it was given up is for nobody.
    socket.on('error', () => undefined).destroy();
    throw timeout.aborted ? Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' }) : error;
  }
}

function unreachable({ host, port }: ConnectionFacts, error: unknown): Pick<Check, 'message' | 'hint'> {
  return {
    message: `${host}:${port}: ${meaningOf(error)}`,
    hint: 'Check the address and the port, and whether the registry runs; it may still be starting.',
  };
}

function meaningOf(error: unknown): string {
  return meanings[systemErrorCode(error) ?? ''] ?? errorMessage(error);
}
