import { readFile } from 'node:fs/promises';

import type { OperationOptions } from '../content/store.ts';
import { combineFailures, type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import type { FetchedChart } from '../helm/fetch-artifact.ts';
import type { ChartDownloadOptions } from '../helm/chart-download.ts';
import { packChart } from '../helm/pack-chart.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import type { PackDefinition, PackQuery, PackSource } from '../profile/packs/pack-definition.ts';
import type { PackageInput } from '../profile/profile-kinds.ts';
import { readPack } from '../profile/packs/read-pack.ts';

export interface PackagesOptions {
  /** Asked in this order. */
  readonly sources: readonly PackSource[];
  /** Asked for where something has to be fetched. */
  readonly connect: () => Promise<Connections>;
}

/** What fetches charts and packs that addresses name. */
export interface Connections {
  readonly client: RegistryClient;
  /** For charts that are in no OCI registry. */
  readonly download: ChartDownloadOptions;
}

/** Brings charts and packs from wherever they are. What talks to a network is loaded only where it is needed: it takes a while. */
export class Packages {
  readonly #options: PackagesOptions;

  constructor(options: PackagesOptions) {
    this.#options = options;
  }

  /**
   * The pack that a profile names; undefined where no source has one of that name.
   *
   * @throws EdgeBundleError PACK_NOT_FOUND where sources have it in other versions only, and what the sources throw
   */
  async findPack(query: PackQuery, options: OperationOptions = {}): Promise<PackDefinition | undefined> {
    const failures: EdgeBundleError[] = [];
    for (const source of this.#options.sources) {
      try {
        const found = await source.find(query, options);
        if (found !== undefined) return found;
      } catch (error) {
        if (!isEdgeBundleError(error, 'PACK_NOT_FOUND')) throw error;
        failures.push(error);
      }
    }
    const [first, ...others] = failures;
    if (first === undefined) return undefined;
    throw others.length === 0
      ? first
      : combineFailures('PACK_NOT_FOUND', `the pack '${query.name}' was not found`, failures);
  }

  /** A pack that was given by itself. */
  async readPack({ file, source }: PackageInput, options: OperationOptions = {}): Promise<PackDefinition> {
    if (source !== 'remote') return readPack(file);
    const { client } = await this.#options.connect();
    const { fetchPack } = await import('../profile/packs/pack-registry.ts');
    return fetchPack(file, client, options);
  }

  /** A chart that was given by itself. */
  async readChart({ file, source }: PackageInput, options: OperationOptions = {}): Promise<FetchedChart> {
    if (source === 'remote') return this.fetchChart(file, options);
    const archive =
      source === 'folder'
        ? await packChart(file, options.signal === undefined ? {} : { signal: options.signal })
        : await readArchiveFile(file);
    return { archive, origin: file };
  }

  /** A chart at an address: `oci://…`, `https://…`. */
  async fetchChart(address: string, options: OperationOptions = {}): Promise<FetchedChart> {
    const { client, download } = await this.#options.connect();
    const { fetchChart } = await import('../helm/fetch-chart.ts');
    return fetchChart(address, client, { ...download, ...options });
  }
}

async function readArchiveFile(file: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw fileError(error, `cannot read the chart '${file}'`);
  });
}
