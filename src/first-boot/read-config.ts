import { readFile } from 'node:fs/promises';

import { LineCounter, parseDocument } from 'yaml';

import { optionsFor, whyUnreadableYaml } from '../content/yaml-limits.ts';
import { EdgeBundleError, errorMessage } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { type FirstBootConfig, firstBootConfigSchema } from './config-schema.ts';

const maxConfigBytes = 256 * 1024;

const hint = 'docs/first-boot.md has every member; manifests/first-boot/first-boot.yaml is an example with comments.';

/** @throws EdgeBundleError FILE_FAILED; CONFIG_INVALID with all that is wrong, as failures */
export async function readFirstBootConfig(path: string): Promise<FirstBootConfig> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(error, `cannot read the configuration '${path}'`);
  });
  return parseFirstBootConfig(text, `'${path}'`);
}

/**
 * @param where names the text in errors
 * @throws EdgeBundleError CONFIG_INVALID with all that is wrong, as failures
 */
export function parseFirstBootConfig(text: string, where: string): FirstBootConfig {
  if (Buffer.byteLength(text) > maxConfigBytes) {
    throw new EdgeBundleError('CONFIG_INVALID', `${where} has more than ${maxConfigBytes} bytes`, { hint });
  }
  const result = firstBootConfigSchema.safeParse(parseText(text, where));
  if (result.success) return result.data;
  throw invalid(
    where,
    result.error.issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`)),
  );
}

function parseText(text: string, where: string): unknown {
  const obstacle = whyUnreadableYaml(text);
  if (obstacle !== undefined) throw invalid(where, [obstacle]);
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { ...optionsFor(text), logLevel: 'error', stringKeys: true, lineCounter });
  if (document.errors.length > 0) {
    throw invalid(
      where,
      document.errors.map(({ message, pos: [start] }) => {
        const { line, col } = lineCounter.linePos(start);
        return `line ${line}, column ${col}: ${message.split('\n', 1)[0] ?? ''}`;
      }),
    );
  }
  try {
    // Nothing here is worth an alias, and a few of them can make a text that is too large for the memory.
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw invalid(where, [errorMessage(error)]);
  }
}

function invalid(where: string, reasons: readonly string[]): EdgeBundleError {
  return new EdgeBundleError('CONFIG_INVALID', `the configuration ${where} cannot be used`, {
    hint,
    failures: reasons.map((reason) => new EdgeBundleError('CONFIG_INVALID', reason)),
  });
}
