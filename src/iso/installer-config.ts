import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { isMap, parseDocument } from 'yaml';

import { isNestedTooDeep } from '../content/yaml-depth.ts';
import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

export interface InstallerConfigOptions {
  /** What the ISO has. */
  readonly present?: string | undefined;
  /** Put the key in the place of another one. */
  readonly replace?: boolean | undefined;
}

const keyPath = ['content', 'signing', 'publicKey', 'base64EncodedValue'];

/**
 * `.edge_custom_config.yaml` with the public key that content has to be signed for; everything else in it stays.
 *
 * @param file a public key in PEM
 * @throws EdgeBundleError KEY_INVALID; CONFIG_INVALID where what is there cannot be read; FILE_FAILED where it has another key
 */
export async function installerConfig(
  file: string,
  { present = '', replace = false }: InstallerConfigOptions,
): Promise<string> {
  const pem = await readFile(file, 'utf8').catch((error: unknown) => {
    throw fileError(error, `cannot read '${file}'`);
  });
  const value = Buffer.from(publicPem(file, pem)).toString('base64');
  const document = parseDocument(isNestedTooDeep(present) ? '[' : present);
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents))) {
    throw new EdgeBundleError('CONFIG_INVALID', "the ISO's .edge_custom_config.yaml cannot be read as YAML");
  }
  const before = document.getIn(keyPath);
  if (before !== undefined && before !== value && !replace) {
    throw new EdgeBundleError('FILE_FAILED', "the ISO's .edge_custom_config.yaml has another public key", {
      hint: 'Put this one in its place with --replace.',
    });
  }
  document.setIn(keyPath, value);
  return document.toString({ lineWidth: 0 });
}

/** A private key must not get onto a disk that travels. */
function publicPem(name: string, text: string): string {
  if (text.includes('PRIVATE KEY')) {
    throw new EdgeBundleError('KEY_INVALID', `'${name}' has a private key; a public one is expected`, {
      hint: 'Keep it secret. openssl pkey -in private.pem -pubout -out public.pem makes the public one.',
    });
  }
  try {
    return createPublicKey(text).export({ type: 'spki', format: 'pem' }).toString();
  } catch (cause) {
    throw new EdgeBundleError('KEY_INVALID', `'${name}' has no public key that can be read`, { cause });
  }
}
