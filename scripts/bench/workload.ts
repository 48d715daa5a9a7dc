import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as z from 'zod';

import { writeFileAtomic } from '../../src/files/atomic-file.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import type { Processes } from '../support/processes.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { makeImages } from './images.ts';

/** One run of edge-bundle, as the kernel counted it. */
export interface Usage {
  readonly durationMs: number;
  readonly peakMemoryBytes: number;
  readonly writtenBytes: number;
}

export interface Bundle {
  readonly path: string;
  readonly bytes: number;
}

const usageSchema = z.object({ peakMemoryBytes: z.int(), writtenBytes: z.int() });
const namesSchema = z.array(z.string());
export const commandLine = join(import.meta.dirname, '../../dist/cli/main.js');

/**
 * The two jobs, each done by edge-bundle and by others, from the same images. Before the clock starts, the output of
 * the run before is removed and the disk is idle; what is read is in the page cache.
 */
export class Workload {
  readonly #processes: Processes;
  readonly #folder: string;
  readonly #names: readonly string[];
  readonly #source: DockerRegistry;

  private constructor(processes: Processes, folder: string, names: readonly string[], source: DockerRegistry) {
    this.#processes = processes;
    this.#folder = folder;
    this.#names = names;
    this.#source = source;
  }

  /** Makes the images in `folder`, the first time, and serves them. */
  static async prepare(processes: Processes, folder: string): Promise<Workload> {
    const stamp = join(folder, 'images.json');
    const isMade = existsSync(stamp);
    const layout = join(folder, 'images');
    if (!isMade) for (const old of [layout, join(folder, 'source')]) await rm(old, { recursive: true, force: true });
    const names = isMade
      ? namesSchema.parse(JSON.parse(readFileSync(stamp, 'utf8')))
      : await makeImages(processes, layout, join(folder, 'downloads'));
    const source = await startDockerRegistry(processes, join(folder, 'source'));
    const workload = new Workload(processes, folder, names, source);
    if (!isMade) {
      await workload.#skopeo(layout, source);
      await writeFileAtomic(stamp, JSON.stringify(names));
    }
    const references = names.map((name) => `${source.address}/${name}\n`);
    await writeFile(join(folder, 'images.txt'), references.join(''));
    return workload;
  }

  get images(): number {
    return this.#names.length;
  }

  async build(): Promise<Usage & { readonly bundle: Bundle }> {
    const out = await this.#empty('bundles');
    const { stdout, usage } = await this.#edgeBundle(
      'build',
      this.#path('images.txt'),
      '--name',
      'bench',
      '--out',
      out,
    );
    return { ...usage, bundle: documentSchemas.build.parse(JSON.parse(stdout)).bundle };
  }

  /** `skopeo copy` of each image into an OCI layout, which `tar | zstd -3 -T0` makes one file. */
  async skopeoArchive(): Promise<number> {
    const folder = await this.#empty('archive');
    return timed(async () => {
      for (const name of this.#names) {
        const from = `docker://${this.#source.address}/${name}`;
        await this.#processes.run('skopeo', [
          ...['copy', '--quiet', '--src-tls-verify=false', from, `oci:${folder}/layout:${name}`],
        ]);
      }
      await this.#processes.run('bash', [
        ...['-c', 'set -o pipefail; tar -C "$0/layout" -cf - . | zstd -q -3 -T0 -o "$0/layout.tar.zst"', folder],
      ]);
    });
  }

  /** `cp` of the bundle, and the flush to the disk that edge-bundle waits for and cp does not. */
  async copy(bundle: Bundle): Promise<{ readonly durationMs: number; readonly flushedMs: number }> {
    const target = join(await this.#empty('copy'), 'bundle');
    const durationMs = await timed(() => this.#processes.run('cp', [bundle.path, target]));
    const flushMs = await timed(() => this.#processes.run('sync', [target]));
    return { durationMs, flushedMs: durationMs + flushMs };
  }

  async load(bundle: Bundle): Promise<Usage> {
    return this.#intoEmptyRegistry(async ({ address }) => {
      return (await this.#edgeBundle('load', bundle.path, '--registry', `http://${address}`)).usage;
    });
  }

  /** `skopeo copy` of each image from an OCI layout. */
  async skopeoLoad(): Promise<number> {
    return this.#intoEmptyRegistry((target) => timed(() => this.#skopeo(this.#path('images'), target)));
  }

  async #skopeo(layout: string, target: DockerRegistry): Promise<void> {
    for (const name of this.#names) {
      const to = `docker://${target.address}/${name}`;
      await this.#processes.run('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', `oci:${layout}:${name}`, to]);
    }
  }

  async #intoEmptyRegistry<T>(task: (target: DockerRegistry) => Promise<T>): Promise<T> {
    const target = await startDockerRegistry(this.#processes, await this.#empty('target'));
    try {
      return await task(target);
    } finally {
      await this.#processes.end(target.process);
    }
  }

  async #edgeBundle(...args: readonly string[]): Promise<{ readonly stdout: string; readonly usage: Usage }> {
    const usageFile = this.#path('usage.json');
    const probe = join(import.meta.dirname, 'usage-probe.js');
    const { stdout, durationMs } = await this.#processes.run(
      process.execPath,
      ['--import', probe, commandLine, ...args, '--plain-http', '--quiet', '--output', 'json'],
      { env: { USAGE_FILE: usageFile } },
    );
    return { stdout, usage: { durationMs, ...usageSchema.parse(JSON.parse(await readFile(usageFile, 'utf8'))) } };
  }

  /** A new, empty folder; nothing is waiting to be written to the disk then. */
  async #empty(name: string): Promise<string> {
    const path = this.#path(name);
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true });
    await this.#processes.run('sync', []);
    return path;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await task();
  return performance.now() - started;
}
