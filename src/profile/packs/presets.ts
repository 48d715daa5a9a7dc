import * as z from 'zod';

import { listOf } from '../../content/list-schema.ts';
import type { EdgeBundleError } from '../../errors.ts';
import { findDottedPath, isMapping, member } from '../dotted-path.ts';
import { formatPath, problem } from '../problems.ts';
import { parseYaml } from '../yaml-text.ts';

const presetsSchema = z
  .looseObject({
    presets: listOf(
      z.looseObject({
        name: z.string(),
        group: z.string().nullish(),
        /** Dotted paths. */
        remove: listOf(z.string()).nullish(),
        /** YAML in a string. */
        add: z.string().nullish(),
      }),
    ).nullish(),
  })
  .nullish();

type Preset = NonNullable<NonNullable<z.infer<typeof presetsSchema>>['presets']>[number];

export interface AppliedPresets {
  readonly values: unknown;
  /** What the presets change or take away: `charts.web.image.tag`. Empty where the values hold the presets already. */
  readonly changes: readonly string[];
  /** Presets that do not exist, and `changes` in words. */
  readonly warnings: readonly string[];
  readonly problems: readonly EdgeBundleError[];
}

export interface PresetSources {
  /** The text of the pack's values, whose first lines name the presets. */
  readonly text: string;
  /** What was read from it. */
  readonly values: unknown;
  /** The text of `presets.yaml`, where the pack has one; it may be empty. */
  readonly presets: string | undefined;
  /** Names the pack in warnings and problems. */
  readonly where: string;
}

/**
 * Applies the presets that the header of a pack's values names (`# spectrocloud.com/enabled-presets: Group:name,Group:name`):
 * each takes away what it removes, then lays what it adds over the values: mappings merge, all else is replaced. Palette's
 * console has done the same when the preset was chosen, so most values do not change; where they do, somebody has edited
 * them since, and `changes` says where.
 */
export function applyPresets({ text, values, presets: presetsText, where }: PresetSources): AppliedPresets {
  const enabled = enabledPresets(text);
  if (enabled.length === 0) return { values, changes: [], warnings: [], problems: [] };
  const { presets, problems, warnings: found } = readPresets(presetsText ?? '', `${where}, presets.yaml`);
  if (problems.length > 0) return { values, changes: [], warnings: [], problems };
  const warnings = [...found];
  const unknown: string[] = [];
  const addProblems: EdgeBundleError[] = [];
  let applied = values;
  for (const name of enabled) {
    const preset = presets.find((each) => nameOf(each) === name);
    if (preset === undefined) {
      unknown.push(name);
      continue;
    }
    const added = readAddition(preset, `${where}, presets.yaml, preset '${name}'`);
    addProblems.push(...added.problems);
    for (const path of preset.remove ?? []) applied = without(applied, findDottedPath(applied, path));
    if (added.value !== undefined) applied = merge(applied, added.value);
  }
  if (unknown.length > 0) {
    warnings.push(`${where}: the values name presets that the pack does not have: ${unknown.join(', ')}`);
  }
  const changes = changedPaths(values, applied, []);
  if (changes.length > 0) {
    const places = changes.slice(0, maxNamed).join(', ') + (changes.length > maxNamed ? ', …' : '');
    warnings.push(`${where}: its presets (${enabled.join(', ')}) override values that are set otherwise: ${places}`);
  }
  return { values: applied, changes, warnings, problems: addProblems };
}

const maxNamed = 10;

/** `Group:name` for each preset that the comments before the first value name. */
function enabledPresets(text: string): string[] {
  const [header = ''] = /^\uFEFF?(?:[ \t]*(?:#.*|---[ \t]*)?(?:\r?\n|$))*/.exec(text) ?? [];
  const lines = header.matchAll(/^\uFEFF?[ \t]*#[ \t]*spectrocloud\.com\/enabled-presets:(.*)$/gm);
  const names = [...lines].flatMap(([, list = '']) => list.split(',')).map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== '');
}

function nameOf({ group, name }: Preset): string {
  return `${(group ?? '').trim()}:${name.trim()}`;
}

interface PresetsText {
  readonly presets: readonly Preset[];
  readonly problems: readonly EdgeBundleError[];
  readonly warnings: readonly string[];
}

function readPresets(text: string, where: string): PresetsText {
  const { documents, problems, warnings } = parseYaml(text, where, { allowsDuplicateKeys: true });
  if (problems.length > 0) return { presets: [], problems, warnings };
  const result = presetsSchema.safeParse(documents[0]);
  if (result.success) return { presets: result.data?.presets ?? [], problems, warnings };
  const issues = result.error.issues.map(({ path, message }) => problem(`${where}#${formatPath(path)}`, message));
  return { presets: [], problems: issues, warnings };
}

function readAddition({ add }: Preset, where: string): { value: unknown; problems: readonly EdgeBundleError[] } {
  const { documents, problems } = parseYaml(add ?? '', where, { allowsDuplicateKeys: true });
  const [value] = documents;
  if (value === undefined || value === null || isMapping(value)) return { value: value ?? undefined, problems };
  return { value: undefined, problems: [problem(where, 'what it adds is no mapping')] };
}

/** `value` without the member that `keys` lead to. */
function without(value: unknown, keys: readonly string[] | undefined): unknown {
  const [key, ...rest] = keys ?? [];
  if (key === undefined || !isMapping(value)) return value;
  const entries = Object.entries(value);
  if (rest.length === 0) return Object.fromEntries(entries.filter(([name]) => name !== key));
  return Object.fromEntries(entries.map(([name, each]) => [name, name === key ? without(each, rest) : each]));
}

function merge(below: unknown, above: unknown): unknown {
  if (!isMapping(below) || !isMapping(above)) return above;
  const merged = new Map(Object.entries(below));
  for (const [key, value] of Object.entries(above)) merged.set(key, merge(merged.get(key), value));
  return Object.fromEntries(merged);
}

/** What `before` has and `after` has otherwise or not at all; the outermost place of each. */
function changedPaths(before: unknown, after: unknown, path: readonly string[]): string[] {
  if (before === after) return [];
  if (isMapping(before) && isMapping(after)) {
    return Object.entries(before).flatMap(([key, value]) => changedPaths(value, member(after, key), [...path, key]));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [formatPath(path)];
}
