import { stringify } from 'yaml';

import { parseReference } from '../oci-client/reference.ts';
import { isGuess } from '../resolve/check-images.ts';
import type { NamedImage } from '../resolve/image-set.ts';
import type { ExcludedImage, ResolvedLayer, ResolvedProfiles } from '../resolve/resolved-profiles.ts';
import type { LintFinding } from './finding.ts';
import type { MeasureFailure, Measurement } from './measure-images.ts';

/** The only platform that the local Harbor runs on. */
const platform = 'linux/amd64';

/** What is wrong with the images: content tags that miss some, names that are not exact, other architectures. */
export function lintImages(resolved: ResolvedProfiles, measurement: Measurement | undefined): LintFinding[] {
  return [
    ...resolved.layers.flatMap(lintContentTags),
    ...resolved.unrendered.map(({ profile, pack, chart, reason, hint }): LintFinding => {
      const subject = chart === undefined ? '' : `chart '${chart}': `;
      return {
        rule: 'unrendered',
        severity: 'warning',
        profile,
        pack,
        message: `${subject}${reason}`,
        change: hint ?? 'Make it render, or list its images in pack.content.images.',
      };
    }),
    ...resolved.images.flatMap((image) => lintName(image)),
    ...(measurement === undefined ? [] : resolved.images.flatMap((image) => lintMeasured(image, measurement))),
    ...resolved.excluded.map(lintExcluded),
  ];
}

function lintContentTags({ profile, pack, path, undeclared }: ResolvedLayer): LintFinding[] {
  if (pack === undefined || undeclared.length === 0) return [];
  return [
    {
      rule: 'content-tags',
      severity: 'warning',
      profile,
      pack,
      path: `${path}.values#pack.content.images`,
      message: `the content tags miss ${undeclared.length} images that the pack runs: ${undeclared.join(', ')}`,
      change: 'Add them, so that other tools carry them too; edge-bundle does without.',
      patch: stringify({ pack: { content: { images: undeclared.map((image) => ({ image })) } } }, { lineWidth: 0 }),
    },
  ];
}

function lintName(image: NamedImage): LintFinding[] {
  const { tag, digest } = parseReference(image.reference);
  if (digest !== undefined) return [];
  const place = placeOf(image);
  if (tag === 'latest') {
    return [
      {
        ...place,
        rule: 'latest-tag',
        severity: 'warning',
        message: `${image.reference}: what 'latest' is changes, and kubelet pulls it each time a pod starts`,
        change: 'Name a version.',
      },
    ];
  }
  return [
    {
      ...place,
      rule: 'no-digest',
      severity: 'info',
      message: `${image.reference}: a tag can be moved`,
      change: 'Add @sha256:… to it, or build with --lock.',
    },
  ];
}

function lintMeasured(image: NamedImage, { images, failures }: Measurement): LintFinding[] {
  const place = placeOf(image);
  const failure = failures.get(image.reference);
  if (failure !== undefined) return [{ ...place, ...describeFailure(image, failure) }];
  const platforms = images.get(image.reference)?.platforms ?? [];
  if (platforms.length === 0 || platforms.some((name) => name === platform)) return [];
  return [
    {
      ...place,
      rule: 'architecture',
      severity: 'error',
      message: `${image.reference} is for ${platforms.join(', ')}, and the local registry needs ${platform}`,
      change: `Use an image for ${platform}.`,
    },
  ];
}

function describeFailure(
  image: NamedImage,
  { reason, isUnreachable }: MeasureFailure,
): Pick<LintFinding, 'rule' | 'severity' | 'message' | 'change'> {
  const { reference } = image;
  if (isUnreachable) {
    const message = `${reference} was not looked up: ${reason}`;
    return {
      rule: 'unknown-image',
      severity: 'warning',
      message,
      change: 'Run it again where its registry can be reached.',
    };
  }
  if (isGuess(image)) {
    const message = `${reference} is only mentioned, and cannot be had: ${reason}`;
    return {
      rule: 'missing-image',
      severity: 'info',
      message,
      change: 'Nothing, unless it is an image: build leaves it out.',
    };
  }
  const change = 'Correct the reference, log in to its registry, or leave it out with --exclude.';
  return { rule: 'missing-image', severity: 'error', message: `${reference} cannot be had: ${reason}`, change };
}

function lintExcluded(image: ExcludedImage): LintFinding {
  const { namespaces } = image;
  const where = namespaces.length === 0 ? 'its namespace' : `namespace ${namespaces.join(', ')}`;
  return {
    ...placeOf(image),
    rule: 'excluded-image',
    severity: 'warning',
    message: `${image.reference} is left out by '${image.pattern}': the agent would look for it in the local registry`,
    change: `Label ${where} with stylus.io/imageswap=disable, so that it is pulled from where it is.`,
    ...(namespaces.length === 0 ? {} : { patch: namespaces.map(namespacePatch).join('---\n') }),
  };
}

function namespacePatch(name: string): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'stylus.io/imageswap': 'disable' } },
  });
}

function placeOf({ sources }: NamedImage): Pick<LintFinding, 'profile' | 'pack' | 'path'> {
  const [source] = sources;
  return { profile: source?.profile ?? '', pack: source?.pack, path: source?.path };
}
