import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { LayoutContent } from '../../src/serve/layout-content.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { sha256 } from '../support/graphs.ts';
import { makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { documentOf, serve, type Served, serveFolder } from './served.ts';

const run = promisify(execFile);

/** skopeo, without the machine's policy. It would compress uncompressed layers if it were not told to keep digests. */
async function skopeo(...args: string[]): Promise<string> {
  const { stdout } = await run('skopeo', ['--insecure-policy', ...args], { maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

let folder: string;
let bundle: Served;
let registry: Served;
let root: Descriptor;
let single: Descriptor;

beforeAll(async () => {
  folder = await memoryFolder();
  const store = new MemoryStore();
  const base = await makeLayer(store, tarOf([{ path: 'etc/os-release', content: 'ID=test\n' }]));
  const [zstd, plain] = [
    await makeLayer(store, tarOf([{ path: 'app', content: 'x'.repeat(100_000) }]), { compression: 'zstd' }),
    await makeLayer(store, tarOf([{ path: 'plain', content: 'y'.repeat(10_000) }]), { compression: 'none' }),
  ];
  single = await makeImage(store, { layers: [base, zstd] });
  const arm = await makeImage(store, { layers: [base, plain], platform: { os: 'linux', architecture: 'arm64' } });
  root = await makeIndex(store, [single, arm]);
  const images = {
    'docker.io/library/app:multi': { descriptor: root, bytes: Buffer.alloc(0), children: [] },
    'localhost:5000/app:single': { descriptor: single, bytes: Buffer.alloc(0), children: [] },
  };
  bundle = await serve(new BundleContent(Object.assign(store, { document: documentOf(images) })));
  registry = await serveFolder(join(folder, 'registry'));
});
afterAll(async () => {
  await Promise.all([bundle.close(), registry.close()]);
});

describe('skopeo', () => {
  const image = (served: Served, name: string): string => `docker://${served.host}/${name}`;

  it('pulls an image out of a bundle', async () => {
    const target = join(folder, 'pulled');
    await skopeo(
      'copy',
      '--preserve-digests',
      '--src-tls-verify=false',
      image(bundle, 'localhost-5000/app:single'),
      `oci:${target}:app`,
    );
    expect(sha256(await skopeo('inspect', '--raw', `oci:${target}:app`))).toBe(single.digest);
  });

  it('lists tags and shows manifests, byte by byte', async () => {
    const tags = await skopeo('list-tags', '--tls-verify=false', image(bundle, 'docker.io/library/app'));
    expect((JSON.parse(tags) as { Tags: string[] }).Tags).toEqual(['multi']);
    const raw = await skopeo('inspect', '--raw', '--tls-verify=false', image(bundle, 'docker.io/library/app:multi'));
    expect(sha256(raw)).toBe(root.digest);
  });

  it('copies an index with all its images from a bundle into a folder, and out again', async () => {
    const [from, to] = [image(bundle, 'docker.io/library/app:multi'), image(registry, 'team/app:v1')];
    await skopeo('copy', '--all', '--preserve-digests', '--src-tls-verify=false', '--dest-tls-verify=false', from, to);
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      to,
      image(registry, 'copy:v1'),
    );
    for (const name of ['team/app:v1', 'copy:v1', `team/app@${single.digest}`, `copy@${single.digest}`]) {
      const raw = await skopeo('inspect', '--raw', '--tls-verify=false', image(registry, name));
      expect(sha256(raw)).toBe(name.includes('@') ? single.digest : root.digest);
    }
    expect(registry.errors).toEqual([]);
  });

  it('reads the folder itself, which stays an OCI image layout', async () => {
    const layout = `oci:${join(folder, 'registry')}:team/app:v1`;
    expect(sha256(await skopeo('inspect', '--raw', layout))).toBe(root.digest);
    await skopeo('copy', '--all', '--preserve-digests', layout, `oci:${join(folder, 'unpacked')}:v1`);
  });

  it('writes a folder that we serve then, under the name of the folder', async () => {
    const path = join(folder, 'by-skopeo');
    await skopeo(
      'copy',
      '--all',
      '--preserve-digests',
      '--src-tls-verify=false',
      image(bundle, 'docker.io/library/app:multi'),
      `oci:${path}:v7`,
    );
    const served = await serve(await LayoutContent.open(path, { writable: false }));
    try {
      expect(await (await fetch(`${served.url}/v2/_catalog`)).json()).toEqual({ repositories: ['by-skopeo'] });
      const raw = await skopeo('inspect', '--raw', '--tls-verify=false', image(served, 'by-skopeo:v7'));
      expect(sha256(raw)).toBe(root.digest);
      // What another program adds while the server runs appears at once.
      await skopeo(
        'copy',
        '--preserve-digests',
        '--src-tls-verify=false',
        image(bundle, 'localhost-5000/app:single'),
        `oci:${path}:team/new:v8`,
      );
      const added = await skopeo('inspect', '--raw', '--tls-verify=false', image(served, 'team/new:v8'));
      expect(sha256(added)).toBe(single.digest);
    } finally {
      await served.close();
    }
  });

  it('pulls and pushes over TLS, with an authority of its own', async () => {
    const authority = await CertificateAuthority.create();
    const { certificate, key } = await authority.issue(['127.0.0.1']);
    const certs = join(folder, 'certs');
    await mkdir(certs);
    await writeFile(join(certs, 'ca.crt'), authority.certificate);
    const secure = await serveFolder(join(folder, 'secure'), { tls: { cert: certificate, key } });
    try {
      expect(secure.url).toMatch(/^https:/);
      const target = image(secure, 'app:v1');
      const from = image(bundle, 'docker.io/library/app:multi');
      await skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        '--src-tls-verify=false',
        `--dest-cert-dir=${certs}`,
        from,
        target,
      );
      await skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        `--src-cert-dir=${certs}`,
        target,
        `oci:${join(folder, 'tls')}:v1`,
      );
      expect(sha256(await skopeo('inspect', '--raw', `oci:${join(folder, 'tls')}:v1`))).toBe(root.digest);
      await expect(skopeo('inspect', '--raw', target)).rejects.toThrow(/x509|certificate/);
    } finally {
      await secure.close();
      await authority.remove();
    }
  });
});
