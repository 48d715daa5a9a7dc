import { describe, expect, it } from 'vitest';

import { blobPath, encodeIndex, ociLayoutFile } from '../../src/bundle/image-layout.ts';
import { archiveFiles } from '../support/bundle-archive.ts';
import { everyKind } from '../support/bundles.ts';
import { image, sha256 } from '../support/graphs.ts';

describe('the layout in a bundle', () => {
  it('is marked as an OCI image layout', () => {
    expect(ociLayoutFile.path).toBe('oci-layout');
    expect(ociLayoutFile.bytes.toString()).toBe('{"imageLayoutVersion":"1.0.0"}');
  });

  it('names each image and chart by its reference', async () => {
    const { document } = await everyKind();
    const chart = image([], { artifactType: 'application/vnd.cncf.helm.config.v1+json' }).descriptor;
    const { digest, mediaType, size } = chart;
    const named = { kind: 'chart', name: 'app', version: '1.0.0' } as const;
    const reference = 'registry.example.com/charts/app:1.0.0';
    const withChart = { ...document, charts: [{ ...named, reference, digest, mediaType, size, sources: [] }] };
    const index = archiveFiles(withChart, [])[1];
    expect(encodeIndex(withChart).toString()).toBe(index?.content.toString());
    expect(encodeIndex({ ...document, images: [] }).toString()).toBe(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    );
  });

  it('has each blob under its digest', () => {
    expect(blobPath(sha256(''))).toBe('blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});
