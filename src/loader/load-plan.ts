import type { BundleChart, BundleContent, BundleDocument, NamedContent } from '../bundle/bundle-document.ts';
import { contentDescriptor } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import { keepAliveTag, targetChart, targetRepository } from './target-repository.ts';

/** What is loaded: a bundle that was opened, or a store with its document. */
export interface LoadSource extends ReadOnlyContentStore {
  readonly document: BundleDocument;
  /** Of `bundle.json`, where there is one. */
  readonly digest?: Digest | undefined;
}

/** What the names of all repositories begin with; in Harbor, projects. */
export interface TargetProjects {
  /** Of the images. */
  readonly project: string;
  /** Of the charts and packs. Default: `spectro-packs`. */
  readonly packsProject?: string | undefined;
}

export const defaultPacksProject = 'spectro-packs';

/** An image, a chart or what belongs to one, and the names that it gets in the registry. */
export interface PlannedImage {
  readonly kind: 'image' | BundleChart['kind'] | 'attachment';
  /** As the bundle names it, in normal form; several where they lead to the same place. */
  readonly references: readonly string[];
  readonly repository: string;
  readonly tags: readonly string[];
  readonly root: Descriptor;
}

interface Draft {
  readonly kind: PlannedImage['kind'];
  readonly content: NamedContent;
  /** What has a repository for itself. */
  readonly origin: string;
  readonly repository: string;
  readonly tag: string | undefined;
  /** The reference has no digest: the tag is all that it can be found by. */
  readonly isByTag: boolean;
}

/**
 * The images and charts of `document`, then what belongs to them, in its order, each digest of a repository once.
 *
 * A tag belongs to the reference that has nothing else. Where a reference has a digest as well, it gives way: it is
 * found by the digest. An image without a tag of its own gets one that keeps it alive. Charts and packs have the tag of
 * their version, whatever their reference. What belongs to content goes into the same repository, with its tag if it has one.
 *
 * @throws EdgeBundleError REFERENCE_INVALID with all that cannot be placed, as failures
 */
export function planLoad(document: BundleDocument, projects: TargetProjects): readonly PlannedImage[] {
  const failures: EdgeBundleError[] = [];
  const drafts: Draft[] = [];
  const origins = new Map<string, string>();
  const contents: readonly (BundleContent | BundleChart)[] = [...document.images, ...document.charts];
  for (const content of contents) {
    try {
      const draft = 'kind' in content ? chartDraftOf(content, projects) : draftOf(content, projects);
      const other = origins.get(draft.repository) ?? draft.origin;
      if (other !== draft.origin) throw sharedRepository(draft, other);
      origins.set(draft.repository, draft.origin);
      drafts.push(draft);
    } catch (error) {
      if (!(error instanceof EdgeBundleError)) throw error;
      failures.push(error);
    }
  }
  drafts.push(...attachmentDraftsOf(document, drafts));
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
    throw new EdgeBundleError(
      'REFERENCE_INVALID',
      `${failures.length} images or charts have no place in ${projectsOf(document, projects)
        .map((name) => `project '${name}'`)
        .join(' and ')}`,
      { failures },
    );
  }
  return place(drafts, tags);
}

/** The projects that the content of `document` goes to, each once. */
export function projectsOf(document: BundleDocument, projects: TargetProjects): readonly string[] {
  const { project, packsProject = defaultPacksProject } = projects;
  return [...new Set(document.charts.length === 0 ? [project] : [project, packsProject])];
}

function draftOf(content: BundleContent, { project }: TargetProjects): Draft {
  const reference = parseReference(content.reference);
  return {
    kind: 'image',
    content,
    origin: `${reference.registry}/${reference.repository}`,
    repository: targetRepository(project, reference),
    tag: reference.tag,
    isByTag: reference.digest === undefined,
  };
}

function chartDraftOf(content: BundleChart, { packsProject = defaultPacksProject }: TargetProjects): Draft {
  const { kind, name } = content;
  const { repository, tag } = targetChart(packsProject, content);
  return { kind, content, origin: `${kind} ${name}`, repository, tag, isByTag: true };
}

function attachmentDraftsOf({ attachments = [] }: BundleDocument, drafts: readonly Draft[]): readonly Draft[] {
  const homes = new Map<string, Map<string, Draft>>();
  for (const draft of drafts) {
    const name = repositoryOf(draft.content);
    homes.set(name, (homes.get(name) ?? new Map<string, Draft>()).set(draft.repository, draft));
  }
  return attachments.flatMap((content) =>
    [...(homes.get(repositoryOf(content))?.values() ?? [])].map(({ origin, repository }): Draft => {
      const { tag } = parseReference(content.reference);
      return { kind: 'attachment', content, origin, repository, tag, isByTag: tag !== undefined };
    }),
  );
}

function repositoryOf({ reference }: NamedContent): string {
  const { registry, repository } = parseReference(reference);
  return `${registry}/${repository}`;
}

function place(drafts: readonly Draft[], holders: ReadonlyMap<string, Draft>): readonly PlannedImage[] {
  const images = new Map<
    string,
    { kind: PlannedImage['kind']; references: Set<string>; tags: Set<string>; repository: string; root: Descriptor }
  >();
  for (const { kind, content, repository, tag } of drafts) {
    const key = `${repository}@${content.digest}`;
    const image = images.get(key) ?? {
      kind,
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
  return [...images.values()].map(({ kind, references, tags, repository, root }) => ({
    kind,
    references: [...references],
    // What belongs to content is kept alive by that.
    tags: tags.size === 0 && kind !== 'attachment' ? [keepAliveTag(root.digest)] : [...tags],
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
    `'${name}' cannot be two: '${one.content.reference}' is ${one.content.digest}, ` +
      `'${other.content.reference}' is ${other.content.digest}`,
  );
}
