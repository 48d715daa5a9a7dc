import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { type FirstBootConfig, firstBootConfigSchema } from '../../src/first-boot/config-schema.ts';
import { firstBoot, type FirstBootOptions } from '../../src/first-boot/first-boot.ts';
import { type FirstBootStatus, firstBootStatusSchema } from '../../src/report/first-boot-status.ts';
import { planBundle, writeBundle } from '../support/bundles.ts';
import { blob, image, noise } from '../support/graphs.ts';
import { harborAdmin, type HarborFront } from '../support/harbor-front.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

type Members = Readonly<Record<string, unknown>>;

export interface MadeBundle {
  readonly path: string;
  readonly id: string;
  readonly name: string;
}

let hosts = 0;

/** A host with content, and a project of its own in a Harbor. */
export class EdgeHost {
  readonly folder: string;
  readonly content: string;
  readonly project: string;
  readonly statusPath: string;
  /** What stood on the console. */
  readonly lines: string[] = [];
  readonly warnings: string[] = [];
  readonly #front: HarborFront;

  private constructor(front: HarborFront, folder: string) {
    hosts += 1;
    this.#front = front;
    this.folder = folder;
    this.content = join(folder, 'content');
    this.project = `first-boot-${process.pid}-${hosts}`;
    this.statusPath = join(folder, 'state', 'status.json');
  }

  static async create(front: HarborFront): Promise<EdgeHost> {
    const host = new EdgeHost(front, await temporaryFolder());
    await mkdir(host.content);
    await writeFile(join(host.folder, 'password'), `${harborAdmin.password}\n`);
    return host;
  }

  /** What its first-boot.yaml says. */
  members(more: Members = {}): Members {
    return {
      sources: [{ directory: this.content }],
      harbor: this.#front.url,
      caCert: this.#front.caPath,
      username: harborAdmin.name,
      passwordFile: join(this.folder, 'password'),
      project: this.project,
      stateDir: join(this.folder, 'state'),
      mountDir: join(this.folder, 'run'),
      preflight: false,
      ...more,
    };
  }

  config(more: Members = {}): FirstBootConfig {
    return firstBootConfigSchema.parse(this.members(more));
  }

  /** Writes first-boot.yaml. @returns its path */
  async writeConfig(more: Members = {}): Promise<string> {
    const path = join(this.folder, 'first-boot.yaml');
    await writeFile(path, JSON.stringify(this.members(more)));
    return path;
  }

  /** One run, within this process. */
  boot(more: Members = {}, options: Partial<FirstBootOptions> = {}): Promise<FirstBootStatus> {
    return firstBoot({
      config: this.config(more),
      pollMs: 30,
      intervalMs: 20,
      onEvent: (event) => void (event.type === 'line' ? this.lines : this.warnings).push(event.text),
      ...options,
    });
  }

  async status(): Promise<FirstBootStatus> {
    return firstBootStatusSchema.parse(JSON.parse(await readFile(this.statusPath, 'utf8')));
  }

  /** A bundle with one image `docker.io/library/NAME:1` of two layers, in a folder of its own. */
  async bundle(
    name: string,
    { out = this.content, layerBytes = 50_000, sourceDateEpoch = 0 } = {},
  ): Promise<MadeBundle> {
    const layers = [1, 2].map((number) =>
      blob(noise(layerBytes, `${this.project} ${name} ${number}`), mediaTypes.ociLayerGzip),
    );
    const planned = await planBundle({ [`docker.io/library/${name}:1`]: image(layers) }, { name, sourceDateEpoch });
    const path = await writeBundle(out, planned);
    const reader = await BundleReader.open(path);
    await reader.close();
    return { path, id: reader.id, name };
  }

  /** Whether the registry behind Harbor has the image of a bundle. */
  async isLoaded(name: string): Promise<boolean> {
    return this.isThere(`docker.io/library/${name}:1`);
  }

  /** Whether it has an image, by its reference in normal form. */
  async isThere(reference: string): Promise<boolean> {
    const [, repository = '', tag = ''] = /^(.*):(.*)$/.exec(reference) ?? [];
    const url = `${this.#front.backend.url}/v2/${this.project}/${repository}/manifests/${tag}`;
    const response = await fetch(url, {
      method: 'HEAD',
      headers: { accept: `${mediaTypes.ociManifest}, ${mediaTypes.ociIndex}` },
    });
    return response.status === 200;
  }
}
