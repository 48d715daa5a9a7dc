import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { EdgeBundleError } from '../errors.ts';

export interface LocateHelmOptions {
  /** What the user named. */
  readonly helm?: string | undefined;
  /** EDGE_BUNDLE_HELM and PATH are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Put there by `scripts/setup`; the same place as seen from `src/` and from `dist/`. */
const pinnedPath = fileURLToPath(new URL('../../.tools/helm', import.meta.url));
const hint = 'Run scripts/setup, install Helm 3.8 or newer, or name one: --helm FILE or EDGE_BUNDLE_HELM.';

/**
 * Where the Helm to use is; it is not run.
 *
 * @throws EdgeBundleError HELM_MISSING where there is none
 */
export async function locateHelm(options: LocateHelmOptions): Promise<string> {
  const { helm, environment } = options;
  const named = helm ?? (environment.EDGE_BUNDLE_HELM === '' ? undefined : environment.EDGE_BUNDLE_HELM);
  if (named !== undefined) {
    const path = resolve(named);
    if (await isProgram(path)) return path;
    throw helmMissing(`'${named}' is named as Helm, and is no program that can be run`);
  }
  const path = await findInPath('helm', environment.PATH);
  if (path !== undefined) return path;
  if (await isProgram(pinnedPath)) return pinnedPath;
  throw helmMissing('Helm is not found: it renders the charts');
}

/** The first program of that name in the folders of `path`. */
export async function findInPath(name: string, path: string | undefined): Promise<string | undefined> {
  // A relative folder would be another one with each current folder.
  const folders = (path ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  for (const folder of folders) {
    if (await isProgram(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

export function helmMissing(message: string): EdgeBundleError {
  return new EdgeBundleError('HELM_MISSING', message, { hint });
}
