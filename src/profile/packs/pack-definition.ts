import * as z from 'zod';

import type { Descriptor } from '../../content/descriptor.ts';
import type { Digest } from '../../content/digest.ts';
import { listOf } from '../../content/list-schema.ts';
import type { OperationOptions } from '../../content/store.ts';
import { EdgeBundleError, errorMessage } from '../../errors.ts';
import { digestOfFiles } from '../folder-files.ts';
import { combineProblems, formatPath, problem } from '../problems.ts';

/** A pack with all that it holds: `pack.json`, values, presets, charts, templates of manifests. */
export interface PackDefinition {
  readonly name: string;
  readonly version: string;
  readonly layer: PackLayer;
  /** Whether it is made of a chart alone: there is no pack that a cluster could be given. Default: false. */
  readonly isChart?: boolean | undefined;
  readonly displayName: string | undefined;
  /** In the order of `pack.json`. `path` is the one there. */
  readonly charts: readonly { readonly path: string; readonly archive: Buffer }[];
  /** Templates of Kubernetes objects. `name` is the key of their values in `manifests`. */
  readonly manifests: readonly { readonly path: string; readonly name: string; readonly text: string }[];
  /** The text of `values.yaml`; empty where there is none. */
  readonly values: string;
  /** The text of `presets.yaml`. */
  readonly presets: string | undefined;
  /** Of all files, their paths and contents: the same wherever the pack comes from. */
  readonly digest: Digest;
  /** The folder, the file or the reference that it was read from. */
  readonly origin: string;
  /** The pack as one `.tar.gz`. The same pack gives the same bytes. */
  readonly archive: () => Promise<Buffer>;
  /** In a registry, in normal form: `harbor.example/base/spectro-packs/archive/web:1.0.0`. */
  readonly reference: string | undefined;
  /** Of the manifest that has it there. */
  readonly manifest: Descriptor | undefined;
}

export interface PackQuery {
  readonly name: string;
  readonly version: string | undefined;
  /** Asked for where there is no such version. */
  readonly tag: string | undefined;
  /** A chart alone, which Palette calls a pack of type `helm`; a pack of that name is as good. Default: false. */
  readonly isChart?: boolean | undefined;
}

/** Somewhere packs come from. */
export interface PackSource {
  /**
   * Undefined where it has no pack of that name.
   *
   * @throws EdgeBundleError PACK_NOT_FOUND where it has the pack in other versions only; PROFILE_INVALID for a pack that
   *   cannot be read
   */
  find(query: PackQuery, options?: OperationOptions): Promise<PackDefinition | undefined>;
}

export type PackLayer = z.infer<typeof packJsonSchema>['layer'];

const few = { maxWrong: 20 };

const packJsonSchema = z.looseObject({
  name: z.string().min(1),
  version: z.string().min(1),
  layer: z.enum(['kernel', 'os', 'k8s', 'cni', 'csi', 'addon']),
  displayName: z.string().nullish(),
  charts: listOf(z.string(), few).nullish(),
  kubeManifests: listOf(z.string(), few).nullish(),
});

export type PackJson = z.infer<typeof packJsonSchema>;

/** Reads `pack.json`. @throws EdgeBundleError PROFILE_INVALID, all problems together */
export function parsePackJson(bytes: Buffer, where: string): PackJson {
  const result = packJsonSchema.safeParse(parseJson(bytes, where));
  if (result.success) return result.data;
  throw combineProblems(
    where,
    result.error.issues.map(({ path, message }) => problem(`${where}#${formatPath(path)}`, message)),
  );
}

/**
 * The pack that a folder's files make.
 *
 * @param files by their paths in the folder, with `/` between the parts
 * @throws EdgeBundleError PROFILE_INVALID, all problems together
 */
export function definePack(
  files: ReadonlyMap<string, Buffer>,
  {
    origin,
    archive,
    reference,
    manifest,
  }: Pick<PackDefinition, 'origin' | 'archive'> & Partial<Pick<PackDefinition, 'reference' | 'manifest'>>,
): PackDefinition {
  const where = `pack '${origin}'`;
  const json = files.get('pack.json');
  if (json === undefined) throw problem(where, 'has no pack.json');
  const { name, version, layer, displayName, charts, kubeManifests } = parsePackJson(json, `${where}, pack.json`);
  const problems: EdgeBundleError[] = [];
  const file = (path: string, key: string, index: number): { path: string; bytes: Buffer }[] => {
    const bytes = files.get(normalPath(path));
    if (bytes !== undefined) return [{ path, bytes }];
    problems.push(problem(`${where}, pack.json#${key}[${index}]`, missing(path)));
    return [];
  };
  const chartFiles = (charts ?? []).flatMap((path, index) => file(path, 'charts', index));
  const manifestFiles = (kubeManifests ?? []).flatMap((path, index) => file(path, 'kubeManifests', index));
  if (problems.length > 0) throw combineProblems(where, problems);
  const presets = files.get('presets.yaml');
  const sorted = [...files].map(([path, bytes]) => ({ path, bytes })).sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    name,
    version,
    layer,
    displayName: displayName ?? undefined,
    charts: chartFiles.map(({ path, bytes }) => ({ path, archive: bytes })),
    manifests: manifestFiles.map(({ path, bytes }) => ({
      path,
      name: manifestName(path),
      text: decode(bytes, `${where}, ${path}`),
    })),
    values: decode(files.get('values.yaml') ?? Buffer.alloc(0), `${where}, values.yaml`),
    presets: presets === undefined ? undefined : decode(presets, `${where}, presets.yaml`),
    digest: digestOfFiles(sorted),
    origin,
    archive,
    reference,
    manifest,
  };
}

/** Says that a pack is there, but not as it is asked for. */
export function otherVersionsOnly(
  { name, version, tag }: PackQuery,
  where: string,
  versions: readonly string[],
): EdgeBundleError {
  const wanted = [version, tag].filter((each) => each !== undefined);
  const sorted = [...new Set(versions)].sort(new Intl.Collator('en', { numeric: true }).compare);
  const found = sorted.length > maxNamed ? [...sorted.slice(0, maxNamed), '…'] : sorted;
  return new EdgeBundleError(
    'PACK_NOT_FOUND',
    `the pack '${name}' ${[...new Set(wanted)].join(' or ') || 'without a version'} is not in ${where}, which has ${found.join(', ')}`,
    { hint: 'Give the version that the profile names, or change the profile.' },
  );
}

const maxNamed = 20;

function missing(path: string): string {
  const leadsOut = path.startsWith('/') || path.split(/[\\/]/).includes('..');
  return leadsOut ? `'${path}' leads out of the pack` : `the file '${path}' is missing, or is a folder or a link`;
}

/** Without `./`. */
function normalPath(path: string): string {
  return path.replace(/^(\.\/+)+/, '');
}

function manifestName(path: string): string {
  return path.replace(/^.*\//, '').replace(/\.(ya?ml|json)$/, '');
}

function parseJson(bytes: Buffer, where: string): unknown {
  const text = decode(bytes, where);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw problem(where, errorMessage(cause), { cause });
  }
}

function decode(bytes: Buffer, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw problem(where, 'is not text in UTF-8', { cause });
  }
}
