import type { ContentSource } from '../bundle/bundle-document.ts';
import { type EdgeBundleError, errorMessage, isEdgeBundleError } from '../errors.ts';
import { formatReference, parseReference } from '../oci-client/reference.ts';
import { type Layer, type Mention, readList, readPack } from './layer.ts';
import { holdsTemplate } from './macros.ts';
import { combineProblems, problem } from './problems.ts';
import type { Profile } from './profile.ts';

export interface ResolvedImage {
  /** In normal form: `docker.io/library/nginx:1.27`. */
  readonly reference: string;
  /** As the profiles write it, each spelling once. */
  readonly spellings: readonly string[];
  readonly sources: readonly ContentSource[];
}

/** A pack of which images may be missing. */
export interface UnrenderedPack {
  readonly profile: string;
  readonly pack: string;
  readonly reason: string;
}

export interface ResolvedImages {
  /** Each once, in the order in which a cluster needs them: layer, install priority, place in the profiles. */
  readonly images: readonly ResolvedImage[];
  readonly unrendered: readonly UnrenderedPack[];
}

/**
 * The images that profiles name: content tags, raw manifests and lists of references. Charts are not rendered: packs
 * that have some are listed as `unrendered`.
 *
 * @throws EdgeBundleError PROFILE_INVALID, all problems together: more than one infrastructure or full profile, values
 *   or manifests that are no YAML, an image that is no reference or holds a macro
 */
export function resolveImages(profiles: readonly Profile[]): ResolvedImages {
  const layers = profiles.flatMap(readLayers).sort(byInstallation);
  const problems = [...onlyOneInfrastructure(profiles), ...layers.flatMap((layer) => layer.problems)];
  const images = new Map<string, { spellings: Set<string>; sources: ContentSource[] }>();
  for (const layer of layers) {
    for (const mention of layer.mentions) {
      const reference = normalForm(mention, layer);
      if (isEdgeBundleError(reference)) {
        problems.push(reference);
        continue;
      }
      const image = images.get(reference) ?? { spellings: new Set(), sources: [] };
      images.set(reference, image);
      image.spellings.add(mention.image);
      image.sources.push(sourceOf(mention, layer));
    }
  }
  if (problems.length > 0) throw combineProblems('the profiles cannot be resolved', problems);
  return {
    images: [...images].map(([reference, { spellings, sources }]) => ({
      reference,
      spellings: [...spellings],
      sources,
    })),
    unrendered: layers.flatMap(({ profile, pack, unrendered }) =>
      pack === undefined || unrendered === undefined ? [] : [{ profile, pack, reason: unrendered }],
    ),
  };
}

function readLayers(profile: Profile): Layer[] {
  if (profile.kind === 'list') return [readList(profile)];
  return profile.document.spec.template.packs.map((pack, index) =>
    readPack(pack, profile.name, `spec.template.packs[${index}]`),
  );
}

function byInstallation(a: Layer, b: Layer): number {
  return a.rank - b.rank || a.installPriority - b.installPriority;
}

function onlyOneInfrastructure(profiles: readonly Profile[]): EdgeBundleError[] {
  const names = profiles.flatMap((profile) => {
    if (profile.kind === 'list') return [];
    const { type } = profile.document.spec.template;
    return type === 'cluster' || type === 'infra' ? [`'${profile.name}' (${type})`] : [];
  });
  if (names.length < 2) return [];
  return [
    problem(names.join(' and '), 'at most one infrastructure or full profile goes into a bundle', {
      hint: 'Give one of them, with any number of add-on profiles.',
    }),
  ];
}

function normalForm(mention: Mention, layer: Layer): string | EdgeBundleError {
  const pack = layer.pack === undefined ? '' : `, pack '${layer.pack}'`;
  const where = `profile '${layer.profile}'${pack}, ${mention.path}`;
  if (holdsTemplate(mention.image)) {
    return problem(where, `'${mention.image}' holds a macro, and macros are not resolved yet`, {
      hint: "Write the image's final reference in place of the macro.",
    });
  }
  try {
    return formatReference(parseReference(mention.image));
  } catch (cause) {
    if (!isEdgeBundleError(cause, 'REFERENCE_INVALID')) throw cause;
    return problem(where, errorMessage(cause), cause.hint === undefined ? { cause } : { cause, hint: cause.hint });
  }
}

function sourceOf(mention: Mention, layer: Layer): ContentSource {
  const { profile, pack } = layer;
  return { profile, ...(pack === undefined ? {} : { pack }), path: mention.path, class: mention.class };
}
