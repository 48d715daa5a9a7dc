import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { runInProcess, startCli } from '../cli/run-cli.ts';
import { planBundle, writeBundle } from '../support/bundles.ts';
import { canMount, canRunContainerd, Containerd } from '../support/containerd.ts';
import { blob, type Content, image, index, noise, sha256 } from '../support/graphs.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { tarOf } from '../support/layers.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip';
const layer = (seed: string): Content => blob(noise(70_000, seed), gzipLayer);
const base = layer('base');
const pinned = image([base, layer('pinned')]);

/** One that can be unpacked: its configuration says what its layer is. */
function unpackable(): Content {
  const tar = tarOf([{ path: 'hello.txt', content: 'hello' }]);
  const only = blob(gzipSync(tar), gzipLayer);
  const rootfs = { type: 'layers', diff_ids: [sha256(tar)] };
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const config = blob(
    JSON.stringify({ architecture, os: 'linux', config: {}, rootfs }),
    'application/vnd.oci.image.config.v1+json',
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const document = { schemaVersion: 2, mediaType, config: config.descriptor, layers: [only.descriptor] };
  return { ...blob(JSON.stringify(document), mediaType), children: [config, only] };
}

/** Harbor's own among them: it cannot come from Harbor the first time. */
const images: Readonly<Record<string, Content>> = {
  'docker.io/library/app:1.0': image([base, layer('app')]),
  'docker.io/goharbor/harbor-core:v2.15.2': image([base, layer('core')]),
  'registry.invalid/org/multi:2': index([image([base, layer('amd64')]), image([layer('arm64')])]),
  'localhost:5000/team/tool:1': image([layer('tool')]),
  'quay.invalid/org/hello:1': unpackable(),
  [`gcr.invalid/org/pinned@${pinned.descriptor.digest}`]: pinned,
};

describe.skipIf(!canRunContainerd)('containerd, with the files of mirror-config', () => {
  let folder: string;
  let bundle: string;
  let containerd: Containerd;
  let harbor: HarborFront;
  let server: ReturnType<typeof startCli>;
  let serverUrl: string;

  beforeAll(async () => {
    [folder, containerd, harbor] = await Promise.all([temporaryFolder(), Containerd.start(), HarborFront.start()]);
    bundle = await writeBundle(folder, await planBundle(images));
    server = startCli(['serve', bundle, '--listen', '127.0.0.1:0']);
    [serverUrl = ''] = await server.waitFor(/http:\/\/127\.0\.0\.1:\d+/);
    await writeFile(join(folder, 'password'), harborAdmin.password);
    const login = ['--username', harborAdmin.name, '--password-file', join(folder, 'password')];
    const target = ['--harbor', harbor.url, '--project', 'edge-images', '--ca-cert', harbor.caPath];
    const { exitCode, stderr } = await runInProcess(['load', bundle, ...target, ...login]);
    if (exitCode !== 0) throw new Error(stderr);
  });

  afterAll(async () => {
    server.process.kill();
    await Promise.all([server.result(), containerd.stop(), harbor.close()]);
  });

  async function configure(name: string, ...options: readonly string[]): Promise<string> {
    const out = join(folder, name);
    const { exitCode, stderr } = await runInProcess([
      ...['mirror-config', bundle, '--format', 'containerd', '--out', out],
      ...options,
    ]);
    if (exitCode !== 0) throw new Error(stderr);
    return join(out, 'containerd', 'certs.d');
  }

  async function pullAll(hostsDirectory: string, login?: typeof harborAdmin): Promise<Record<string, string>> {
    const pulled: Record<string, string> = {};
    for (const reference of Object.keys(images)) {
      pulled[reference] = await containerd.fetch(reference, { hostsDirectory, login });
    }
    return pulled;
  }

  const expected = Object.fromEntries(
    Object.entries(images).map(([reference, { descriptor }]) => [reference, descriptor.digest]),
  );

  it('pulls every image by its original name from serve', async () => {
    expect(await pullAll(await configure('serve', '--serve', serverUrl))).toEqual(expected);
  });

  it('pulls every image by its original name from Harbor, over TLS', async () => {
    const target = ['--harbor', harbor.url, '--project', 'edge-images', '--ca-cert', harbor.caPath];
    const before = harbor.count('GET', /^\/v2\/edge-images\/.*\/blobs\//);
    expect(await pullAll(await configure('harbor', ...target), harborAdmin)).toEqual(expected);
    expect(harbor.count('GET', /^\/v2\/edge-images\/.*\/blobs\//)).toBeGreaterThan(before);
  });

  it.skipIf(!canMount)('unpacks an image that it pulled by its original name, from serve and from Harbor', async () => {
    const target = ['--harbor', harbor.url, '--project', 'edge-images', '--ca-cert', harbor.caPath];
    const name = 'quay.invalid/org/hello:1';
    const fromServe = await configure('unpack-serve', '--serve', serverUrl);
    expect(await containerd.pull(name, { hostsDirectory: fromServe })).toBe(expected[name]);
    const fromHarbor = await configure('unpack-harbor', ...target);
    expect(await containerd.pull(name, { hostsDirectory: fromHarbor, login: harborAdmin })).toBe(expected[name]);
  });

  it('pulls from serve until Harbor is up, and from Harbor from then on, with one configuration', async () => {
    const target = ['--harbor', harbor.url, '--project', 'edge-images', '--ca-cert', harbor.caPath];
    const hosts = await configure('both', ...target, '--serve', serverUrl);
    await harbor.pause();
    expect(await pullAll(hosts, harborAdmin)).toEqual(expected);
    await harbor.resume();
    server.process.kill();
    await server.result();
    expect(await pullAll(hosts, harborAdmin)).toEqual(expected);
  });
});
