import { writeArchive } from '../files/write-archive.ts';
import { type ChartContent, schemaFile } from './chart.ts';
import { textOf } from './chart-metadata.ts';
import { makesKeys, withEllipticKeys } from './elliptic-keys.ts';

export interface HelmArchiveOptions {
  /** What Helm gets instead of a file in `templates/` or `crds/` that has a CustomResourceDefinition in it. */
  readonly shorten?: ((text: string) => string) | undefined;
  /** Whether templates that make certificates get elliptic keys: see `withEllipticKeys`. */
  readonly hasEllipticKeys?: boolean | undefined;
}

export interface HelmArchive {
  readonly bytes: Buffer;
  /** Whether there were keys to be made elliptic. */
  readonly hasEllipticKeys: boolean;
  /** What Helm is not given, and why. */
  readonly warnings: readonly string[];
}

/**
 * The chart as Helm gets it: a new archive of the files that were read, so that Helm cannot see other ones in it than we
 * did. A `values.schema.json` that refers to something outside of itself is left out: Helm 4.1.4 would fetch `http:`
 * references from the network, and read `file:` ones.
 */
export function helmArchive(chart: ChartContent, options: HelmArchiveOptions = {}): HelmArchive {
  const lightener = new Lightener(options);
  const files = new Map<string, Buffer>();
  const warnings: string[] = [];
  const add = (content: ChartContent, folder: string, label: string): void => {
    for (const [path, bytes] of content.files) {
      const reason = path === schemaFile ? outsideReference(bytes) : undefined;
      if (reason === undefined) files.set(`${folder}/${path}`, lightener.lighten(path, bytes));
      else warnings.push(`${label}: its values were not checked: ${schemaFile} ${reason}`);
    }
    content.subcharts.forEach((subchart, index) => {
      add(subchart, `${folder}/charts/${index}`, `${label}: subchart ${subchart.name}`);
    });
  };
  add(chart, 'chart', `chart ${chart.name}`);
  return { bytes: writeArchive(files), hasEllipticKeys: lightener.hasEllipticKeys, warnings };
}

/** Takes work from Helm whose result is not needed. */
class Lightener {
  readonly #options: HelmArchiveOptions;
  hasEllipticKeys = false;

  constructor(options: HelmArchiveOptions) {
    this.#options = options;
  }

  lighten(path: string, bytes: Buffer): Buffer {
    const { shorten, hasEllipticKeys = false } = this.#options;
    if (!/^(templates|crds)\//.test(path)) return bytes;
    const isShortened = shorten !== undefined && bytes.includes('CustomResourceDefinition');
    const makesOtherKeys = hasEllipticKeys && makesKeys(bytes);
    if (!isShortened && !makesOtherKeys) return bytes;
    const text = bytes.toString('utf8');
    const short = isShortened ? shorten(text) : text;
    const light = makesOtherKeys ? withEllipticKeys(short) : short;
    this.hasEllipticKeys ||= light !== short;
    return light === text ? bytes : Buffer.from(light);
  }
}

const references: ReadonlySet<string> = new Set(['$ref', '$dynamicRef', '$recursiveRef']);

/** Helm's validators have these built in. */
const knownSchema = /^https?:\/\/json-schema\.org\/((draft-0[467]|draft\/(2019-09|2020-12))\/)?schema#?$/;

/** Why a JSON schema cannot be used alone; undefined where it can. */
function outsideReference(schema: Buffer): string | undefined {
  let found: string | undefined;
  const look = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    const isOutside =
      (references.has(key) && !value.startsWith('#') && !knownSchema.test(value)) ||
      (key === '$schema' && !knownSchema.test(value));
    if (isOutside) found ??= `refers to '${value.slice(0, 200)}'`;
    return value;
  };
  try {
    JSON.parse(textOf(schema), look);
  } catch {
    return 'is not JSON';
  }
  return found;
}
