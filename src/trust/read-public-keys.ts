import { createPublicKey, type KeyObject } from 'node:crypto';

import { parse } from 'yaml';
import * as z from 'zod';

import { optionsFor, whyUnreadableYaml } from '../content/yaml-limits.ts';
import { EdgeBundleError } from '../errors.ts';
import { type PublicKey, publicKeyOf } from './public-key.ts';

/** A file with keys: its name is for errors. */
export interface KeyText {
  readonly name: string;
  readonly text: string;
}

const maxTextLength = 1024 * 1024;
const maxKeys = 64;

const pemBlock = /^-----BEGIN (?<label>[A-Z0-9 ]+)-----[^-]*-----END \k<label>-----/gm;

/** `.edge_custom_config.yaml` of the Edge Installer: the key that is embedded there is the one that content has to be signed for. */
const installerSchema = z.object({
  content: z.object({
    signing: z.object({ publicKey: z.object({ base64EncodedValue: z.string() }) }),
  }),
});

/**
 * All keys of all files, each once: PEM with public keys (SubjectPublicKeyInfo or PKCS #1) or certificates, any number in a file;
 * or the installer's `.edge_custom_config.yaml`. Of a certificate only the key counts: neither its dates nor who issued it.
 *
 * @throws EdgeBundleError KEY_INVALID where a file has no key, or one that is not used here
 */
export function readPublicKeys(texts: readonly KeyText[]): PublicKey[] {
  const keys = new Map<string, PublicKey>();
  for (const each of texts) for (const key of keysOf(each)) keys.set(key.keyId, key);
  if (keys.size > maxKeys)
    throw new EdgeBundleError('KEY_INVALID', `there are ${keys.size} keys, at most ${maxKeys} are read`);
  return [...keys.values()];
}

function keysOf({ name, text }: KeyText): PublicKey[] {
  if (text.length > maxTextLength) throw new EdgeBundleError('KEY_INVALID', `'${name}' is too large to hold keys`);
  if (/^-----BEGIN /m.test(text)) return pemKeys(name, text);
  const bytes = Buffer.from(installerKey(name, text), 'base64');
  const decoded = bytes.toString('latin1');
  if (decoded.includes('-----BEGIN ')) return pemKeys(name, decoded);
  return [keyFrom(name, () => createPublicKey({ key: bytes, format: 'der', type: 'spki' }))];
}

function pemKeys(name: string, text: string): PublicKey[] {
  const blocks = [...text.matchAll(pemBlock)];
  if (blocks.length > maxKeys) throw new EdgeBundleError('KEY_INVALID', `'${name}' has more than ${maxKeys} keys`);
  if (blocks.length === 0) throw new EdgeBundleError('KEY_INVALID', `'${name}' has no complete PEM block`);
  return blocks.map(([block, label = '']) => {
    if (label.includes('PRIVATE KEY')) {
      throw new EdgeBundleError('KEY_INVALID', `'${name}' has a private key; a public one is expected`, {
        hint: 'Keep it secret. openssl pkey -in private.pem -pubout -out public.pem makes the public one.',
      });
    }
    return keyFrom(name, () => createPublicKey(block));
  });
}

function keyFrom(name: string, create: () => KeyObject): PublicKey {
  let key: KeyObject;
  try {
    key = create();
  } catch {
    // OpenSSL's own words are of no use: `error:1E08010C:DECODER routines::unsupported`.
    throw noKey(name);
  }
  return publicKeyOf(key, name);
}

function installerKey(name: string, text: string): string {
  if (whyUnreadableYaml(text) !== undefined) throw noKey(name);
  let value: unknown;
  try {
    value = parse(text, { logLevel: 'error', stringKeys: true, ...optionsFor(text) });
  } catch {
    throw noKey(name);
  }
  const config = installerSchema.safeParse(value);
  if (config.success) return config.data.content.signing.publicKey.base64EncodedValue;
  throw noKey(name);
}

function noKey(name: string): EdgeBundleError {
  return new EdgeBundleError('KEY_INVALID', `'${name}' has no public key that can be read`, {
    hint: "Give a public key or certificate in PEM, or the installer's .edge_custom_config.yaml with content.signing.publicKey.base64EncodedValue.",
  });
}
