/** The words of a key, lower-case: `imagePullPolicy`, `image_pull_policy`, `example.com/image-pull-policy`. */
export function keyWords(key: string): string[] {
  if (/^[a-z]+$/.test(key) && !key.includes('image')) return [key];
  const name = key.slice(key.lastIndexOf('/') + 1);
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .flatMap(splitCompound);
}

/**
 * What a key says about its value: it is the `name` of an image (`image`, `sidecarImage`, `KUBE_PROXY_IMAGE`), it may
 * well `mention` some (`images`, `RELATED_IMAGE_PROXY`), or nothing of the kind (`imagePullPolicy`, `imageTag`, `logoImage`).
 */
export function imageKey(key: string): 'name' | 'mention' | undefined {
  if (!/image/i.test(key)) return undefined;
  const words = keyWords(key);
  const at = words.findLastIndex((word) => word === 'image' || word === 'images');
  if (at === -1) return undefined;
  const after = words.slice(at + 1);
  if (after.some((word) => aboutAnImage.has(word)) || words.slice(0, at).some((word) => notRun.has(word))) {
    return undefined;
  }
  return words[at] === 'image' && after.every((word) => nameOfAnImage.has(word)) ? 'name' : 'mention';
}

/** Whether a key's value is written for people: what it names is an example, or a story. */
export function isProse(key: string): boolean {
  return keyWords(key).some((word) => prose.has(word));
}

const nameOfAnImage: ReadonlySet<string> = new Set(['name', 'ref', 'reference', 'url', 'uri', 'full', 'default']);

const aboutAnImage: ReadonlySet<string> = new Set(
  (
    'pull policy policies secret secrets registry registries repository repositories repo repos tag tags version versions ' +
    'digest digests sha sha256 hash prefix suffix type size format path dir directory mode cache gc scan scanner scanning ' +
    'signature signatures verify verification timeout credentials lock mirror mirrors swap host hosts server family account ' +
    'project os arch architecture architectures width height quality limit threshold percent interval period enabled ' +
    'disabled exclusion exclusions exclude excludes extractor extractors selector selectors port'
  ).split(' '),
);

/** Pictures, and the patterns of policies. */
const notRun: ReadonlySet<string> = new Set(
  'logo icon favicon background avatar banner cover exempt exempted exclude excluded ignore ignored allow allowed deny denied block blocked disallowed'.split(
    ' ',
  ),
);

const prose: ReadonlySet<string> = new Set(
  (
    'description descriptions message messages example examples documentation docs help title comment comments summary ' +
    'usage readme changelog display reason'
  ).split(' '),
);

/** `dockerimage` and `imagename`, for those who write no capitals. */
function splitCompound(word: string): string[] {
  if (word === '') return [];
  const [, before = '', image, after = ''] = /^(.*?)(images?)(.*)$/.exec(word) ?? [];
  if (image === undefined) return [word];
  return [before, image, after].filter((part) => part !== '');
}
