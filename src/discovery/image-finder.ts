import { composeImages, type Surroundings, surroundingsOf } from './compose-images.ts';
import type { FoundImage } from './found-image.ts';
import { isBareRepository, isImageName, isTaggedImage, readImageName } from './image-name.ts';
import { imageKey, isProse, keyWords } from './key-words.ts';
import { operatorImages } from './operators.ts';
import { formatPath, intoText, type PathStep } from './path.ts';
import { isPlainObject, type PlainObject } from './plain-object.ts';
import { podImages } from './pod-images.ts';
import { parseDocuments } from './text-documents.ts';
import { findReferences } from './text-references.ts';

export interface FinderOptions {
  /** Whether the object is a chart's values: nothing in it is rendered, and what is switched off does not count. */
  readonly areValues?: boolean | undefined;
  readonly appVersion?: string | undefined;
}

/** Deeper than any object of Kubernetes, and far from the end of the stack. */
const maxDepth = 200;
/** For objects that are made to keep us busy, or that are no trees after all and have no end. */
const maxValues = 1_000_000;
const maxFound = 10_000;
/** A manifest in a ConfigMap in a manifest: what is nested deeper is read as plain text. */
const maxDocumentDepth = 3;

/** Goes through one object and collects its images. */
export class ImageFinder {
  readonly #options: FinderOptions;
  readonly #found = new Map<string, FoundImage>();
  readonly #path: PathStep[] = [];
  #documentDepth = 0;
  #values = 0;
  /** Whether it is in an object that runs pods as they are written there. */
  #isInWorkload = false;

  constructor(options: FinderOptions = {}) {
    this.#options = options;
  }

  /** What was found so far, each image once for a path. */
  get found(): FoundImage[] {
    return [...this.#found.values()];
  }

  /** Searches `value`, which stands under `key`: the key says what to make of a string. */
  visit(key: string, value: unknown, around: Surroundings): void {
    this.#values += 1;
    if (this.#path.length > maxDepth || this.#values > maxValues || this.#found.size > maxFound) return;
    if (typeof value === 'string') this.#visitString(key, value, around);
    else if (Array.isArray(value)) this.#visitList(key, value, around);
    else if (isPlainObject(value)) this.#visitObject(key, value, around);
  }

  #visitObject(key: string, object: PlainObject, outer: Surroundings): void {
    const isSwitchedOff = object.enabled === false || object.enabled === 'false';
    if (isSwitchedOff && this.#options.areValues === true && this.#path.length > 0) return;
    for (const { image, path, note } of operatorImages(object)) this.#report(image, 'inferred', path, note);
    const isKubernetes = typeof object.kind === 'string' && typeof object.apiVersion === 'string';
    const isDefinition = isKubernetes && object.kind === 'CustomResourceDefinition';
    const isAroundWorkload = this.#isInWorkload;
    if (isKubernetes) this.#isInWorkload = isWorkload(object) && this.#path.every(isOfList);
    const used = this.#compose(key, object, outer);
    const around = surroundingsOf(key, object, outer);
    for (const [name, value] of Object.entries(object)) {
      if (value === null || (typeof value !== 'object' && typeof value !== 'string')) continue;
      if (used.has(name) || notSearched.has(name) || (isKubernetes && name === 'status')) continue;
      if (isDefinition && name !== 'spec') continue;
      this.#within(name, () => {
        if (name === 'openAPIV3Schema') this.#visitSchema('', value);
        else if (name === 'data' && object.kind === 'Secret' && isPlainObject(value)) this.#visitSecret(value);
        else this.visit(isNamedValue(object, name) ? object.name : name, value, around);
      });
    }
    this.#isInWorkload = isAroundWorkload;
  }

  #visitList(key: string, list: readonly unknown[], around: Surroundings): void {
    for (const { path, image } of podImages(key, list)) {
      if (typeof image === 'string' && this.#mayRun(image.trim())) this.#report(image.trim(), 'rendered', path);
    }
    const variables = namedValues(list);
    const used = variables === undefined ? undefined : this.#compose(key, variables, around);
    let flag: string | undefined;
    for (const [index, item] of list.entries()) {
      if (isPlainObject(item) && typeof item.name === 'string' && used?.has(item.name) === true) continue;
      this.#within(index, () => {
        if (typeof item === 'string') flag = this.#visitArgument(flag ?? key, item, around);
        else if (podListKeys.has(key) && isPlainObject(item)) this.#visitContainer(item, around);
        else this.visit(key, item, around);
      });
    }
  }

  /**
   * Whether a container's image is meant as one. In a workload everything is: what has not the form of one is a mistake, which
   * whoever reads the references tells of. Elsewhere it may be a pattern (of a policy), or a template (of an injector).
   */
  #mayRun(image: string): boolean {
    return image !== injected && (this.#isInWorkload || readImageName(image) !== undefined);
  }

  /** A container, or a volume, without the image that was found already. */
  #visitContainer(item: PlainObject, around: Surroundings): void {
    const { image, ...others } = item;
    this.#visitObject('', others, around);
    if (isPlainObject(image)) this.#within('image', () => this.#visitObject('image', image, around));
  }

  /** `--flag=value`, or a flag and then its value; returns the flag that the next argument is the value of. */
  #visitArgument(key: string, text: string, around: Surroundings): string | undefined {
    const [, name, equals, value = ''] = /^\s*-{1,2}([\w.-]+)(?:(=)([^]*))?$/.exec(text) ?? [];
    if (name === undefined) this.#visitString(key, text, around);
    else if (equals === undefined) return name;
    else this.#visitString(name, value, around);
    return undefined;
  }

  #visitString(key: string, text: string, { isOfImages = false }: Surroundings): void {
    const kind = imageKey(key);
    if (kind === undefined && !isOfImages && !/[/\n]|^\s*[{[]|image/i.test(text)) return;
    const trimmed = text.trim();
    if (kind !== undefined && isImageName(trimmed) && (kind === 'name' || /[/:@]/.test(trimmed))) {
      const isBase = keyWords(key).includes('base') && isBareRepository(trimmed);
      this.#report(trimmed, isBase ? 'inferred' : 'referenced', [], isBase ? 'no tag is given' : undefined);
      return;
    }
    if (isProse(key) || isExample(key)) return;
    if (isOfImages && isTaggedImage(trimmed)) {
      this.#report(trimmed, 'referenced', []);
      return;
    }
    if (/^[{[]|\n/.test(trimmed) && this.#visitDocuments(key, trimmed)) return;
    for (const image of findReferences(trimmed, kind !== undefined)) this.#report(image, 'referenced', []);
  }

  /** Searches the YAML or JSON that `text` is; returns false where it is something else. */
  #visitDocuments(key: string, text: string): boolean {
    if (this.#documentDepth === maxDocumentDepth) return false;
    const documents = parseDocuments(text);
    if (documents === undefined) return false;
    this.#documentDepth += 1;
    this.#within(intoText, () => {
      for (const [index, document] of documents.entries()) {
        if (documents.length === 1) this.visit(key, document, {});
        else this.#within(index, () => this.visit(key, document, {}));
      }
    });
    this.#documentDepth -= 1;
    return true;
  }

  #visitSecret(data: PlainObject): void {
    for (const [name, value] of Object.entries(data)) {
      const text = typeof value === 'string' ? decodeText(value) : undefined;
      if (text !== undefined) this.#within(name, () => this.#visitString(name, text, {}));
    }
  }

  /** Of an OpenAPI schema only the defaults count: the API server puts them into the objects. */
  #visitSchema(name: string, schema: unknown): void {
    if (!isPlainObject(schema) || this.#path.length > maxDepth) return;
    const { default: byDefault, properties, items, additionalProperties } = schema;
    if (byDefault !== undefined) this.#within('default', () => this.visit(name, byDefault, {}));
    if (isPlainObject(items)) this.#within('items', () => this.#visitSchema(name, items));
    if (isPlainObject(additionalProperties)) {
      this.#within('additionalProperties', () => this.#visitSchema(name, additionalProperties));
    }
    if (!isPlainObject(properties)) return;
    const used = this.#compose(name, defaultsOf(properties), {});
    this.#within('properties', () => {
      for (const [property, member] of Object.entries(properties)) {
        if (!used.has(property)) this.#within(property, () => this.#visitSchema(property, member));
      }
    });
  }

  /** Reports what `object` has in parts; returns the keys of the parts. */
  #compose(key: string, object: PlainObject, around: Surroundings): Set<string> {
    const { appVersion, areValues } = this.#options;
    const itsKey = imageKey(key) ?? (around.isOfImages === true ? 'mention' : undefined);
    const composed = composeImages(object, { key: itsKey, around, appVersion });
    for (const { image, isGuess, note } of composed) {
      this.#report(image, isGuess && areValues !== true ? 'inferred' : 'referenced', [], note);
    }
    return new Set(composed.flatMap(({ keys }) => keys));
  }

  #within(step: PathStep, visit: () => void): void {
    this.#path.push(step);
    visit();
    this.#path.pop();
  }

  #report(image: string, found: FoundImage['class'], below: readonly PathStep[], note?: string): void {
    const path = formatPath([...this.#path, ...below]);
    const id = `${path}\n${image}`;
    const isRendered = found === 'rendered' && this.#documentDepth === 0 && this.#options.areValues !== true;
    const itsClass = found === 'rendered' && !isRendered ? 'referenced' : found;
    if (!this.#found.has(id)) {
      this.#found.set(id, { image, class: itsClass, path, ...(note === undefined ? {} : { note }) });
    }
  }
}

/** What Istio's injector puts its proxy in the place of. */
const injected = 'auto';

const workloads: ReadonlySet<string> = new Set([
  ...['v1/Pod', 'v1/PodTemplate', 'v1/ReplicationController', 'batch/v1/Job', 'batch/v1/CronJob'],
  ...['Deployment', 'DaemonSet', 'StatefulSet', 'ReplicaSet'].map((kind) => `apps/v1/${kind}`),
]);

/** Whether a step leads from a List to its objects. In other objects they are templates, patterns or data. */
function isOfList(step: PathStep): boolean {
  return step === 'items' || typeof step === 'number';
}

function isWorkload({ apiVersion, kind }: PlainObject): boolean {
  return workloads.has(`${String(apiVersion)}/${String(kind)}`);
}

const podListKeys: ReadonlySet<string> = new Set(['containers', 'initContainers', 'ephemeralContainers', 'volumes']);

/** Names for people and machines, no images: labels have no slashes, and the rest is bookkeeping. */
const notSearched: ReadonlySet<string> = new Set([
  'labels',
  'matchLabels',
  'nodeSelector',
  'selector',
  'managedFields',
  'ownerReferences',
]);

/** Operator Lifecycle Manager shows it to people who create a custom resource. */
function isExample(key: string): boolean {
  return key === 'alm-examples';
}

/** `{name: SIDECAR_IMAGE, value: …}`, of environments; parameters have a `default` too. */
function isNamedValue(object: PlainObject, key: string): object is { readonly name: string } {
  return (key === 'value' || key === 'default') && typeof object.name === 'string';
}

/** A list of `{name, value}` as an object. */
function namedValues(list: readonly unknown[]): PlainObject | undefined {
  const values: [string, unknown][] = [];
  for (const item of list) {
    if (isPlainObject(item) && typeof item.name === 'string' && 'value' in item) values.push([item.name, item.value]);
  }
  return values.length === 0 ? undefined : Object.fromEntries(values);
}

function defaultsOf(properties: PlainObject): PlainObject {
  const defaults: [string, unknown][] = [];
  for (const [name, schema] of Object.entries(properties)) {
    if (isPlainObject(schema) && schema.default !== undefined) defaults.push([name, schema.default]);
  }
  return Object.fromEntries(defaults);
}

/** The text that `base64` holds; undefined where it holds something else. */
function decodeText(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64');
  const text = bytes.toString('utf8');
  return /[\0\uFFFD]/.test(text) ? undefined : text;
}
