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
  const before = keyIn(document);
  if (before === value) return present;
  if (before !== undefined && !replace) {
    throw new EdgeBundleError('FILE_FAILED', "the ISO's .edge_custom_config.yaml has another public key", {
      hint: 'Put this one in its place with --replace.',
    });
  }
  try {
    document.setIn(keyPath, value);
  } catch (cause) {
    const reason = `the ISO's .edge_custom_config.yaml has no place for ${keyPath.join('.')}: an alias or a text is in its way`;
    throw new EdgeBundleError('CONFIG_INVALID', reason, { cause });
  }
  return document.toString({ lineWidth: 0 });
}

/**
 * The keys that hosts with this `.edge_custom_config.yaml` check content with: none where it names none.
 *
 * @throws EdgeBundleError CONFIG_INVALID where it cannot be read; KEY_INVALID where it names a key that cannot
 */
export function installerKeys(text: string): PublicKey[] {
  return keyIn(parse(text)) === undefined ? [] : readPublicKeys([{ name: installerConfigPath, text }]);
}

/** @throws EdgeBundleError CONFIG_INVALID for what is no map in YAML */
function parse(text: string): Document {
  if (whyUnreadableYaml(text) !== undefined) throw unreadable();
  const document = parseDocument(text, { stringKeys: true, ...optionsFor(text) });
  if (document.errors.length > 0 || (document.contents !== null && !isMap(document.contents))) throw unreadable();
  return document;
}

/** Wherever aliases lead, as hosts read it. */
function keyIn(document: Document): unknown {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (cause) {
    throw unreadable(cause);
  }
  for (const key of keyPath) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function unreadable(cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('CONFIG_INVALID', "the ISO's .edge_custom_config.yaml cannot be read as YAML", { cause });
}
