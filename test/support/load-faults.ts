import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

import * as z from 'zod';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { edgeBundle, startEdgeBundle } from './edge-bundle.ts';
import { seeded } from './fault-plan.ts';
import { noise } from './graphs.ts';
import { harborAdmin, HarborFront } from './harbor-front.ts';
import { makeImage, makeIndex } from './images.ts';
import { makeLayer, tarOf } from './layers.ts';

export interface LoadFaultsOptions {
  readonly seed: number;
  /** How large the layers of each image are, in bytes; the last image is an index of two. */
  readonly images: readonly (readonly number[])[];
}

/** What came of a load that was disturbed. */
export interface DisturbedLoad {
  readonly disturbances: number;
  /** Bytes of blobs that Harbor was sent in all, in all runs. */
  readonly uploadedBytes: number;
  /** Of these, what was in flight when something broke. */
  readonly lostBytes: number;
  /** Of the bundle. */
  readonly blobBytes: number;
  /** Tags that were visible before all of their content was there. */
  readonly halfLoaded: readonly string[];
  /** Tags that the watcher saw, and how often it pulled. */
  readonly watched: { readonly tags: number; readonly pulls: number };
  /** Repository, tag and digest of everything, as it is in the registry in the end; each was read back and hashed. */
  readonly endState: readonly string[];
  readonly violations: readonly unknown[];
}

/** What came of a load whose tokens end time and again. */
export interface ExpiringLoad extends DisturbedLoad {
  readonly durationMs: number;
  /** Tokens for content that Harbor gave out. */
  readonly tokens: number;
  /** Requests that came with a token that had ended. */
  readonly refused: number;
}

const manifestSchema = z.object({
  manifests: z.array(z.object({ digest: z.string() })).default([]),
  layers: z.array(z.object({ digest: z.string() })).default([]),
  config: z.object({ digest: z.string() }).optional(),
});
const accept = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** A bundle, a Harbor, and a loader that is killed, or whose Harbor goes away, at moments that a seed chooses. */
export class LoadFaults {
  readonly front: HarborFront;
  readonly #folder: string;
  readonly #bundle: string;
  readonly #random: () => number;
  readonly #blobBytes: number;

  private constructor(front: HarborFront, folder: string, bundle: string, parts: { seed: number; blobBytes: number }) {
    this.front = front;
    this.#folder = folder;
    this.#bundle = bundle;
    this.#random = seeded(parts.seed);
    this.#blobBytes = parts.blobBytes;
  }

  static async prepare({ seed, images }: LoadFaultsOptions): Promise<LoadFaults> {
    const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-load-faults-'));
    const source = await startDockerRegistry();
    try {
      const references = await fill(source, images, seed);
      await writeFile(join(folder, 'images.txt'), references.join('\n'));
      await writeFile(join(folder, 'password'), harborAdmin.password);
      const out = join(folder, 'bundles');
      const { exitCode, stdout, stderr } = await edgeBundle([
        ...[
          'build',
          join(folder, 'images.txt'),
          '--plain-http',
          '--name',
          'faults',
          '--out',
          out,
          '--quiet',
          '--output',
          'json',
        ],
        ...['--arch', 'amd64', '--arch', 'arm64', '--allow-missing-platform'],
      ]);
      if (exitCode !== 0) throw new Error(`the bundle was not built: ${stderr}`);
      const { path } = documentSchemas.build.parse(JSON.parse(stdout)).bundle;
      const reader = await BundleReader.open(path);
      const blobBytes = reader.document.blobs.reduce((sum, { size }) => sum + size, 0);
      await reader.close();
      return new LoadFaults(await HarborFront.start(), folder, path, { seed, blobBytes });
    } finally {
      await source.stop();
    }
  }

  async close(): Promise<void> {
    await this.front.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** kill -9 at `kills` points of a load; each time it is started again, with the same journal. */
  async killed(project: string, kills: number): Promise<DisturbedLoad> {
    const points = this.#points(kills);
    return this.#watched(project, async () => {
      let done = 0;
      for (;;) {
        const child = startEdgeBundle(this.#load(project));
        const ended = once(child, 'close');
        const errors = child.stderr === null ? Promise.resolve('') : text(child.stderr);
        child.stdout?.resume();
        this.front.state.onUpload = (bytes) => {
          if (done < points.length && bytes >= (points[done] ?? 0) && child.kill('SIGKILL')) done += 1;
        };
        await ended;
        this.front.state.onUpload = undefined;
        if (child.signalCode === 'SIGKILL') continue;
        if (child.exitCode !== 0) throw new Error(`the load failed (${child.exitCode}): ${await errors}`);
        return done;
      }
    });
  }

  /** Harbor goes away at `restarts` points of one load, and comes back a little later. */
  async restarted(project: string, restarts: number): Promise<DisturbedLoad> {
    const points = this.#points(restarts);
    return this.#watched(project, async () => {
      let done = 0;
      let isAway = false;
      this.front.state.onUpload = (bytes) => {
        if (isAway || done >= points.length || bytes < (points[done] ?? 0)) return;
        isAway = true;
        done += 1;
        void this.#restart().then(() => (isAway = false));
      };
      const { exitCode, stderr } = await edgeBundle(this.#load(project));
      this.front.state.onUpload = undefined;
      if (exitCode !== 0) throw new Error(`the load failed (${exitCode}): ${stderr}`);
      return done;
    });
  }

  /** Tokens end after `tokenLifetimeMs`, and the load is slowed to `bytesPerSecond`, so that it lasts many times as long. */
  async expiring(project: string, tokenLifetimeMs: number, bytesPerSecond: number): Promise<ExpiringLoad> {
    const beganMs = performance.now();
    const load = await this.#watched(project, async () => {
      this.front.state.knobs.tokenLifetimeMs = tokenLifetimeMs;
      const { exitCode, stderr } = await edgeBundle([...this.#load(project), '--limit-rate', String(bytesPerSecond)]);
      if (exitCode !== 0) throw new Error(`the load failed (${exitCode}): ${stderr}`);
      return 0;
    });
    const { requests } = this.front;
    return {
      ...load,
      durationMs: performance.now() - beganMs,
      tokens: requests.filter(({ path, status }) => /^\/service\/token.*scope=/.test(path) && status === 200).length,
      refused: requests.filter(({ path, status }) => path.startsWith(`/v2/${project}/`) && status === 401).length,
    };
  }

  async #restart(): Promise<void> {
    await this.front.pause();
    await sleep(200 + 800 * this.#random());
    await this.front.resume();
  }

  #load(project: string): readonly string[] {
    return [
      ...['load', this.#bundle, '--harbor', this.front.url, '--ca-cert', this.front.caPath, '--project', project],
      ...['--username', harborAdmin.name, '--password-file', join(this.#folder, 'password'), '--quiet'],
      ...['--journal', join(this.#folder, 'journal'), '--wait=5m'],
    ];
  }

  /** Sorted; of all bytes that have come, also those that come again. */
  #points(count: number): readonly number[] {
    return Array.from({ length: count }, () => this.#random() * this.#blobBytes * 0.98).sort((a, b) => a - b);
  }

  async #watched(project: string, disturb: () => Promise<number>): Promise<DisturbedLoad> {
    this.front.reset();
    const watcher = new Watcher(this.front.backend.url, project);
    const watching = watcher.watch();
    let disturbances: number;
    try {
      disturbances = await disturb();
    } finally {
      watcher.stop();
      await watching;
    }
    const { uploadedBytes, lostBytes, violations } = this.front.state;
    return {
      disturbances,
      uploadedBytes,
      lostBytes,
      blobBytes: this.#blobBytes,
      halfLoaded: watcher.halfLoaded,
      watched: { tags: watcher.tags, pulls: watcher.pulls },
      endState: await watcher.readAll(),
      violations: [...violations],
    };
  }
}

/** Looks for tags behind Harbor's back, all the time, and asks for everything below each. */
class Watcher {
  readonly halfLoaded: string[] = [];
  pulls = 0;
  readonly #registry: string;
  readonly #project: string;
  readonly #seen = new Set<string>();
  #isWatching = true;

  constructor(registry: string, project: string) {
    this.#registry = registry;
    this.#project = project;
  }

  get tags(): number {
    return this.#seen.size;
  }

  stop(): void {
    this.#isWatching = false;
  }

  async watch(): Promise<void> {
    while (this.#isWatching) {
      for (const { repository, tag } of await this.#visible()) {
        // It is listed before it is written, and nobody can pull it until then.
        const answer = await this.#ask('GET', `${repository}/manifests/${tag}`);
        if (!answer.ok) continue;
        this.#seen.add(`${repository}:${tag}`);
        this.pulls += 1;
        const missing = await this.#missingIn(repository, await answer.json());
        if (missing !== undefined) this.halfLoaded.push(`${repository}:${tag} lacks ${missing}`);
      }
      await sleep(50);
    }
  }

  /** Everything, read back and hashed here. */
  async readAll(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const { repository, tag } of await this.#visible()) {
      const digest = await this.#readBack(repository, tag, 'manifests');
      lines.push(`${repository.slice(this.#project.length + 1)}:${tag}@${digest}`);
    }
    return lines.sort();
  }

  async #readBack(repository: string, reference: string, kind: 'manifests' | 'blobs'): Promise<string> {
    const answer = await this.#ask('GET', `${repository}/${kind}/${reference}`);
    if (!answer.ok) throw new Error(`${repository}: ${kind} ${reference}: ${answer.status}`);
    const bytes = Buffer.from(await answer.arrayBuffer());
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    if (reference.startsWith('sha256:') && digest !== reference) throw new Error(`${reference} is ${digest} there`);
    if (kind === 'manifests') {
      const { manifests, layers, config } = manifestSchema.parse(JSON.parse(bytes.toString()));
      for (const child of manifests) await this.#readBack(repository, child.digest, 'manifests');
      for (const blob of [...layers, ...(config === undefined ? [] : [config])]) {
        await this.#readBack(repository, blob.digest, 'blobs');
      }
    }
    return digest;
  }

  async #missingIn(repository: string, manifest: unknown): Promise<string | undefined> {
    const { manifests, layers, config } = manifestSchema.parse(manifest);
    for (const { digest } of [...layers, ...(config === undefined ? [] : [config])]) {
      if (!(await this.#ask('HEAD', `${repository}/blobs/${digest}`)).ok) return digest;
    }
    for (const { digest } of manifests) {
      const answer = await this.#ask('GET', `${repository}/manifests/${digest}`);
      const missing = answer.ok ? await this.#missingIn(repository, await answer.json()) : digest;
      if (missing !== undefined) return missing;
    }
    return undefined;
  }

  async #visible(): Promise<readonly { readonly repository: string; readonly tag: string }[]> {
    const catalog = await this.#ask('GET', '_catalog?n=1000');
    const { repositories } = z.object({ repositories: z.array(z.string()) }).parse(await catalog.json());
    const all = repositories
      .filter((name) => name.startsWith(`${this.#project}/`))
      .map(async (repository) => {
        const list = await this.#ask('GET', `${repository}/tags/list`);
        if (!list.ok) return [];
        const { tags } = z.object({ tags: z.array(z.string()).nullable() }).parse(await list.json());
        return (tags ?? []).map((tag) => ({ repository, tag }));
      });
    return (await Promise.all(all)).flat();
  }

  #ask(method: string, path: string): Promise<Response> {
    return fetch(`${this.#registry}/v2/${path}`, { method, headers: { accept } });
  }
}

/** @returns the references of the images */
async function fill(
  source: DockerRegistry,
  images: LoadFaultsOptions['images'],
  seed: number,
): Promise<readonly string[]> {
  const client = new RegistryClient({ plainHttp: 'all' });
  const references: string[] = [];
  for (const [number, sizes] of images.entries()) {
    const name = `faults/app-${number}`;
    const store = client.repository(source.host, name);
    const layers = [];
    for (const [at, size] of sizes.entries()) {
      const content = noise(size, `${seed} ${number} ${at}`);
      layers.push(await makeLayer(store, tarOf([{ path: 'data', content }]), { level: 1 }));
    }
    const amd64 = await makeImage(store, { layers });
    const isLast = number === images.length - 1;
    const arm64 = { os: 'linux', architecture: 'arm64' };
    const root = isLast
      ? await makeIndex(store, [amd64, await makeImage(store, { layers: layers.slice(0, 1), platform: arm64 })])
      : amd64;
    await store.tag(root, 'v1');
    references.push(`${source.host}/${name}:v1`);
  }
  await client.close();
  return references;
}
