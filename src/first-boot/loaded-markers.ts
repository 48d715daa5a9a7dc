import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as z from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import { type Digest, digestHex } from '../content/digest.ts';
import { systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';

/** Where a bundle's content goes. The same bundle in another place is not loaded there yet. */
export interface LoadPlace {
  /** Host and port. */
  readonly registry: string;
  readonly project: string;
  readonly packsProject: string;
}

const markerSchema = z.object({
  bundle: z.object({ id: z.string(), digest: digestSchema, name: z.string() }),
  registry: z.string(),
  project: z.string(),
  packsProject: z.string(),
  images: z.int().nonnegative(),
  charts: z.int().nonnegative(),
  loadedAt: z.string(),
});

/** That a bundle was loaded to a place, and verified there. */
export type LoadedMarker = z.infer<typeof markerSchema>;

/** What was loaded from this host: a file for each bundle and place, which a power cut leaves whole or absent. */
export class LoadedMarkers {
  readonly #folder: string;
  readonly #place: LoadPlace;

  constructor(stateDir: string, place: LoadPlace) {
    this.#folder = join(stateDir, 'loaded');
    this.#place = place;
  }

  /** All that was loaded to this place. What cannot be read counts as not loaded. @throws EdgeBundleError FILE_FAILED */
  async list(): Promise<readonly LoadedMarker[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw fileError(error, `cannot tell what was loaded: '${this.#folder}'`);
    });
    const markers = await Promise.all(names.filter((name) => name.endsWith('.json')).map((name) => this.#read(name)));
    const { registry, project, packsProject } = this.#place;
    return markers
      .filter((marker) => marker !== undefined)
      .filter((marker) => marker.registry === registry && marker.project === project)
      .filter((marker) => marker.packsProject === packsProject);
  }

  async find(digest: Digest): Promise<LoadedMarker | undefined> {
    return (await this.list()).find(({ bundle }) => bundle.digest === digest);
  }

  /** Durable when it returns. @throws EdgeBundleError NO_SPACE, FILE_FAILED */
  async add(marker: Pick<LoadedMarker, 'bundle' | 'images' | 'charts'>): Promise<void> {
    const content: LoadedMarker = { ...marker, ...this.#place, loadedAt: new Date().toISOString() };
    await mkdir(this.#folder, { recursive: true }).catch((error: unknown) => {
      throw fileError(error, `cannot make '${this.#folder}'`);
    });
    await writeFileAtomic(this.#path(marker.bundle.digest), `${JSON.stringify(content, undefined, 2)}\n`);
  }

  #path(digest: Digest): string {
    const { registry, project, packsProject } = this.#place;
    const place = createHash('sha256').update([registry, project, packsProject].join('\n')).digest('hex');
    return join(this.#folder, `${digestHex(digest).slice(0, 32)}-${place.slice(0, 16)}.json`);
  }

  async #read(name: string): Promise<LoadedMarker | undefined> {
    try {
      return markerSchema.parse(JSON.parse(await readFile(join(this.#folder, name), 'utf8')));
    } catch {
      return undefined;
    }
  }
}
