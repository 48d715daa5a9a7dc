import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { profileJsonSchema } from '../../src/profile/profile-document.ts';
import { readProfile } from '../../src/profile/profile.ts';
import { resolveImages } from '../../src/profile/resolve-images.ts';

const manifest = (name: string) => fileURLToPath(new URL(`../../manifests/${name}`, import.meta.url));

describe('manifests/', () => {
  it('has the JSON Schema of what is read', async () => {
    const committed: unknown = JSON.parse(await readFile(manifest('profile.schema.json'), 'utf8'));
    expect(committed).toEqual(profileJsonSchema());
  });

  it('has examples that resolve completely', async () => {
    const files = ['example-profile.yaml', 'images.txt'].map(manifest);
    const { images, unrendered } = resolveImages(await Promise.all(files.map(readProfile)));
    expect(images.map(({ reference }) => reference)).toEqual([
      'docker.io/rancher/mirrored-pause:3.6',
      'docker.io/rancher/mirrored-coredns-coredns:1.11.3',
      'registry.k8s.io/sig-storage/nfsplugin:v4.13.2',
      'registry.k8s.io/sig-storage/csi-provisioner:v6.1.0',
      'registry.k8s.io/sig-storage/livenessprobe:v2.17.0',
      'registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.15.0',
      'docker.io/library/alpine:3.21',
      'registry.k8s.io/pause:3.10',
      'docker.io/library/busybox:1.37',
      'docker.io/library/nginx:1.27',
    ]);
    expect(unrendered).toEqual([]);
  });
});
