import { isEdgeBundleError } from '../errors.ts';
import { declaredImages } from '../helm/declared-images.ts';
import { readChart } from '../helm/read-chart.ts';
import type { PackDefinition } from '../profile/packs/pack-definition.ts';
import { type PackValues, readPackValues } from '../profile/packs/pack-values.ts';
import { templatesOf } from './chart-templates.ts';
import { mergedValues } from './chart-values.ts';
import { Findings } from './findings.ts';
import type { LayerAnalysis, LocatedMention, UnrenderedPart } from './layer-analysis.ts';
import type { Renderer } from './renderer.ts';

/** A pack, chart, list or manifest with its texts ready to be read: macros are replaced. */
export interface LayerTexts {
  /** Names it in messages. */
  readonly where: string;
  /** Whether it is the operating system, whose image is the one that hosts are installed from. */
  readonly isOperatingSystem: boolean;
  readonly values: string;
  readonly manifests: readonly { readonly path: string; readonly text: string }[];
  readonly references: readonly { readonly path: string; readonly reference: string }[];
  readonly definition: LayerDefinition | undefined;
  /** Why the definition is needed and not there. */
  readonly notFound: UnrenderedPart | undefined;
}

/** What there is to render. */
export type LayerDefinition = Pick<PackDefinition, 'charts' | 'manifests' | 'presets' | 'digest'>;

const defaultNamespace = 'default';

/**
 * Finds all that a layer asks for: content tags, what its charts and templates render, its manifests. What cannot be
 * rendered is read as it stands, and is among the `unrendered`.
 *
 * @throws EdgeBundleError PROFILE_INVALID with all problems together; CHART_INVALID, ARCHIVE_INVALID, HELM_MISSING, ABORTED
 */
export async function analyseLayer(layer: LayerTexts, renderer: Renderer): Promise<LayerAnalysis> {
  const { where, definition, notFound } = layer;
  const values = readPackValues(layer.values, `${where}.values`, definition?.presets);
  const findings = new Findings(values.warnings, values.problems);
  findings.mentions.push(
    ...layer.references.map(({ reference, path }) => ({ image: reference, class: 'declared', path }) as const),
  );
  for (const { path, text } of layer.manifests) findings.addManifests(text, `${where}.${path}`, path, undefined);
  await analyseValues(layer, values, findings, renderer);
  if (values.presetChanges.length > 0) {
    // The console writes a preset into the values when it is chosen; these were edited since. Either may be what is meant.
    await analyseValues(layer, readPackValues(layer.values, `${where}.values`), findings, renderer);
  }
  if (definition === undefined && notFound !== undefined) {
    findings.unrendered.push(notFound);
    findings.addStatic({ charts: values.charts, manifests: values.manifests }, 'values', undefined, undefined);
  }
  return findings.finish(where, values);
}

async function analyseValues(
  { where, definition, isOperatingSystem }: LayerTexts,
  values: PackValues,
  findings: Findings,
  renderer: Renderer,
): Promise<void> {
  findings.mentions.push(
    ...values.images.map(({ image, path }) => ({ image, class: 'declared', path: `values#${path}` }) as const),
    ...(isOperatingSystem ? providerImage(values) : []),
  );
  if (definition === undefined) return;
  await Promise.all([
    ...definition.charts.map((chart) => analyseChart({ ...chart, where }, values, findings, renderer)),
    analyseTemplates(definition, values, findings, renderer),
  ]);
}

async function analyseChart(
  { path, archive, where }: LayerDefinition['charts'][number] & Pick<LayerTexts, 'where'>,
  values: PackValues,
  findings: Findings,
  renderer: Renderer,
): Promise<void> {
  const chart = await readChart(archive, `${where}, '${path}'`);
  const { name, version, digest, appVersion } = chart;
  findings.charts.push({ name, version, digest, path });
  findings.mentions.push(
    ...declaredImages(chart).map((image) => ({
      image: image.image,
      class: 'declared' as const,
      path: `${path}#${image.path}`,
      chart: name,
    })),
  );
  if (chart.type === 'library') return;
  const given = values.charts[name];
  const release = { name: values.releaseNames[name] ?? name, namespace: values.namespace ?? defaultNamespace };
  try {
    const { text, warnings } = await renderer.chart(chart, given, release);
    findings.warnings.push(...warnings.map((warning) => `chart '${name}': ${warning}`));
    findings.addManifests(text, `chart '${name}', rendered`, path, { chart: name, namespace: release.namespace });
  } catch (error) {
    findings.unrendered.push(unrenderedPart(error, name));
    findings.addStatic(mergedValues(chart, given), `${path}#values`, name, appVersion);
    findings.addTemplates(templatesOf(chart), `${path}#`, name);
  }
}

async function analyseTemplates(
  { manifests }: LayerDefinition,
  values: PackValues,
  findings: Findings,
  renderer: Renderer,
): Promise<void> {
  const namespace = values.namespace ?? defaultNamespace;
  for (const { name, text } of manifests.filter((manifest) => !isTemplate(manifest))) {
    findings.addManifests(text, `manifest '${name}'`, name, { chart: undefined, namespace });
  }
  const templates = manifests
    .filter(isTemplate)
    .map(({ name, text }) => ({ name, text, values: values.manifests[name] }));
  if (templates.length === 0) return;
  const { text, failures } = await renderer.templates(templates, { name: 'manifests', namespace });
  findings.addManifests(text, 'the manifests, rendered', 'manifests', { chart: undefined, namespace });
  for (const { name, error } of failures) {
    findings.unrendered.push(unrenderedPart(error, undefined));
    findings.addStatic(values.manifests[name], `manifests/${name}#values`, undefined, undefined);
    findings.addTemplates(
      manifests.filter((each) => each.name === name),
      '',
      undefined,
    );
  }
}

/** Rendering would give back the rest as it is. */
function isTemplate({ text }: { readonly text: string }): boolean {
  return text.includes('{{');
}

/** @throws what is no failure to render */
function unrenderedPart(error: unknown, chart: string | undefined): UnrenderedPart {
  if (!isEdgeBundleError(error) || (error.code !== 'RENDER_FAILED' && error.code !== 'RENDER_LIMIT')) throw error;
  return { chart, code: error.code, reason: error.message, hint: error.hint };
}

/** The image that hosts are installed from and upgraded to. */
function providerImage({ options }: PackValues): LocatedMention[] {
  const uri = options['system.uri'];
  return typeof uri === 'string' && uri !== ''
    ? [{ image: uri, class: 'declared', path: 'values#options["system.uri"]' }]
    : [];
}
