import { describe, expect, it } from 'vitest';

import type { BundleChart, BundleContent, BundleDocument } from '../../src/bundle/bundle-document.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { planLoad } from '../../src/loader/load-plan.ts';

const [one, two] = [digest('1'), digest('2')];

function digest(digit: string): `sha256:${string}` {
  return `sha256:${digit.repeat(64)}`;
}

function content(reference: string, of: `sha256:${string}`): BundleContent {
  return { reference, digest: of, mediaType: mediaTypes.ociManifest, size: 500, sources: [] };
}

function chart(kind: BundleChart['kind'], name: string, version: string, of: `sha256:${string}`): BundleChart {
  return { kind, name, version, ...content(`ghcr.io/somewhere/else:${version.replace('+', '_')}`, of) };
}

function documentOf(images: readonly BundleContent[], charts: readonly BundleChart[] = []): BundleDocument {
  return {
    formatVersion: 1,
    name: 'plan',
    platforms: [],
    sourceDateEpoch: 0,
    profiles: [],
    images: [...images],
    charts: [...charts],
    blobs: [],
  };
}

function placesOf(...images: readonly BundleContent[]): readonly string[] {
  return planLoad(documentOf(images), { project: 'edge' }).map(({ repository, tags, root }) => {
    return `${repository}:${tags.join(',')} ${root.digest === one ? 'one' : 'two'}`;
  });
}

describe('the plan of a load', () => {
  it('has images and then charts, in the order of the bundle', () => {
    const document = documentOf(
      [content('quay.io/b/b:1', two), content('docker.io/library/a:1', one)],
      [chart('chart', 'c', '0.1.0', one)],
    );
    expect(planLoad(document, { project: 'edge', packsProject: 'packs' })).toEqual([
      {
        kind: 'image',
        references: ['quay.io/b/b:1'],
        repository: 'edge/quay.io/b/b',
        tags: ['1'],
        root: { mediaType: mediaTypes.ociManifest, digest: two, size: 500 },
      },
      expect.objectContaining({ repository: 'edge/docker.io/library/a', tags: ['1'] }),
      expect.objectContaining({ kind: 'chart', repository: 'packs/charts/c', tags: ['0.1.0'] }),
    ]);
  });

  it('gives an image that is known by its digest only a tag that keeps it alive', () => {
    expect(placesOf(content(`quay.io/a/a@${one}`, one))).toEqual([`edge/quay.io/a/a:by-digest-${'1'.repeat(64)} one`]);
  });

  it('needs no such tag where another reference has one for the same content', () => {
    expect(placesOf(content(`quay.io/a/a@${one}`, one), content('quay.io/a/a:1', one))).toEqual([
      'edge/quay.io/a/a:1 one',
    ]);
  });

  it('gives an image both of its tags', () => {
    expect(placesOf(content('quay.io/a/a:1', one), content('quay.io/a/a:1.2', one))).toEqual([
      'edge/quay.io/a/a:1,1.2 one',
    ]);
  });

  it('keeps the tag of a reference that has a digest as well', () => {
    expect(placesOf(content(`quay.io/a/a:1@${one}`, one))).toEqual(['edge/quay.io/a/a:1 one']);
  });

  it('leaves a tag to the reference that has nothing else, in either order', () => {
    const [pinned, tagged] = [content(`quay.io/a/a:1@${one}`, one), content('quay.io/a/a:1', two)];
    const kept = `edge/quay.io/a/a:by-digest-${'1'.repeat(64)} one`;
    expect(placesOf(pinned, tagged)).toEqual([kept, 'edge/quay.io/a/a:1 two']);
    expect(placesOf(tagged, pinned)).toEqual(['edge/quay.io/a/a:1 two', kept]);
  });

  it('gives a tag that two digests share to the first of them', () => {
    expect(placesOf(content(`quay.io/a/a:1@${one}`, one), content(`quay.io/a/a:1@${two}`, two))).toEqual([
      'edge/quay.io/a/a:1 one',
      `edge/quay.io/a/a:by-digest-${'2'.repeat(64)} two`,
    ]);
  });

  it('is refused where two repositories would get one name', () => {
    const images = [content('my.host:5000/app:1', one), content('my.host-5000/app:2', two)];
    expect(() => planLoad(documentOf(images), { project: 'edge' })).toThrow(
      expect.objectContaining({
        code: 'REFERENCE_INVALID',
        message:
          "'my.host-5000/app:2' has no place: 'my.host-5000/app' and 'my.host:5000/app' would both become 'edge/my.host-5000/app'",
      }),
    );
  });

  it('puts charts and packs into a project of their own, under their names and versions', () => {
    const charts = [chart('chart', 'web', '1.0.0+3', one), chart('pack', 'web', '1.0.0', two)];
    const places = planLoad(documentOf([], charts), { project: 'edge' }).map(
      ({ kind, repository, tags }) => `${kind} ${repository}:${tags.join(',')}`,
    );
    expect(places).toEqual(['chart spectro-packs/charts/web:1.0.0_3', 'pack spectro-packs/archive/web:1.0.0']);
  });

  it('has a chart once that two references lead to', () => {
    const other = { ...chart('chart', 'web', '1', one), reference: `quay.io/charts/web@${one}` };
    const [planned, ...more] = planLoad(documentOf([], [chart('chart', 'web', '1', one), other]), { project: 'edge' });
    expect(planned).toMatchObject({
      references: ['ghcr.io/somewhere/else:1', `quay.io/charts/web@${one}`],
      tags: ['1'],
    });
    expect(more).toEqual([]);
  });

  it('is refused where two charts have one name and version', () => {
    const document = documentOf([], [chart('chart', 'web', '1.0+2', one), chart('chart', 'web', '1.0_2', two)]);
    expect(() => planLoad(document, { project: 'edge' })).toThrow(
      expect.objectContaining({
        code: 'REFERENCE_INVALID',
        message: expect.stringMatching(/'spectro-packs\/charts\/web:1.0_2' cannot be two: .*1{64}.*2{64}/) as string,
      }),
    );
  });

  it('is refused where an image would get the repository of a chart', () => {
    const document = documentOf([content('quay.io/charts/web:2', one)], [chart('chart', 'web', '1', two)]);
    expect(() => planLoad(document, { project: 'edge', packsProject: 'edge/quay.io' })).toThrow(
      "'chart web' and 'quay.io/charts/web' would both become 'edge/quay.io/charts/web'",
    );
  });

  it.each([
    ['Web', '1.0', 'upper-case letters in the name'],
    ['web/', '1.0', 'a name that is none'],
    ['../web', '1.0', 'a name that leaves the project'],
    ['web', '1.0 beta', 'a space in the version'],
    ['web', 'v'.repeat(129), 'a version that is too long'],
  ])('is refused for chart %s %s: %s', (name, version) => {
    const odd = { ...chart('chart', 'web', '1', one), name, version };
    expect(() => planLoad(documentOf([], [odd]), { project: 'edge' })).toThrow(
      expect.objectContaining({
        code: 'REFERENCE_INVALID',
        message: expect.stringContaining("has no place in project 'spectro-packs'") as string,
      }),
    );
  });

  it('names all that has no place in one error', () => {
    const long = `quay.io/${'x'.repeat(250)}:1`;
    const images = [
      content('my.host:5000/app:1', one),
      content('my.host-5000/app:2', two),
      content('quay.io/fine/fine:1', one),
      content(long, one),
    ];
    expect(() => planLoad(documentOf(images), { project: 'edge' })).toThrow(
      expect.objectContaining({
        code: 'REFERENCE_INVALID',
        message: "2 images or charts have no place in project 'edge'",
        failures: [
          expect.objectContaining({ message: expect.stringContaining('my.host-5000') as string }),
          expect.objectContaining({ message: expect.stringContaining('xxx') as string }),
        ],
      }),
    );
  });
});
