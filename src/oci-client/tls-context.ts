import { X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

import { EdgeBundleError } from '../errors.ts';

/** Both in PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface TlsContextOptions {
  /** Texts with certificates in PEM, whose signatures are trusted besides those that Node.js knows. */
  readonly ca: readonly string[];
  readonly clientCertificates: readonly ClientCertificate[];
}

/** @throws EdgeBundleError CONFIG_INVALID where a CA or a client certificate cannot be used */
export function createTlsContext({ ca, clientCertificates }: TlsContextOptions): SecureContext {
  const authorities = ca.flatMap((text) => certificatesIn(text));
  try {
    return createSecureContext({
      ca: [...rootCertificates, ...authorities],
      ...(clientCertificates.length === 0
        ? {}
        : {
            cert: clientCertificates.map(({ certificate }) => certificate),
            key: clientCertificates.map(({ key }) => key),
          }),
    });
  } catch {
    // Without the cause: it could quote the key.
    throw new EdgeBundleError('CONFIG_INVALID', 'the client certificate and its key cannot be used together', {
      hint: 'Both are files in PEM; the key must be that of the certificate, and not be encrypted.',
    });
  }
}

function certificatesIn(text: string): readonly string[] {
  const certificates = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (cause) {
    throw new EdgeBundleError('CONFIG_INVALID', 'the CA certificate cannot be read', { cause });
  }
  if (certificates.length > 0) return certificates;
  throw new EdgeBundleError('CONFIG_INVALID', 'the CA certificate holds no certificate in PEM', {
    hint: "It is a text with '-----BEGIN CERTIFICATE-----' in it; 'openssl x509 -inform der' makes one from DER.",
  });
}
