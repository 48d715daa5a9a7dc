import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { isEdgeBundleError } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { treeStamp } from '../files/tree-stamp.ts';
import type { Resolution } from './resolved-profiles.ts';

/** Part of every key: changed whenever a resolution of the same inputs would be another one. */
const resolutionVersion = 3;

/** What a resolution is made from. */
export interface ResolutionInputs {
  /** All that is read from files: profiles, folders of packs, values, Helm. */
  readonly paths: readonly string[];
  /** All that is said in words. */
  readonly words: unknown;
}

/**
 * Keeps resolutions in a folder, so that to resolve the same inputs again takes no more than to see that they are the
 * same. For inputs that changed a little there is `AnalysisCache`. Processes share it.
 */
export class ResolutionCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The hash of what the inputs are at this moment; undefined where they have changed just now, or are no files. */
  keyOf({ paths, words }: ResolutionInputs): string | undefined {
    const stamp = treeStamp(paths);
    if (stamp === undefined) return undefined;
    return sha256(JSON.stringify([resolutionVersion, words, paths, stamp]));
  }

  /** The resolution that was kept for `key`. One that is damaged, or that cannot be read, counts as none. */
  async find(key: string): Promise<Resolution | undefined> {
    try {
      const text = await readFile(this.#path(key), 'utf8');
      const json = text.slice(hashLength + 1);
      // It is what `keep` wrote, so no schema has to be loaded to read it.
      return sha256(json) === text.slice(0, hashLength) ? (JSON.parse(json) as Resolution) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Where the folder cannot be written, the next run takes longer, and nothing else. */
  async keep(key: string, resolution: Resolution): Promise<void> {
    if (resolution.unrendered.some(({ code }) => code === 'RENDER_LIMIT')) return;
    const { charts, layers, ...others } = resolution;
    const json = JSON.stringify({
      ...others,
      charts: charts.map((chart) => ({ ...chart, open: undefined })),
      layers: layers.map((layer) => ({ ...layer, values: undefined, presets: undefined })),
    } satisfies Resolution);
    try {
      await writeFileAtomic(this.#path(key), `${sha256(json)}\n${json}`, { isDurable: false });
    } catch (error) {
      if (!isEdgeBundleError(error, 'FILE_FAILED', 'NO_SPACE')) throw error;
    }
  }

  #path(key: string): string {
    return join(this.#folder, `${key}.json`);
  }
}

const hashLength = 64;

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
