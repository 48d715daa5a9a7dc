import { type EdgeBundleError, errorMessage, isEdgeBundleError } from '../errors.ts';
import { formatReference, parseReference } from '../oci-client/reference.ts';
import { problem } from '../profile/problems.ts';
import { type ImageClass, imageClasses, type ImageSource, type Mention } from './mention.ts';

/** An image, once, however many places ask for it and however they spell it. */
export interface NamedImage {
  /** In normal form: `docker.io/library/nginx:1.27`. */
  readonly reference: string;
  /** As the profiles write it, each spelling once. */
  readonly spellings: readonly string[];
  /** The surest first. */
  readonly classes: readonly ImageClass[];
  readonly sources: readonly ImageSource[];
}

/** Where mentions come from. */
export interface MentionOrigin {
  readonly profile: string;
  /** Undefined for lists, manifests and charts that were given by themselves. */
  readonly pack: string | undefined;
}

/** Brings mentions into normal form, so that two spellings are one image. Keeps the order in which they came. */
export class ImageSet {
  readonly #images = new Map<string, { spellings: Set<string>; sources: ImageSource[] }>();
  readonly #problems: EdgeBundleError[] = [];

  /** The normal form; undefined where the mention is no reference, which is among the problems then. */
  add(mention: Mention, origin: MentionOrigin): string | undefined {
    const reference = this.#normalForm(mention, origin);
    if (reference === undefined) return undefined;
    const image = this.#images.get(reference) ?? { spellings: new Set(), sources: [] };
    this.#images.set(reference, image);
    image.spellings.add(mention.image);
    image.sources.push(sourceOf(mention, origin));
    return reference;
  }

  get images(): readonly NamedImage[] {
    return [...this.#images].map(([reference, { spellings, sources }]) => ({
      reference,
      spellings: [...spellings],
      classes: imageClasses.filter((name) => sources.some((source) => source.class === name)),
      sources,
    }));
  }

  get problems(): readonly EdgeBundleError[] {
    return this.#problems;
  }

  #normalForm(mention: Mention, { profile, pack }: MentionOrigin): string | undefined {
    try {
      return formatReference(parseReference(mention.image));
    } catch (cause) {
      if (!isEdgeBundleError(cause, 'REFERENCE_INVALID')) throw cause;
      const where = `profile '${profile}'${pack === undefined ? '' : `, pack '${pack}'`}, ${mention.path}`;
      const hint = cause.hint === undefined ? {} : { hint: cause.hint };
      this.#problems.push(problem(where, errorMessage(cause), { cause, ...hint }));
      return undefined;
    }
  }
}

function sourceOf(mention: Mention, { profile, pack }: MentionOrigin): ImageSource {
  return {
    profile,
    ...(pack === undefined ? {} : { pack }),
    ...(mention.chart === undefined ? {} : { chart: mention.chart }),
    path: mention.path,
    class: mention.class,
    ...(mention.note === undefined ? {} : { note: mention.note }),
  };
}
