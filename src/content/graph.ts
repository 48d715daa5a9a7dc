import pLimit from 'p-limit';

import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { type Manifest, parseManifest, successors } from './manifest.ts';
import { isManifest } from './media-types.ts';
import type { Fetcher, OperationOptions } from './store.ts';
import { readContent } from './verify.ts';

/** A manifest or index of a graph, as raw bytes and read. */
export interface ManifestNode {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly manifest: Manifest;
}

/** All that is reachable from one root: an image, an index, an artifact with its subject. */
export interface Graph {
  readonly root: Descriptor;
  /** Children before parents; the root is last. Each digest once. */
  readonly manifests: readonly ManifestNode[];
  /** Configs, layers and other blobs in the order in which the manifests name them. Each digest once. */
  readonly blobs: readonly Descriptor[];
  /** Subjects that are named but not there: the specification allows that (image-spec v1.1, manifest.md, `subject`). */
  readonly absentSubjects: readonly Descriptor[];
}

export interface GraphOptions extends OperationOptions {
  /** Bounds how many manifests are fetched at once, for instance a p-limit limiter. Default: one at a time. */
  readonly limit?: (<T>(task: () => Promise<T>) => Promise<T>) | undefined;
  /** Where it returns false for a manifest, the manifest and all below it are left out. */
  readonly descend?: ((manifest: Descriptor) => Promise<boolean>) | undefined;
}

const maxDepth = 16;

/**
 * Fetches the manifests of the graph under `root`; blobs are only named.
 *
 * @throws EdgeBundleError NOT_FOUND, CONTENT_INVALID, CONTENT_TOO_LARGE, UNSUPPORTED, SIZE_MISMATCH, DIGEST_MISMATCH
 */
export async function collectGraph(fetcher: Fetcher, root: Descriptor, options: GraphOptions = {}): Promise<Graph> {
  const { signal, descend } = options;
  const limit: NonNullable<GraphOptions['limit']> = options.limit ?? pLimit(1);
  const reading = new Map<Digest, Promise<ManifestNode | undefined>>();
  const absentSubjects = new Map<Digest, Descriptor>();

  const read = (descriptor: Descriptor, depth: number): Promise<ManifestNode | undefined> => {
    const known = reading.get(descriptor.digest);
    if (known !== undefined) return known;
    const started = readNode(descriptor, depth);
    reading.set(descriptor.digest, started);
    return started;
  };

  const readNode = async (descriptor: Descriptor, depth: number): Promise<ManifestNode | undefined> => {
    if (depth > maxDepth) {
      throw new EdgeBundleError('CONTENT_INVALID', `${root.digest}: indexes are nested more than ${maxDepth} deep`);
    }
    if (descend !== undefined && !(await descend(descriptor))) return undefined;
    const bytes = await limit(() => readContent(fetcher, descriptor, { signal }));
    const manifest = parseManifest(bytes, descriptor);
    const children = successors(manifest).filter((child) => isManifest(child.mediaType));
    await settleAll(
      children.map(async (child) => {
        try {
          await read(child, depth + 1);
        } catch (error) {
          if (child !== manifest.subject || !isEdgeBundleError(error, 'NOT_FOUND')) throw error;
          absentSubjects.set(child.digest, child);
        }
      }),
    );
    return { descriptor, bytes, manifest };
  };

  if (!isManifest(root.mediaType)) parseManifest(Buffer.alloc(0), root);
  await read(root, 0);

  const manifests: ManifestNode[] = [];
  const blobs = new Map<Digest, Descriptor>();
  const placed = new Set<Digest>();
  const place = async (descriptor: Descriptor): Promise<void> => {
    if (placed.has(descriptor.digest) || absentSubjects.has(descriptor.digest)) return;
    placed.add(descriptor.digest);
    const node = await reading.get(descriptor.digest);
    if (node === undefined) return;
    for (const child of successors(node.manifest)) {
      if (isManifest(child.mediaType)) await place(child);
      else if (!blobs.has(child.digest)) blobs.set(child.digest, child);
    }
    manifests.push(node);
  };
  await place(root);
  return { root, manifests, blobs: [...blobs.values()], absentSubjects: [...absentSubjects.values()] };
}

/** Waits for all, then throws the first failure: nothing goes on in the background after an error. */
async function settleAll(tasks: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(tasks);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
