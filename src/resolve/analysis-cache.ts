import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as z from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import { isEdgeBundleError } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import type { LayerAnalysis } from './layer-analysis.ts';

/** Part of every key: changed whenever the same input would be analysed in another way. */
const analysisVersion = 3;

const analysisSchema = z.object({
  mentions: z.array(
    z.object({
      image: z.string(),
      class: z.enum(['declared', 'rendered', 'referenced', 'inferred']),
      path: z.string(),
      chart: z.string().optional(),
      note: z.string().optional(),
      namespace: z.string().optional(),
    }),
  ),
  installPriority: z.number(),
  charts: z.array(z.object({ name: z.string(), version: z.string(), path: z.string(), digest: digestSchema })),
  contentCharts: z.array(z.object({ repo: z.string(), name: z.string(), version: z.string(), path: z.string() })),
  unrendered: z.array(
    z.object({
      chart: z.string().optional(),
      code: z.enum(['RENDER_FAILED', 'RENDER_LIMIT', 'PACK_NOT_FOUND']),
      reason: z.string(),
      hint: z.string().optional(),
    }),
  ),
  warnings: z.array(z.string()),
});

/** Keeps analyses in a folder, each under the hash of all that it was made from. Processes share it. */
export class AnalysisCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The analysis that was kept for `key`. One that is damaged, or that cannot be read, counts as none. */
  async find(key: string): Promise<LayerAnalysis | undefined> {
    try {
      return analysisSchema.parse(JSON.parse(await readFile(this.#path(key), 'utf8')));
    } catch {
      return undefined;
    }
  }

  /** Keeps an analysis. Where the folder cannot be written, the next run takes longer, and nothing else. */
  async keep(key: string, analysis: LayerAnalysis): Promise<void> {
    try {
      await writeFileAtomic(this.#path(key), JSON.stringify(analysis), { isDurable: false });
    } catch (error) {
      if (!isEdgeBundleError(error, 'FILE_FAILED', 'NO_SPACE')) throw error;
    }
  }

  #path(key: string): string {
    return join(this.#folder, `${key}.json`);
  }
}

/** The hash of all that an analysis is made from: `parts`, in order, each told apart from the next. */
export function analysisKey(parts: readonly string[]): string {
  const hash = createHash('sha256').update(`${analysisVersion}\n`);
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex');
}
