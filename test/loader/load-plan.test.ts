import { describe, expect, it } from 'vitest';

import type { BundleContent, BundleDocument } from '../../src/bundle/bundle-document.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { planLoad } from '../../src/loader/load-plan.ts';

const [one, two] = [digest('1'), digest('2')];

function digest(digit: string): `sha256:${string}` {
  return `sha256:${digit.repeat(64)}`;
}

function content(reference: string, of: `sha256:${string}`): BundleContent {
  return { reference, digest: of, mediaType: mediaTypes.ociManifest, size: 500, sources: [] };
}

function documentOf(images: readonly BundleContent[], charts: readonly BundleContent[] = []): BundleDocument {
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
  return planLoad(documentOf(images), 'edge').map(({ repository, tags, root }) => {
    return `${repository}:${tags.join(',')} ${root.digest === one ? 'one' : 'two'}`;
  });
}

describe('the plan of a load', () => {
  it('has images and then charts, in the order of the bundle', () => {
    const document = documentOf(
      [content('quay.io/b/b:1', two), content('docker.io/library/a:1', one)],
      [content('ghcr.io/charts/c:0.1.0', one)],
    );
    expect(planLoad(document, 'edge')).toEqual([
      {
        references: ['quay.io/b/b:1'],
        repository: 'edge/quay.io/b/b',
        tags: ['1'],
        root: { mediaType: mediaTypes.ociManifest, digest: two, size: 500 },
      },
      expect.objectContaining({ repository: 'edge/docker.io/library/a', tags: ['1'] }),
      expect.objectContaining({ repository: 'edge/ghcr.io/charts/c', tags: ['0.1.0'] }),
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
    expect(() => planLoad(documentOf(images), 'edge')).toThrow(
      expect.objectContaining({
        code: 'REFERENCE_INVALID',
        message:
          "'my.host-5000/app:2' has no place: 'my.host-5000/app' and 'my.host:5000/app' would both become 'edge/my.host-5000/app'",
      }),
    );
  });

  it('is refused where an image and a chart would get one tag', () => {
    const document = documentOf([content('quay.io/a/a:1', one)], [content('quay.io/a/a:1', two)]);
    expect(() => planLoad(document, 'edge')).toThrow(/'edge\/quay.io\/a\/a:1' cannot be two images: .*1{64}.*2{64}/);
  });

  it('names all that has no place in one error', () => {
    const long = `quay.io/${'x'.repeat(250)}:1`;
    const images = [
      content('my.host:5000/app:1', one),
      content('my.host-5000/app:2', two),
      content('quay.io/fine/fine:1', one),
      content(long, one),
    ];
    expect(() => planLoad(documentOf(images), 'edge')).toThrow(
      expect.objectContaining({
        code: 'REFERENCE_INVALID',
        message: "2 images have no place in project 'edge'",
        failures: [
          expect.objectContaining({ message: expect.stringContaining('my.host-5000') as string }),
          expect.objectContaining({ message: expect.stringContaining('xxx') as string }),
        ],
      }),
    );
  });
});
