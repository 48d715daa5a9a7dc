import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { writeArchive } from '../files/write-archive.ts';
import { chartFile } from './chart.ts';
import type { HelmProgram } from './helm-program.ts';
import { type ReleaseOptions, runTemplate } from './run-template.ts';

/** A Kubernetes manifest that is written as a chart's template. */
export interface ManifestTemplate {
  readonly name: string;
  readonly text: string;
  /** Its `.Values`: a mapping; `null` and `undefined` are an empty one. */
  readonly values: unknown;
}

export interface RenderTemplatesOptions extends ReleaseOptions {
  readonly templates: readonly ManifestTemplate[];
}

export interface RenderedTemplates {
  /** YAML documents; before each a comment tells the manifest's name: `# Source: vsclass`. */
  readonly text: string;
  readonly failures: readonly { readonly name: string; readonly error: EdgeBundleError }[];
}

/**
 * Renders manifests as Helm renders the templates of a chart, each with values of its own. `.Release` and `.Capabilities`
 * are those of a chart, `.Chart.Name` is the manifest's name where that can be a chart's, and `.Files` is empty.
 *
 * All are rendered by one run of Helm, each as a subchart of one chart. Where that fails, the one that Helm complains of,
 * or each where it names none, is rendered alone; those that fail so are in `failures`, with RENDER_FAILED or RENDER_LIMIT.
 *
 * @throws EdgeBundleError ABORTED, FILE_FAILED, NO_SPACE
 */
export async function renderTemplates(
  program: HelmProgram,
  options: RenderTemplatesOptions,
): Promise<RenderedTemplates> {
  const texts: string[] = [];
  const failures: { name: string; error: EdgeBundleError }[] = [];
  let together = options.templates;
  while (together.length > 0) {
    const attempted = await attempt(program, { ...options, templates: together });
    if (attempted.error === undefined) {
      texts.push(attempted.text);
      break;
    }
    const [first, ...others] = together;
    if (first !== undefined && others.length === 0) {
      failures.push({ name: first.name, error: attempted.error });
      break;
    }
    const { suspects } = attempted;
    for (const suspect of suspects) {
      const alone = await attempt(program, { ...options, templates: [suspect] });
      if (alone.error === undefined) texts.push(alone.text);
      else failures.push({ name: suspect.name, error: alone.error });
    }
    together = together.filter((template) => !suspects.includes(template));
  }
  return { text: texts.join(''), failures };
}

type Attempt =
  | { readonly text: string; readonly error?: undefined }
  | {
      readonly error: EdgeBundleError;
      /** Which of the templates may be the reason: one at least. */
      readonly suspects: readonly ManifestTemplate[];
    };

const parent = 'manifests';

async function attempt(program: HelmProgram, options: RenderTemplatesOptions): Promise<Attempt> {
  const { templates } = options;
  const charts = chartsOf(templates);
  const files = new Map([[`${parent}/${chartFile}`, chartYaml(parent)]]);
  for (const { chart, template } of charts) {
    files.set(`${parent}/charts/${chart}/${chartFile}`, chartYaml(chart));
    files.set(templatePath(chart), Buffer.from(template.text));
  }
  const values = Object.fromEntries(charts.map(({ chart, template }) => [chart, template.values ?? {}]));
  const names = new Map(charts.map(({ chart, template }) => [chart, template.name]));
  const what =
    templates.length === 1 ? `cannot render manifest ${templates[0]?.name ?? ''}` : 'cannot render manifests';
  try {
    const text = await runTemplate(program, { ...options, what, archive: writeArchive(files), values });
    return { text: text.replace(sourceLine, (line, chart: string) => `# Source: ${names.get(chart) ?? line}`) };
  } catch (error) {
    if (!isEdgeBundleError(error, 'RENDER_FAILED', 'RENDER_LIMIT')) throw error;
    const named = charts.filter(({ chart }) => error.message.includes(templatePath(chart)));
    const message = charts.reduce(
      (text, { chart, template }) => text.replaceAll(templatePath(chart), template.name),
      error.message,
    );
    return {
      error: new EdgeBundleError(error.code, message, { cause: error }),
      suspects: (named.length === 0 ? charts : named).map(({ template }) => template),
    };
  }
}

const sourceLine = /^# Source: manifests\/charts\/([^/\n]+)\/templates\/manifest\.yaml$/gm;

function templatePath(chart: string): string {
  return `${parent}/charts/${chart}/templates/manifest.yaml`;
}

/** Each manifest with a chart's name that no other one has; `global` would be the values of all. */
function chartsOf(
  templates: readonly ManifestTemplate[],
): { readonly chart: string; readonly template: ManifestTemplate }[] {
  const taken = new Set(['global']);
  return templates.map((template, index) => {
    const isFree = /^[a-z0-9][a-z0-9-]{0,62}$/.test(template.name) && !taken.has(template.name);
    const chart = isFree ? template.name : `manifest_${index}`;
    taken.add(chart);
    return { chart, template };
  });
}

function chartYaml(name: string): Buffer {
  return Buffer.from(`apiVersion: v2\nname: ${JSON.stringify(name)}\nversion: 0.0.0\n`);
}
