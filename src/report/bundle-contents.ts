import type {
  BundleAttachment,
  BundleBase,
  BundleChart,
  BundleContent,
  BundleDocument,
} from '../bundle/bundle-document.ts';
import { bundleId, contentDescriptor } from '../bundle/bundle-document.ts';
import type { BundleSignature } from '../bundle/signature-file.ts';
import type { Descriptor } from '../content/descriptor.ts';
import { collectGraph, type Graph } from '../content/graph.ts';
import { successors } from '../content/manifest.ts';
import { formatPlatform } from '../content/platform.ts';
import type { Fetcher, OperationOptions } from '../content/store.ts';
import type { InspectDocument } from './documents.ts';
import { signatureList } from './signature-list.ts';
import { shortDigest } from './summaries.ts';
import type { TreeNode } from './tree.ts';
import { formatBytes } from './units.ts';

/** A bundle that was opened, as `BundleReader` opens it. */
export interface OpenBundle extends Fetcher {
  readonly id: string;
  readonly bytes: number;
  readonly document: BundleDocument;
  readonly signatures: readonly BundleSignature[];
}

/** An image, a chart or what belongs to one, with all that it needs; without what it belongs to. */
export interface BundledGraph {
  readonly content: BundleContent | BundleChart | BundleAttachment;
  readonly graph: Graph;
}

/**
 * Reads the manifests of all images, charts and attachments, and no blob.
 *
 * @throws EdgeBundleError BUNDLE_INVALID, CONTENT_INVALID, NOT_FOUND, DIGEST_MISMATCH where the bundle is damaged; ABORTED
 */
export async function readBundleGraphs(bundle: OpenBundle, options: OperationOptions = {}): Promise<BundledGraph[]> {
  const { images, charts, attachments = [] } = bundle.document;
  const graphs: BundledGraph[] = [];
  for (const content of [...images, ...charts, ...attachments]) {
    const subject = 'subject' in content ? content.subject : undefined;
    const graph = await collectGraph(bundle, contentDescriptor(content), {
      ...options,
      descend: (manifest) => Promise.resolve(manifest.digest !== subject),
    });
    graphs.push({ content, graph });
  }
  return graphs;
}

/** What `inspect` writes as JSON. `path` is where the bundle is. */
export function inspectDocument(path: string, bundle: OpenBundle, graphs: readonly BundledGraph[]): InspectDocument {
  const { base } = bundle.document;
  return {
    bundle: { path, id: bundle.id, bytes: bundle.bytes },
    signatures: signatureList(bundle.signatures),
    images: graphs.flatMap(({ content, graph }) => {
      if (!('sources' in content) || 'kind' in content) return [];
      const { reference, digest, mediaType, sources } = content;
      const packs = [...new Set(sources.map(({ profile, pack }) => pack ?? profile))];
      return [{ reference, digest, mediaType, bytes: graphBytes(graph), packs }];
    }),
    charts: graphs.flatMap(({ content, graph }) => {
      if (!('kind' in content)) return [];
      const { kind, name, version, reference, digest } = content;
      return [{ kind, name, version, reference, digest, bytes: graphBytes(graph) }];
    }),
    attachments: graphs.flatMap(({ content, graph }) => {
      if (!('subject' in content)) return [];
      const { reference, digest, subject } = content;
      return [{ reference, digest, subject, bytes: graphBytes(graph) }];
    }),
    files: (bundle.document.files ?? []).map(({ name, content, executable }) => ({
      ...{ name, digest: content.digest, bytes: content.size, executable },
    })),
    blobs: bundle.document.blobs.length,
    ...(base === undefined ? {} : { base: baseDocument(base) }),
  };
}

/** What a delta leaves to its base. */
export function baseDocument({ name, digest, blobs }: BundleBase): NonNullable<InspectDocument['base']> {
  const bytes = blobs.reduce((sum, { size }) => sum + size, 0);
  return { name, id: bundleId(digest), digest, blobs: blobs.length, bytes };
}

/** Each image, chart and attachment with its manifests, and these with their blobs. */
export function bundleTree(path: string, graphs: readonly BundledGraph[]): TreeNode {
  return {
    label: path,
    children: graphs.map(({ content, graph }) => ({
      ...contentNode(graph.root, graph, new Set()),
      label: `${content.reference} ${content.digest} ${formatBytes(graphBytes(graph))}`,
    })),
  };
}

/** @param shown what is below these manifests is in the tree already: indexes may name one many times */
function contentNode(descriptor: Descriptor, graph: Graph, shown: Set<string>): TreeNode {
  const isShown = shown.has(descriptor.digest);
  const node = isShown ? undefined : graph.manifests.find((each) => each.descriptor.digest === descriptor.digest);
  if (node !== undefined) shown.add(descriptor.digest);
  const platform = descriptor.platform === undefined ? '' : ` ${formatPlatform(descriptor.platform)}`;
  return {
    label: `${shortDigest(descriptor.digest)} ${descriptor.mediaType}${platform} ${formatBytes(descriptor.size)}`,
    children: node === undefined ? [] : successors(node.manifest).map((child) => contentNode(child, graph, shown)),
  };
}

function graphBytes({ manifests, blobs }: Graph): number {
  const descriptors = [...manifests.map(({ descriptor }) => descriptor), ...blobs];
  return descriptors.reduce((sum, { size }) => sum + size, 0);
}
