/** Keys of a test's own, made with the openssl CLI. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { runProgram } from './run-program.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const keyKinds = ['rsa', 'ecdsa', 'ed25519'] as const;
export type KeyKind = (typeof keyKinds)[number];

/** A key pair in PEM, and the files that hold it. */
export interface KeyPair {
  readonly privatePath: string;
  readonly publicPath: string;
  readonly privatePem: string;
  readonly publicPem: string;
  /** As docs/bundle-format.md defines it, computed by openssl. */
  readonly keyId: string;
}

const generate: Readonly<Record<KeyKind, readonly string[]>> = {
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ecdsa: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ed25519: ['-algorithm', 'ED25519'],
};

export async function makeKey(kind: KeyKind): Promise<KeyPair> {
  return makeKeyOf(generate[kind]);
}

/** @param options for `openssl genpkey` */
export async function makeKeyOf(options: readonly string[]): Promise<KeyPair> {
  const folder = await temporaryFolder();
  const [privatePath, publicPath] = [join(folder, 'private.pem'), join(folder, 'public.pem')];
  const privatePem = runProgram('openssl', ['genpkey', ...options]).toString();
  await writeFile(privatePath, privatePem, { mode: 0o600 });
  const publicPem = runProgram('openssl', ['pkey', '-in', privatePath, '-pubout']).toString();
  await writeFile(publicPath, publicPem);
  const spki = runProgram('openssl', ['pkey', '-pubin', '-in', publicPath, '-outform', 'DER']);
  const digest = runProgram('openssl', ['dgst', '-sha256', '-r'], { input: spki }).toString().slice(0, 64);
  return { privatePath, publicPath, privatePem, publicPem, keyId: `sha256:${digest}` };
}
