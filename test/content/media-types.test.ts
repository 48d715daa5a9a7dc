import { describe, expect, it } from 'vitest';

import { isCompressed, isImageManifest, isIndex, isManifest, manifestAccept } from '../../src/content/media-types.ts';

describe('a media type', () => {
  it.each([
    ['application/vnd.oci.image.manifest.v1+json', 'manifest'],
    ['application/vnd.docker.distribution.manifest.v2+json', 'manifest'],
    ['application/vnd.oci.image.index.v1+json', 'index'],
    ['application/vnd.docker.distribution.manifest.list.v2+json', 'index'],
    ['application/vnd.docker.distribution.manifest.v1+prettyjws', 'blob'],
    ['application/vnd.oci.image.config.v1+json', 'blob'],
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'blob'],
  ])('%s is that of a %s', (mediaType, kind) => {
    expect([isImageManifest(mediaType), isIndex(mediaType), isManifest(mediaType)]).toEqual([
      kind === 'manifest',
      kind === 'index',
      kind !== 'blob',
    ]);
    expect(manifestAccept.includes(mediaType)).toBe(kind !== 'blob');
  });

  it.each([
    ['application/vnd.oci.image.layer.v1.tar+gzip', true],
    ['application/vnd.oci.image.layer.v1.tar+zstd', true],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', true],
    ['application/vnd.cncf.helm.chart.content.v1.tar+gzip', true],
    ['application/zip', true],
    ['application/gzip', true],
    ['application/x-xz', true],
    ['application/vnd.oci.image.layer.v1.tar', false],
    ['application/vnd.docker.image.rootfs.diff.tar', false],
    ['application/vnd.oci.image.config.v1+json', false],
    ['application/octet-stream', false],
    ['application/vnd.example.gzipper', false],
  ])('%s says whether the content is compressed: %s', (mediaType, expected) => {
    expect(isCompressed(mediaType)).toBe(expected);
  });
});
