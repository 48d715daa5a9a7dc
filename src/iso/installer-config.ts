import { type Document, isMap, parseDocument } from 'yaml';

import { optionsFor, whyUnreadableYaml } from '../content/yaml-limits.ts';
import { EdgeBundleError } from '../errors.ts';
import type { PublicKey } from '../trust/public-key.ts';
import { readPublicKeys } from '../trust/read-public-keys.ts';
import type { ContentKey } from './content-key.ts';

/** Where the installer looks for the key that content has to be signed for. */
export const installerConfigPath = '/.edge_custom_config.yaml';

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
 * @throws EdgeBundleError KEY_INVALID where there is more than one key; CONFIG_INVALID where what is there cannot be read;
 *   FILE_FAILED where it has another key
 */
export function installerConfig(
  { file, keys: [key, ...others] }: ContentKey,
  { present = '', replace = false }: InstallerConfigOptions,
): string {
  if (key === undefined || others.length > 0) {
    throw new EdgeBundleError('KEY_INVALID', `'${file}' has ${others.length + 1} keys; the installer takes one`);
  }
  const value = Buffer.from(key.key.export({ type: 'spki', format: 'pem' })).toString('base64');
  const document = parse(present);
  if (document === undefined) {
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

/**
 * The keys that hosts with this `.edge_custom_config.yaml` check content with: none where it names none.
 *
 * @throws EdgeBundleError KEY_INVALID where it names one that cannot be read
 */
export function installerKeys(text: string): PublicKey[] {
  if (parse(text)?.hasIn(keyPath) !== true) return [];
  return readPublicKeys([{ name: installerConfigPath, text }]);
}

/** Undefined for what is no map in YAML. */
function parse(text: string): Document | undefined {
  if (whyUnreadableYaml(text) !== undefined) return undefined;
  const document = parseDocument(text, { stringKeys: true, ...optionsFor(text) });
  return document.errors.length > 0 || (document.contents !== null && !isMap(document.contents)) ? undefined : document;
}
