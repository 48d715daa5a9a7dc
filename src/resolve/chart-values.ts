import type { ChartContent } from '../helm/chart.ts';
import { parseYaml } from '../profile/yaml-text.ts';

type Mapping = Readonly<Record<string, unknown>>;

/**
 * The values that a chart would be rendered with, as far as that is known without rendering: its own, those of its subcharts
 * under their names, and `given` over them, as Helm merges values (null removes).
 */
export function mergedValues(chart: ChartContent, given: unknown): Mapping {
  const own = parseYaml(chart.values, `chart '${chart.name}', values.yaml`, { allowsDuplicateKeys: true }).documents[0];
  let values: Mapping = isMapping(own) ? own : {};
  for (const subchart of chart.subcharts) {
    const dependencies = chart.dependencies.filter(({ name }) => name === subchart.name);
    const keys = dependencies.map(({ alias }) => alias ?? subchart.name);
    for (const key of keys.length === 0 ? [subchart.name] : keys) {
      values = { ...values, [key]: mergedValues(subchart, values[key]) };
    }
  }
  return isMapping(given) ? merge(values, given) : values;
}

function merge(base: Mapping, over: Mapping): Mapping {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = Object.hasOwn(merged, key) ? merged[key] : undefined;
    const result = isMapping(below) && isMapping(value) ? merge(below, value) : value;
    Object.defineProperty(merged, key, { value: result, enumerable: true, writable: true, configurable: true });
  }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
