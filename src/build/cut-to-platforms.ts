import * as z from 'zod';

import { type Descriptor, describe } from '../content/descriptor.ts';
import { parseManifest } from '../content/manifest.ts';
import { isImageManifest, isIndex, mediaTypes } from '../content/media-types.ts';
import { platformDistance, platformNames } from '../content/platform-match.ts';
import type { Platform } from '../content/platform.ts';
import type { Fetcher, OperationOptions } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { EdgeBundleError } from '../errors.ts';

/** An index that was written anew. */
export interface MadeManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** What is left of an image for some platforms. */
export interface CutImage {
  readonly root: Descriptor;
  /** What was written anew, children before parents; empty where the image stays as it is. */
  readonly made: readonly MadeManifest[];
  /** The indexes that these replace. */
  readonly replaced: readonly Descriptor[];
  /** Those of the platforms that the image does not have. */
  readonly missing: readonly Platform[];
  /** The platforms that it has, as `linux/amd64`; empty where it is for none in particular. */
  readonly offered: readonly string[];
}

/** Docker's BuildKit puts attestations into an index, as manifests of a platform that no machine has. */
const attestation = { type: 'vnd.docker.reference.type', digest: 'vnd.docker.reference.digest' } as const;

const maxDepth = 16;
/** More than an index of 4 MiB can list. Each time that indexes name the same one counts: it is looked at each time. */
const maxNodes = 20_000;
const imageConfigs: ReadonlySet<string> = new Set([mediaTypes.ociConfig, mediaTypes.dockerConfig]);
const configSchema = z.object({
  architecture: z.string().optional(),
  os: z.string().optional(),
  variant: z.string().optional(),
});

interface Leaf {
  readonly kind: 'leaf';
  readonly descriptor: Descriptor;
  /** Undefined for what is for no platform in particular: an artifact, an attestation. */
  readonly platform: Platform | undefined;
}

interface Branch {
  readonly kind: 'branch';
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  readonly children: readonly Node[];
}

type Node = Leaf | Branch;

/** What `parseManifest` has checked, with all of its members in their order. */
interface RawIndex {
  readonly manifests: readonly Readonly<Record<string, unknown>>[];
}

/**
 * Leaves of an image what machines of `platforms` run: of each, the manifests of the nearest variant, and what an index has
 * for no platform in particular. An attestation stays with the manifest that it describes. An index stays an index, of the
 * same type, with all other members and in the same order; the same input gives the same bytes.
 *
 * What has none of the platforms at all stays whole; `missing` tells.
 *
 * @throws EdgeBundleError NOT_FOUND, CONTENT_INVALID, CONTENT_TOO_LARGE, SIZE_MISMATCH, DIGEST_MISMATCH, ABORTED
 */
export async function cutToPlatforms(
  fetcher: Fetcher,
  root: Descriptor,
  platforms: readonly Platform[],
  options: OperationOptions = {},
): Promise<CutImage> {
  const tree = await readNode(new TreeSource(fetcher, root, options), root, 0);
  const offered = leavesOf(tree).flatMap(({ platform }) => platform ?? []);
  const nearest = platforms.map((machine) => ({
    machine,
    distance: Math.min(...offered.map((made) => platformDistance(machine, made) ?? Infinity)),
  }));
  const missing = offered.length === 0 ? [] : platforms.filter((_, at) => nearest[at]?.distance === Infinity);
  const whole = { root, made: [], replaced: [], missing, offered: platformNames(offered) };
  if (offered.length === 0 || missing.length === platforms.length) return whole;
  const isWanted = (made: Platform): boolean =>
    nearest.some(({ machine, distance }) => platformDistance(machine, made) === distance);
  const cut = new Cut(isWanted);
  return { ...whole, root: cut.run(tree) ?? root, made: cut.made, replaced: cut.replaced };
}

/** One image that is being cut. */
class Cut {
  readonly made: MadeManifest[] = [];
  readonly replaced: Descriptor[] = [];
  readonly #isWanted: (platform: Platform) => boolean;

  constructor(isWanted: (platform: Platform) => boolean) {
    this.#isWanted = isWanted;
  }

  /** Undefined where nothing is left. */
  run(node: Node): Descriptor | undefined {
    if (node.kind === 'leaf') {
      return node.platform === undefined || this.#isWanted(node.platform) ? node.descriptor : undefined;
    }
    const isEmptied =
      leavesOf(node).some(({ platform }) => platform !== undefined) &&
      !leavesOf(node).some(({ platform }) => platform !== undefined && this.#isWanted(platform));
    if (isEmptied) return undefined;
    const kept = node.children.map((child) => this.run(child));
    const left = kept.map((child, at) => (isOrphan(node, at, kept) ? undefined : child));
    if (left.every((child, at) => child?.digest === node.children[at]?.descriptor.digest)) return node.descriptor;
    return this.#rewrite(node, left);
  }

  #rewrite({ descriptor, bytes }: Branch, left: readonly (Descriptor | undefined)[]): Descriptor {
    const raw = JSON.parse(bytes.toString('utf8')) as RawIndex;
    const manifests = raw.manifests.flatMap((entry, at) => {
      const child = left[at];
      return child === undefined ? [] : [child.digest === entry.digest ? entry : replacement(entry, child)];
    });
    const written = Buffer.from(JSON.stringify({ ...raw, manifests }));
    const made = { ...descriptor, ...describe(written, descriptor.mediaType) };
    this.made.push({ descriptor: made, bytes: written });
    this.replaced.push(descriptor);
    return made;
  }
}

/** The entry of an index for another index than before; its content may have been part of it (`data`). */
function replacement(entry: Readonly<Record<string, unknown>>, { digest, size }: Descriptor): Record<string, unknown> {
  const members = Object.entries({ ...entry, digest, size }).filter(([name]) => name !== 'data');
  return Object.fromEntries(members);
}

/** Whether a child is an attestation of a sibling that is gone, or that is another one now. */
function isOrphan(parent: Branch, at: number, kept: readonly (Descriptor | undefined)[]): boolean {
  const about = attestedDigest(parent.children[at]?.descriptor);
  if (about === undefined) return false;
  const subjects = parent.children.flatMap(({ descriptor }, index) => (descriptor.digest === about ? [index] : []));
  return subjects.length > 0 && !subjects.some((index) => kept[index]?.digest === about);
}

function attestedDigest(descriptor: Descriptor | undefined): string | undefined {
  const annotations = descriptor?.annotations;
  return annotations?.[attestation.type] === undefined ? undefined : annotations[attestation.digest];
}

/** What one tree is read from, and how much of it there is so far. */
class TreeSource {
  readonly #fetcher: Fetcher;
  readonly #root: Descriptor;
  readonly #options: OperationOptions;
  #nodes = 0;

  constructor(fetcher: Fetcher, root: Descriptor, options: OperationOptions) {
    this.#fetcher = fetcher;
    this.#root = root;
    this.#options = options;
  }

  read(target: Descriptor): Promise<Buffer> {
    return readContent(this.#fetcher, target, this.#options);
  }

  /** @throws EdgeBundleError CONTENT_INVALID where the tree is larger than real ones */
  ensureBounded(depth: number): void {
    this.#nodes += 1;
    if (depth <= maxDepth && this.#nodes <= maxNodes) return;
    const what = depth > maxDepth ? `are nested more than ${maxDepth} deep` : `name more than ${maxNodes} manifests`;
    throw new EdgeBundleError('CONTENT_INVALID', `${this.#root.digest}: indexes ${what}`);
  }
}

async function readNode(source: TreeSource, descriptor: Descriptor, depth: number): Promise<Node> {
  source.ensureBounded(depth);
  if (!isIndex(descriptor.mediaType)) {
    return { kind: 'leaf', descriptor, platform: await platformOf(source, descriptor) };
  }
  const bytes = await source.read(descriptor);
  const manifest = parseManifest(bytes, descriptor);
  const children: Node[] = [];
  for (const child of manifest.kind === 'index' ? manifest.manifests : []) {
    children.push(await readNode(source, child, depth + 1));
  }
  return { kind: 'branch', descriptor, bytes, children };
}

/** As the index says; where it does not, as the image's config does. */
async function platformOf(source: TreeSource, descriptor: Descriptor): Promise<Platform | undefined> {
  const { mediaType, platform } = descriptor;
  if (platform !== undefined) return known(platform);
  if (attestedDigest(descriptor) !== undefined || !isImageManifest(mediaType)) return undefined;
  const manifest = parseManifest(await source.read(descriptor), descriptor);
  if (manifest.kind === 'index' || !imageConfigs.has(manifest.config.mediaType)) return undefined;
  const config = configSchema.safeParse(jsonOf(await source.read(manifest.config)));
  return config.success ? known(config.data) : undefined;
}

/** `unknown` is what BuildKit writes where there is none; cosign leaves both empty in the configs of signatures. */
function known({ os, architecture, variant }: z.infer<typeof configSchema>): Platform | undefined {
  const isNamed = [os, architecture].every((name) => name !== undefined && name !== '' && name !== 'unknown');
  return isNamed && os !== undefined && architecture !== undefined ? { os, architecture, variant } : undefined;
}

function leavesOf(node: Node): readonly Leaf[] {
  return node.kind === 'leaf' ? [node] : node.children.flatMap(leavesOf);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
