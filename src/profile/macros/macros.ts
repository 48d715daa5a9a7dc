import { type EdgeBundleError, isEdgeBundleError } from '../../errors.ts';
import { findDottedPath, member } from '../dotted-path.ts';
import { MacroExpansion } from './macro-expansion.ts';
import { findMacros, type MacroText, replaceMacros } from './macro-text.ts';
import type { ExpandedText, MacroValue, MissingMacro, UnknownValue } from './macro-value.ts';
import { placeholderFor, type PlaceholderStyle } from './placeholders.ts';
import { problem } from '../problems.ts';
import { macrosInComments } from './yaml-comments.ts';
import { inexactNumber } from '../inexact-number.ts';
import { maxYamlBytes, parseYaml } from '../yaml-text.ts';

/** A pack whose values macros refer to, `{{ .spectro.pack.<name>.<path> }}`. */
export interface MacroPack {
  readonly name: string;
  readonly version: string | undefined;
  readonly layer: string;
  /** YAML as it is written in the profile. */
  readonly values: string;
}

export interface MacroSources {
  /** All packs of the cluster; of two with one name the first counts, so those of the profile itself come first. */
  readonly packs: readonly MacroPack[];
  /** The profile's variables, `{{ .spectro.var.<name> }}`. */
  readonly variables?:
    readonly { readonly name: string; readonly defaultValue?: string | null | undefined }[] | undefined;
  /**
   * What the user gives: `name` for a variable, `macro.name` for a project's or tenant's macro, `system.cluster.name` for
   * what the cluster would know, `system.kubernetes.version` for another version than the Kubernetes layer's.
   */
  readonly given?: ReadonlyMap<string, string> | undefined;
}

export interface UnresolvedMacro extends MissingMacro {
  /** Where it first stands in the text; for a nested one, where the macro stands that leads to it. From 1. */
  readonly line: number;
}

export interface ResolvedText {
  readonly text: string;
  /** Outside of comments; each once. */
  readonly unresolved: readonly UnresolvedMacro[];
  /** Macros that lead to themselves, and text that has become too long. */
  readonly problems: readonly EdgeBundleError[];
}

export interface ResolveOptions {
  /** What stands for macros whose value is not known. Default: `word`. */
  readonly placeholders?: PlaceholderStyle | undefined;
}

/**
 * Replaces Palette's macros in the text of values and manifests, as Palette does before the text is read as YAML: pack
 * references, system macros, profile variables, project and tenant macros, through pipes of Sprig functions, nested. Other
 * template actions (`{{ .Values.x }}`) stay. No value is quoted in a reason or a problem: it may be a password.
 */
export class MacroContext {
  readonly #packs: ReadonlyMap<string, MacroPack>;
  readonly #variables: ReadonlyMap<string, string>;
  readonly #given: ReadonlyMap<string, string>;
  readonly #kubernetesVersion: string | undefined;
  readonly #values = new Map<MacroPack, unknown>();

  constructor({ packs, variables = [], given = new Map() }: MacroSources) {
    this.#packs = new Map([...packs].reverse().map((pack) => [pack.name, pack]));
    this.#variables = new Map(variables.map(({ name, defaultValue }) => [name, defaultValue ?? '']));
    this.#given = given;
    this.#kubernetesVersion = packs.find(({ layer }) => layer === 'k8s')?.version;
  }

  /** @param where names the text in the problems */
  resolve(text: string, where: string, { placeholders = 'word' }: ResolveOptions = {}): ResolvedText {
    const macros = findMacros(text);
    if (macros.length === 0) return { text, unresolved: [], problems: [] };
    const expansion = new MacroExpansion(placeholders, (path) => this.#read(path));
    const unresolved = new Map<string, UnresolvedMacro>();
    const problems: EdgeBundleError[] = [];
    let commented: ReadonlySet<MacroText> | undefined;
    let length = text.length;
    let line = 1;
    let counted = 0;
    const resolved = replaceMacros(text, macros, (macro) => {
      line += text.slice(counted, macro.start).split('\n').length - 1;
      counted = macro.start;
      const expanded = attempt(expansion, macro, text);
      const value = isEdgeBundleError(expanded) ? placeholderFor(macro.expression, placeholders) : expanded.text;
      length += value.length;
      // What is too long is not even put together.
      if (length > maxYamlBytes) return '';
      if (!isEdgeBundleError(expanded) && expanded.missing.length === 0) return value;
      commented ??= macrosInComments(text, macros);
      if (commented.has(macro)) return value;
      if (isEdgeBundleError(expanded)) problems.push(problem(`${where}, line ${line}`, expanded.message));
      else for (const each of expanded.missing) addOnce(unresolved, each, line);
      return value;
    });
    if (length <= maxYamlBytes) return { text: resolved, unresolved: [...unresolved.values()], problems };
    const tooLong = problem(where, `has more than ${maxYamlBytes} characters once its macros are replaced`);
    return { text: '', unresolved: [], problems: [...problems, tooLong] };
  }

  /** What is written for `.spectro.…`. */
  #read(path: string): MacroValue {
    const [, kind = '', name = ''] = /^\.spectro\.([^.]*)\.?(.*)$/.exec(path) ?? [];
    if (kind === 'pack') return this.#readPack(name);
    if (kind === 'var') return this.#readVariable(name);
    const given = this.#given.get(`${kind}.${name}`);
    if (given !== undefined) return given;
    const hint = giving(`${kind}.${name}`);
    if (kind === 'macro') return { reason: `no value is given for the project or tenant macro '${name}'`, hint };
    if (kind !== 'system') return { reason: `macros of the kind '${kind}' are not known`, hint: kindHint };
    if (name !== 'kubernetes.version') return { reason: 'only the running cluster knows it', hint };
    return this.#kubernetesVersion ?? { reason: 'the profiles have no Kubernetes layer with a version', hint };
  }

  #readVariable(name: string): MacroValue {
    const given = this.#given.get(name);
    if (given !== undefined) return given;
    const value = this.#variables.get(name);
    if (value === undefined) return { reason: `the profile has no variable '${name}'`, hint: giving(name) };
    if (value !== '') return value;
    return { reason: `the variable '${name}' has no default, and no value is given`, hint: giving(name) };
  }

  #readPack(reference: string): MacroValue {
    const parts = reference.split('.');
    for (let count = parts.length - 1; count > 0; count -= 1) {
      const pack = this.#packs.get(parts.slice(0, count).join('.'));
      if (pack !== undefined) return this.#readValue(pack, parts.slice(count).join('.'));
    }
    return {
      reason: `the profiles have no pack that '${reference}' may begin with`,
      hint: 'Give the profile that has the pack too.',
    };
  }

  #readValue(pack: MacroPack, path: string): MacroValue {
    const values = this.#valuesOf(pack);
    if (values === undefined) return { reason: `the values of the pack '${pack.name}' cannot be read` };
    const keys = findDottedPath(values, path);
    if (keys === undefined) {
      return {
        reason: `the values of the pack '${pack.name}' have no '${path}'`,
        hint: 'Palette leaves it empty then: write it into the values, or a default into the macro.',
        isAbsent: true,
      };
    }
    return readScalar(keys.reduce<unknown>(member, values), `'${path}' in the values of the pack '${pack.name}'`);
  }

  #valuesOf(pack: MacroPack): unknown {
    if (!this.#values.has(pack)) {
      const options = { allowsDuplicateKeys: true, marksInexactNumbers: true };
      const { documents, problems } = parseYaml(pack.values, `pack '${pack.name}'`, options);
      this.#values.set(pack, problems.length > 0 ? undefined : (documents[0] ?? {}));
    }
    return this.#values.get(pack);
  }
}

function readScalar(value: unknown, what: string): MacroValue {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : String(value);
  if (value === null) return '';
  const unknown: UnknownValue =
    value === inexactNumber
      ? {
          reason: `${what} is a number that is not printed as it is written`,
          hint: 'Put it in quotes, so that it is text.',
        }
      : { reason: `${what} is no single value` };
  return unknown;
}

function attempt(expansion: MacroExpansion, macro: MacroText, text: string): ExpandedText | EdgeBundleError {
  try {
    return expansion.expand(macro, text);
  } catch (error) {
    if (isEdgeBundleError(error, 'PROFILE_INVALID')) return error;
    throw error;
  }
}

function addOnce(unresolved: Map<string, UnresolvedMacro>, missing: MissingMacro, line: number): void {
  if (!unresolved.has(missing.macro)) unresolved.set(missing.macro, { ...missing, line });
}

const kindHint = "The kinds are 'pack', 'var', 'macro' and 'system': {{ .spectro.var.NAME }}.";

function giving(name: string): string {
  return `Give it with --var ${name}=VALUE, or in a --var-file.`;
}
