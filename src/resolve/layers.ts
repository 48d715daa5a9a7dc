import { digestOf } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { type EdgeBundleError, errorMessage, isEdgeBundleError } from '../errors.ts';
import type { FetchedChart } from '../helm/fetch-artifact.ts';
import { readChart } from '../helm/read-chart.ts';
import type { PackDefinition } from '../profile/packs/pack-definition.ts';
import type { ProfilePack } from '../profile/profile-document.ts';
import type { ClusterProfile, PackageInput, Profile } from '../profile/profile-kinds.ts';
import type { LayerTexts } from './analyse-layer.ts';
import type { UnrenderedPart } from './layer-analysis.ts';
import type { Packages } from './packages.ts';

/** A pack, or a list, chart or manifest that was given by itself, before it is analysed. */
export interface Layer extends Omit<LayerTexts, 'where' | 'isOperatingSystem'> {
  /** The input that it is in. */
  readonly input: Profile;
  readonly pack: string | undefined;
  readonly version: string | undefined;
  /** Undefined for what is no pack. */
  readonly layer: ProfilePack['layer'] | undefined;
  /** The place in the profile: `spec.template.packs[0]`; empty for what was given by itself. */
  readonly path: string;
  /** The pack with all that it holds, where it was found. */
  readonly packDefinition: PackDefinition | undefined;
  /** A chart that was given by itself. */
  readonly chart: FetchedChart | undefined;
}

export interface ReadLayersOptions extends OperationOptions {
  readonly packages: Packages;
  /** Helm values of charts that are given by themselves, by the chart's name. */
  readonly chartValues: ReadonlyMap<string, unknown>;
}

/** The layers of an input, in its order; packs and charts are read. */
export async function readLayers(input: Profile, options: ReadLayersOptions): Promise<Layer[]> {
  switch (input.kind) {
    case 'profile':
      return Promise.all(
        input.document.spec.template.packs.map((pack, index) => readProfilePack(input, pack, index, options)),
      );
    case 'list':
      return [
        {
          ...empty(input),
          references: input.entries.map(({ reference, line }) => ({ reference, path: `line ${line}` })),
        },
      ];
    case 'manifests':
      return [{ ...empty(input), manifests: input.files }];
    case 'chart':
      return [await readGivenChart(input, options)];
    case 'pack':
      return [await readGivenPack(input, options)];
  }
}

/** Names a layer in messages. */
export function describeLayer({ input, pack, path }: Pick<Layer, 'input' | 'pack' | 'path'>): string {
  const kinds = { profile: 'profile', list: 'list', manifests: 'manifests', chart: 'chart', pack: 'pack' } as const;
  const packPart = pack === undefined || input.kind === 'pack' ? '' : `, pack '${pack}'`;
  return `${kinds[input.kind]} '${input.name}'${packPart}${path === '' ? '' : `, ${path}`}`;
}

async function readProfilePack(
  input: ClusterProfile,
  pack: ProfilePack,
  index: number,
  { packages, signal }: ReadLayersOptions,
): Promise<Layer> {
  const layer = {
    ...empty(input),
    pack: pack.name,
    version: pack.version ?? pack.tag ?? undefined,
    layer: pack.layer,
    path: `spec.template.packs[${index}]`,
    manifests: (pack.manifests ?? []).map(({ content }, number) => ({
      path: `manifests[${number}].content`,
      text: content,
    })),
  };
  const values = pack.values ?? '';
  if (pack.type === 'manifest') return { ...layer, values };
  const { name, type } = pack;
  const version = pack.version ?? undefined;
  const query = { name, version, tag: pack.tag ?? undefined, isChart: type === 'helm' };
  try {
    const definition = await packages.findPack(query, { signal });
    if (definition === undefined) return { ...layer, values, notFound: notFound(pack, undefined) };
    return {
      ...layer,
      values: values.trim() === '' ? definition.values : values,
      definition,
      packDefinition: definition.isChart === true ? undefined : definition,
    };
  } catch (error) {
    if (!isEdgeBundleError(error, 'PACK_NOT_FOUND')) throw error;
    return { ...layer, values, notFound: notFound(pack, error) };
  }
}

/**
 * Why images of a pack that was not found may be missing. An operating system is one image, which its values name, and a
 * Kubernetes layer without charts is what the operating system's image holds.
 */
function notFound(
  { layer, type, values, version, tag, name }: ProfilePack,
  error: EdgeBundleError | undefined,
): UnrenderedPart | undefined {
  if (layer === 'os' || layer === 'kernel') return undefined;
  if (layer === 'k8s' && !/^(charts|manifests):/m.test(values ?? '')) return undefined;
  const named = `${name}${version === undefined && tag === undefined ? '' : ` ${version ?? tag ?? ''}`}`;
  return {
    chart: undefined,
    code: 'PACK_NOT_FOUND',
    reason: error === undefined ? `the pack ${named} was not found: its charts are not rendered` : whole(error),
    hint: error?.hint ?? (type === 'helm' ? chartHint : 'Say where it is with --pack-dir or --pack-registry.'),
  };
}

const chartHint = 'It is a chart: put its folder or .tgz into a folder of --pack-dir.';

/** With what it sums up: packs that cannot be read, of which this may be one. */
function whole(error: EdgeBundleError): string {
  const [first, ...others] = error.failures.map(errorMessage);
  if (first === undefined) return errorMessage(error);
  return `${errorMessage(error)}: ${first}${others.length === 0 ? '' : `, and ${others.length} more`}`;
}

async function readGivenPack(input: PackageInput, { packages, signal }: ReadLayersOptions): Promise<Layer> {
  const definition = await packages.readPack(input, { signal });
  const { name, version, layer, values } = definition;
  const named = { ...input, name, version };
  return { ...empty(named), pack: name, version, layer, values, definition, packDefinition: definition };
}

async function readGivenChart(
  input: PackageInput,
  { packages, chartValues, signal }: ReadLayersOptions,
): Promise<Layer> {
  const fetched = await packages.readChart(input, { signal });
  const { name, version } = await readChart(fetched.archive, `'${input.file}'`);
  const values = chartValues.get(name);
  return {
    ...empty({ ...input, name, version }),
    version,
    // JSON is YAML in which every value keeps its type, however plain words are read.
    values: values === undefined ? '' : JSON.stringify({ charts: { [name]: values } }),
    definition: {
      charts: [{ path: `${name}-${version}.tgz`, archive: fetched.archive }],
      manifests: [],
      presets: undefined,
      digest: digestOf(fetched.archive),
    },
    chart: fetched,
  };
}

function empty(input: Profile): Layer {
  return {
    input,
    pack: undefined,
    version: undefined,
    layer: undefined,
    path: '',
    values: '',
    manifests: [],
    references: [],
    definition: undefined,
    packDefinition: undefined,
    chart: undefined,
    notFound: undefined,
  };
}
