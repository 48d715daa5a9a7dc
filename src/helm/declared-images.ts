import { CORE_SCHEMA, load } from 'js-yaml';
import * as z from 'zod';

import { type ChartContent, chartFile } from './chart.ts';

export interface DeclaredImage {
  /** As it is written. */
  readonly image: string;
  /** `charts/redis/Chart.yaml: annotations["artifacthub.io/images"][0].image`. */
  readonly path: string;
}

/** `artifacthub.io/images`, `helm.sh/images`, `images`: a list in a text. */
const listKey = /(^|[./])images$/;

const listSchema = z.array(z.unknown());
const entrySchema = z.object({ image: z.string().min(1) });

/**
 * The images that a chart lists in its annotations, and those that its subcharts do: Artifact Hub's `artifacthub.io/images`
 * (a YAML list of `{name, image}`), the `images` of Bitnami's charts, and others in the same form. What is no list is passed over.
 */
export function declaredImages(chart: ChartContent): DeclaredImage[] {
  return collect(chart, '');
}

function collect(chart: ChartContent, folder: string): DeclaredImage[] {
  const own = Object.entries(chart.annotations)
    .filter(([key]) => listKey.test(key))
    .flatMap(([key, text]) => readList(text, `${folder}${chartFile}: annotations[${JSON.stringify(key)}]`));
  return [...own, ...chart.subcharts.flatMap((subchart) => collect(subchart, `${folder}charts/${subchart.name}/`))];
}

function readList(text: string, path: string): DeclaredImage[] {
  const list = listSchema.safeParse(loadYaml(text)).data ?? [];
  return list.flatMap((entry, index): DeclaredImage[] => {
    if (typeof entry === 'string' && entry !== '') return [{ image: entry, path: `${path}[${index}]` }];
    const image = entrySchema.safeParse(entry).data?.image;
    return image === undefined ? [] : [{ image, path: `${path}[${index}].image` }];
  });
}

function loadYaml(text: string): unknown {
  try {
    return load(text, { schema: CORE_SCHEMA, json: true });
  } catch {
    // An annotation is any text: nothing promises that it is YAML.
    return undefined;
  }
}
