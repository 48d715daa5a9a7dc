import type { BundleContent, BundleDocument } from '../bundle/bundle-document.ts';
import { contentDescriptor } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import { keepAliveTag, targetRepository } from './target-repository.ts';

/** What is loaded: a bundle that was opened, or a store with its document. */
export interface LoadSource extends ReadOnlyContentStore {
  readonly document: BundleDocument;
}

/** An image, chart or artifact of a bundle, and the names that it gets in the registry. */
export interface PlannedImage {
  /** As the bundle names it, in normal form; several where they lead to the same place. */
  readonly references: readonly string[];
  readonly repository: string;
  readonly tags: readonly string[];
  readonly root: Descriptor;
}

interface Draft {
  readonly content: BundleContent;
  readonly origin: string;
  readonly repository: string;
  readonly tag: string | undefined;
  /** The reference has no digest: the tag is all that it can be found by. */
  readonly isByTag: boolean;
}

/**
 * The images and charts of `document`, in its order, each digest of a repository once.
 *
 * A tag belongs to the reference that has nothing else. Where a reference has a digest as well, it gives way: it is
 * found by the digest. An image without a tag of its own gets one that keeps it alive.
 *
 * @throws EdgeBundleError REFERENCE_INVALID with all that cannot be placed, as failures
 */
export function planLoad(document: BundleDocument, project: string): readonly PlannedImage[] {
  const failures: EdgeBundleError[] = [];
  const drafts: Draft[] = [];
  const origins = new Map<string, string>();
  for (const content of [...document.images, ...document.charts]) {
    try {
      const draft = draftOf(content, project);
      const other = origins.get(draft.repository) ?? draft.origin;
      if (other !== draft.origin) throw sharedRepository(draft, other);
      origins.set(draft.repository, draft.origin);
      drafts.push(draft);
    } catch (error) {
      if (!(error instanceof EdgeBundleError)) throw error;
      failures.push(error);
    }
  }
  const tags = new Map<string, Draft>();
  for (const draft of [...drafts.filter(({ isByTag }) => isByTag), ...drafts.filter(({ isByTag }) => !isByTag)]) {
    if (draft.tag === undefined) continue;
    const name = `${draft.repository}:${draft.tag}`;
    const holder = tags.get(name);
    if (holder === undefined) tags.set(name, draft);
    else if (draft.isByTag && holder.content.digest !== draft.content.digest)
      failures.push(sharedTag(name, holder, draft));
  }
  const [first] = failures;
  if (first !== undefined && failures.length === 1) throw first;
  if (failures.length > 0) {
    throw new EdgeBundleError('REFERENCE_INVALID', `${failures.length} images have no place in project '${project}'`, {
      failures,
    });
  }
  return place(drafts, tags);
}

function draftOf(content: BundleContent, project: string): Draft {
  const reference = parseReference(content.reference);
  return {
    content,
    origin: `${reference.registry}/${reference.repository}`,
    repository: targetRepository(project, reference),
    tag: reference.tag,
    isByTag: reference.digest === undefined,
  };
}

function place(drafts: readonly Draft[], holders: ReadonlyMap<string, Draft>): readonly PlannedImage[] {
  const images = new Map<
    string,
    { references: Set<string>; tags: Set<string>; repository: string; root: Descriptor }
  >();
  for (const { content, repository, tag } of drafts) {
    const key = `${repository}@${content.digest}`;
    const image = images.get(key) ?? {
      references: new Set(),
      tags: new Set(),
      repository,
      root: contentDescriptor(content),
    };
    images.set(key, image);
    image.references.add(content.reference);
    if (tag !== undefined && holders.get(`${repository}:${tag}`)?.content.digest === content.digest)
      image.tags.add(tag);
  }
  return [...images.values()].map(({ references, tags, repository, root }) => ({
    references: [...references],
    tags: tags.size === 0 ? [keepAliveTag(root.digest)] : [...tags],
    repository,
    root,
  }));
}

function sharedRepository({ content, repository, origin }: Draft, other: string): EdgeBundleError {
  return new EdgeBundleError(
    'REFERENCE_INVALID',
    `'${content.reference}' has no place: '${origin}' and '${other}' would both become '${repository}'`,
    { hint: 'Load one of them from a bundle of its own, into a project of its own.' },
  );
}

function sharedTag(name: string, one: Draft, other: Draft): EdgeBundleError {
  return new EdgeBundleError(
    'REFERENCE_INVALID',
    `'${name}' cannot be two images: '${one.content.reference}' is ${one.content.digest}, ` +
      `'${other.content.reference}' is ${other.content.digest}`,
  );
}
