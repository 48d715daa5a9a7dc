import pLimit from 'p-limit';
import * as z from 'zod';

import type { Digest } from '../content/digest.ts';
import { collectGraph, type Graph } from '../content/graph.ts';
import { mediaTypes } from '../content/media-types.ts';
import { formatPlatform, type Platform } from '../content/platform.ts';
import type { Fetcher, OperationOptions, Resolver } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { errorMessage, isEdgeBundleError } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';

/** Where images are measured; a RegistryClient is one. */
export interface MeasuredRegistries {
  repository(registry: string, repository: string): Fetcher & Resolver;
}

export interface MeasuredImage {
  /** `linux/amd64`; empty where the image does not say. */
  readonly platforms: readonly string[];
}

export interface MeasureFailure {
  readonly reason: string;
  /** The registry was not reached: nothing is known of the image. */
  readonly isUnreachable: boolean;
}

export interface Measurement {
  /** By reference in normal form. */
  readonly images: ReadonlyMap<string, MeasuredImage>;
  /** Why images could not be measured, by reference. */
  readonly failures: ReadonlyMap<string, MeasureFailure>;
  /** What a registry stores for all of them: each blob and manifest once, as it is in the source registry. */
  readonly bytes: number;
}

const concurrency = 8;
const configSchema = z.object({ architecture: z.string(), os: z.string(), variant: z.string().optional() });

/**
 * Reads the manifests of images, and no layer.
 *
 * @throws EdgeBundleError ABORTED; an image that cannot be read is among the failures
 */
export async function measureImages(
  references: readonly string[],
  registries: MeasuredRegistries,
  options: OperationOptions = {},
): Promise<Measurement> {
  const limit = pLimit(concurrency);
  const sizes = new Map<Digest, number>();
  const images = new Map<string, MeasuredImage>();
  const failures = new Map<string, MeasureFailure>();
  await Promise.all(
    references.map((reference) =>
      limit(async () => {
        const { registry, repository, tag, digest } = parseReference(reference);
        try {
          const source = registries.repository(registry, repository);
          const graph = await collectGraph(source, await source.resolve(digest ?? tag ?? 'latest', options), options);
          for (const { descriptor } of graph.manifests) sizes.set(descriptor.digest, descriptor.size);
          for (const blob of graph.blobs) sizes.set(blob.digest, blob.size);
          images.set(reference, { platforms: await platformsOf(graph, source, options) });
        } catch (error) {
          if (!isEdgeBundleError(error) || error.code === 'ABORTED') throw error;
          const isUnreachable = isEdgeBundleError(error, 'REGISTRY_UNAVAILABLE', 'TIMEOUT');
          failures.set(reference, { reason: errorMessage(error), isUnreachable });
        }
      }),
    ),
  );
  return { images, failures, bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
}

async function platformsOf({ root, manifests }: Graph, source: Fetcher, options: OperationOptions): Promise<string[]> {
  const top = manifests.find(({ descriptor }) => descriptor.digest === root.digest)?.manifest;
  if (top?.kind === 'index') {
    return top.manifests.flatMap(({ platform }) => (isKnown(platform) ? [formatPlatform(platform)] : []));
  }
  const imageConfigs: readonly string[] = [mediaTypes.ociConfig, mediaTypes.dockerConfig];
  if (top === undefined || !imageConfigs.includes(top.config.mediaType)) return [];
  const config = configSchema.safeParse(parseJson(await readContent(source, top.config, options)));
  return config.success ? [formatPlatform(config.data)] : [];
}

/** Undefined where it is not JSON: the image does not say what it is for then. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Attestations have the platform `unknown/unknown`. */
function isKnown(platform: Platform | undefined): platform is Platform {
  return platform !== undefined && platform.architecture !== 'unknown';
}
