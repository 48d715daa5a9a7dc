import { X509Certificate } from 'node:crypto';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { TransportOptions } from '../oci-client/transport.ts';
import { HarborClient } from './harbor-client.ts';

export interface FetchAuthorityOptions extends TransportOptions, OperationOptions {
  /** The SHA-256 of the CA's certificate in DER, in hex; colons, spaces and case do not matter. */
  readonly fingerprint: string;
}

/**
 * The CA's certificate that Harbor itself gives (`/systeminfo/getcert`), in PEM. It comes over a connection that nobody vouches for:
 * it is taken only where it has the fingerprint that is known from elsewhere, and no login is sent.
 *
 * @throws EdgeBundleError CONFIG_INVALID for what is no fingerprint; TLS_UNTRUSTED with both fingerprints where Harbor gives another
 *   CA, or none; and those of `HarborClient`
 */
export async function fetchAuthority(registry: string, options: FetchAuthorityOptions): Promise<string> {
  const { fingerprint, signal, ...transport } = options;
  const pinned = normalFingerprint(fingerprint);
  const client = new HarborClient(registry, { ...transport, insecure: true, credentials: undefined });
  let text: string | undefined;
  try {
    text = await client.authority({ signal });
  } finally {
    await client.close();
  }
  const certificates = certificatesIn(text ?? '', registry);
  const wanted = certificates.find((certificate) => fingerprintOf(certificate) === pinned);
  if (wanted !== undefined) return wanted.toString();
  const came = certificates.map((certificate) => colons(fingerprintOf(certificate))).join(', ');
  throw new EdgeBundleError(
    'TLS_UNTRUSTED',
    `the CA of Harbor at ${registry} is not the pinned one: expected SHA-256 ${colons(pinned)}, ` +
      (came === '' ? 'Harbor gives none' : `${came} came`),
    {
      hint: "'openssl x509 -in ca.crt -noout -fingerprint -sha256' shows that of a file. If Harbor's CA was renewed, pin the new one; else somebody may be in between.",
    },
  );
}

function normalFingerprint(text: string): string {
  const hex = text
    .replace(/^sha-?256[:=\s]/i, '')
    .replace(/^fingerprint=/i, '')
    .replace(/[:\s]/g, '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  throw new EdgeBundleError('CONFIG_INVALID', `'${text}' is no SHA-256 fingerprint`, {
    hint: "It has 64 hex digits: 'openssl x509 -in ca.crt -noout -fingerprint -sha256' shows it.",
  });
}

function certificatesIn(text: string, registry: string): readonly X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw new EdgeBundleError('HARBOR_ERROR', `the CA that ${registry} gives cannot be read`, { cause });
  }
}

function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** As openssl writes it. */
function colons(hex: string): string {
  return (hex.toUpperCase().match(/../g) ?? []).join(':');
}
