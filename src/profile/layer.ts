import type { EdgeBundleError } from '../errors.ts';
import { findPodImages } from './pod-images.ts';
import { readPackValues } from './pack-values.ts';
import { problem } from './problems.ts';
import type { ProfilePack } from './profile-document.ts';
import type { ReferenceList } from './profile.ts';
import { parseYaml } from './yaml-text.ts';

/** An image as a profile spells it, and the place. */
export interface Mention {
  readonly image: string;
  /** `declared` in a content tag or list, or `rendered`: read from a pod's specification. */
  readonly class: 'declared' | 'rendered';
  readonly path: string;
}

/** What one pack, or one list of references, contributes. */
export interface Layer {
  readonly profile: string;
  /** Undefined for a list. */
  readonly pack: string | undefined;
  /** Infrastructure first, in the order in which a cluster comes up; then add-ons. */
  readonly rank: number;
  readonly installPriority: number;
  readonly mentions: readonly Mention[];
  /** Why images of the pack may be missing; undefined where all of it was read. */
  readonly unrendered: string | undefined;
  readonly problems: readonly EdgeBundleError[];
}

const ranks: Readonly<Record<ProfilePack['layer'], number>> = { kernel: 0, os: 1, k8s: 2, cni: 3, csi: 4, addon: 5 };

/** Reads a pack inside a profile document; `path` is its place there. */
export function readPack(pack: ProfilePack, profile: string, path: string): Layer {
  const where = `profile '${profile}', pack '${pack.name}', ${path}`;
  const values = readPackValues(pack.values ?? '', `${where}.values`);
  const problems = [...values.problems];
  const mentions: Mention[] = values.images.map((image, index) => ({
    image,
    class: 'declared',
    path: `${path}.values#pack.content.images[${index}]`,
  }));
  for (const [index, { content }] of (pack.manifests ?? []).entries()) {
    const place = `manifests[${index}].content`;
    const manifest = parseYaml(content, `${where}.${place}`);
    problems.push(...manifest.problems);
    for (const [documentIndex, document] of manifest.documents.entries()) {
      for (const field of findPodImages(document)) {
        const fieldPath = `${place}#documents[${documentIndex}].${field.path}`;
        if (typeof field.image === 'string') {
          mentions.push({ image: field.image, class: 'rendered', path: `${path}.${fieldPath}` });
        } else {
          problems.push(problem(`${where}.${fieldPath}`, `expected a string, received ${typeof field.image}`));
        }
      }
    }
  }
  return {
    profile,
    pack: pack.name,
    rank: ranks[pack.layer],
    installPriority: values.installPriority,
    mentions,
    unrendered: reasonUnrendered(pack, values.hasTemplates, mentions),
    problems,
  };
}

/** Reads a list of references: they count as add-ons. */
export function readList({ name, entries }: ReferenceList): Layer {
  return {
    profile: name,
    pack: undefined,
    rank: ranks.addon,
    installPriority: 0,
    mentions: entries.map(({ reference, line }) => ({ image: reference, class: 'declared', path: `line ${line}` })),
    unrendered: undefined,
    problems: [],
  };
}

function reasonUnrendered(pack: ProfilePack, hasTemplates: boolean, mentions: readonly Mention[]): string | undefined {
  const hasCharts = hasTemplates || pack.type === 'helm';
  if (mentions.length > 0) {
    return hasCharts ? 'its charts are not rendered: images that only they name are missing' : undefined;
  }
  if (pack.type === 'manifest') return undefined;
  return 'it names no images itself, and its charts are not rendered: all of its images are missing';
}
