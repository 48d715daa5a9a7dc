import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { documentSchemas, type LintDocument } from '../../src/report/documents.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { startEveryImage } from '../support/every-image.ts';
import { freePort } from '../support/free-port.ts';
import { blob, contentsOf, image, noise, pushAll } from '../support/graphs.ts';
import { helmPath } from '../support/helm.ts';
import {
  declaring,
  manifestPack,
  podTemplate,
  type ProfilePackFixture,
  writePack,
  writeProfile,
} from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type CliResult, runInProcess } from './run-cli.ts';

const pinned = `x.io/a@sha256:${'a'.repeat(64)}`;
const layer = (seed: string, size = 500): ReturnType<typeof blob> =>
  blob(noise(size, seed), 'application/vnd.oci.image.layer.v1.tar');
const shared = layer('shared', 40_000);
const one = image([shared, layer('one')]);
const two = image([shared, layer('two')]);

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

async function lint(args: readonly string[]): Promise<CliResult> {
  const environment = {
    EDGE_BUNDLE_HELM: helmPath,
    EDGE_BUNDLE_CACHE_DIR: join(folder, 'cache'),
    PATH: process.env.PATH ?? '',
  };
  return runInProcess(['lint', ...args], { environment });
}

async function findings(args: readonly string[]): Promise<LintDocument> {
  const { stdout, stderr } = await lint([...args, '--output', 'json']);
  if (stdout === '') throw new Error(stderr);
  return documentSchemas.lint.parse(JSON.parse(stdout));
}

const rulesOf = ({ findings: all }: LintDocument): string[] => all.map(({ rule, severity }) => `${severity} ${rule}`);

const kubernetes: ProfilePackFixture = {
  name: 'k3s',
  layer: 'k8s',
  values: 'cluster: {config: {kube-apiserver-arg: [enable-admission-plugins=NodeRestriction]}}\n',
};
const storage: ProfilePackFixture = { name: 'storage', layer: 'csi', type: 'manifest' };
const harbor = (size: unknown = '300Gi', certs: readonly object[] = []): ProfilePackFixture => ({
  name: 'harbor',
  type: 'manifest',
  values: JSON.stringify({ 'harbor-config': { auth: { certs }, storage: { registry: size } } }),
});

const profile = (...packs: readonly ProfilePackFixture[]): string => writeProfile(folder, { type: 'cluster', packs });
const offline = (...packs: readonly ProfilePackFixture[]) => findings([profile(...packs), '--check=false']);

describe('lint', () => {
  it('finds nothing in a profile that has all that a local registry needs', async () => {
    const sound = profile(kubernetes, storage, harbor(), {
      ...manifestPack(podTemplate(pinned)),
      values: declaring(pinned),
    });
    expect(await findings([sound, '--check=false'])).toEqual({ findings: [], errors: 0, warnings: 0 });
    const { exitCode, stdout } = await lint([sound, '--check=false']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '0 errors, 0 warnings\n' });
  });

  it('wants a storage layer and a local registry, of a cluster and not of an add-on', async () => {
    expect(rulesOf(await offline(kubernetes))).toEqual(['error storage-layer', 'error local-registry']);
    expect(
      rulesOf(
        await findings([writeProfile(folder, { packs: [{ name: 'empty', type: 'manifest' }] }), '--check=false']),
      ),
    ).toEqual([]);
  });

  it('takes Registry Connect for a local registry', async () => {
    const connect = {
      name: 'connect',
      type: 'manifest',
      values: 'inClusterRegistry: {projects: {images: spectro-images}}\n',
    };
    expect(rulesOf(await offline(kubernetes, storage, connect))).toEqual([]);
  });

  it.each([
    ['k3s and RKE2', 'cluster: {config: {kube-apiserver-arg: ["enable-admission-plugins=A,AlwaysPullImages"]}}'],
    [
      'kubeadm',
      'cluster: {config: {clusterConfiguration: {apiServer: {extraArgs: {enable-admission-plugins: "A,AlwaysPullImages"}}}}}',
    ],
  ])('finds AlwaysPullImages where %s has it', async (_name, values) => {
    const document = await offline({ ...kubernetes, values }, storage, harbor());
    expect(rulesOf(document)).toEqual(['error always-pull-images']);
    expect(document.findings[0]?.path).toMatch(/^spec\.template\.packs\[0\]\.values#cluster\.config\./);
    expect((await lint([profile(kubernetes, storage, harbor()), '--check=false'])).exitCode).toBe(0);
  });

  it('sees an add-on profile and the cluster profile as one cluster', async () => {
    const cluster = writeProfile(folder, { name: 'cluster', type: 'infra', packs: [kubernetes, storage] });
    const addOn = writeProfile(folder, { name: 'add-on', packs: [harbor()] });
    expect(rulesOf(await findings([cluster, addOn, '--check=false']))).toEqual([]);
  });

  it.each([
    ['20GB', 'error registry-storage'],
    [undefined, 'error registry-storage'],
    ['20Gi', 'warning registry-storage'],
  ])('judges %s of storage for the registry without sizes', async (size, expected) => {
    const pack = harbor(size ?? null);
    expect(rulesOf(await offline(kubernetes, storage, pack))).toEqual([expected]);
  });

  it('finds a certificate that does not name the registry, and one that is none', async () => {
    const authority = await CertificateAuthority.create();
    const fits = await authority.issue(['spectro.registry.local', '10.0.0.1']);
    const other = await authority.issue(['harbor.example']);
    await authority.remove();
    const certs = [fits.certificate, other.certificate, 'no certificate', ''].map((crt) => ({
      name: 'c',
      crt,
      key: '',
    }));
    const document = await offline(kubernetes, storage, harbor('300Gi', certs));
    expect(document.findings.map(({ rule, path }) => `${rule} ${String(path)}`)).toEqual(
      [1, 2].map(
        (index) => `registry-certificate spec.template.packs[2].values#harbor-config.auth.certs[${index}].crt`,
      ),
    );
  });

  it('tells which images the content tags miss, with the entries to add', async () => {
    const pack = {
      ...manifestPack(`${podTemplate(pinned)}---\n${podTemplate('x.io/b:2')}`),
      values: declaring(pinned),
    };
    const document = await offline(kubernetes, storage, harbor(), pack);
    const finding = document.findings.find(({ rule }) => rule === 'content-tags');
    expect(finding).toMatchObject({ severity: 'warning', pack: 'apps' });
    expect(parse(finding?.patch ?? '')).toEqual({ pack: { content: { images: [{ image: 'x.io/b:2' }] } } });
  });

  it('tells tags that move, latest above all, and no digests', async () => {
    const values = declaring('busybox', 'x.io/b:latest', 'x.io/b:2', pinned);
    const document = await offline(kubernetes, storage, harbor(), { name: 'tags', type: 'manifest', values });
    expect(
      document.findings.map(({ rule, severity, message }) => `${severity} ${rule} ${message.split(/:? /)[0] ?? ''}`),
    ).toEqual([
      'warning latest-tag docker.io/library/busybox:latest',
      'warning latest-tag x.io/b:latest',
      'info no-digest x.io/b:2',
    ]);
  });

  it('makes the Namespace for an image that is left out', async () => {
    const pod = podTemplate(pinned).replace('metadata:', 'metadata:\n  namespace: shop');
    const document = await findings([
      ...[profile(kubernetes, storage, harbor(), { ...manifestPack(pod), values: declaring(pinned) }), '--check=false'],
      ...['--exclude', 'x.io/*'],
    ]);
    const finding = document.findings.find(({ rule }) => rule === 'excluded-image');
    expect(parse(finding?.patch ?? '')).toEqual({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', labels: { 'stylus.io/imageswap': 'disable' } },
    });
  });

  it('passes on what could not be rendered as a warning', async () => {
    const broken = writePack(folder, { charts: { app: { 'templates/a.yaml': '{{ fail "no licence" }}' } } });
    const document = await findings([broken, '--check=false']);
    expect(document.findings).toMatchObject([{ rule: 'unrendered', severity: 'warning', pack: 'web' }]);
    expect(document.findings[0]?.message).toContain('no licence');
  });

  it('ends with 1 where there are errors, and writes them all, the worst first', async () => {
    const { exitCode, stdout, stderr } = await lint([
      profile(kubernetes, manifestPack(podTemplate('busybox'))),
      '--check=false',
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('the profiles have 2 errors');
    expect(
      stdout
        .split('\n')
        .filter((line) => /^\w+: /.test(line))
        .map((line) => line.replace(/^(\w+): .*\[(.+)\]$/, '$1 $2')),
    ).toEqual(['error storage-layer', 'error local-registry', 'warning content-tags', 'warning latest-tag']);
    expect(stdout).toMatch(/2 errors, 2 warnings\n$/);
  });
});

describe('lint with registries', () => {
  let registry: DockerRegistry;

  beforeAll(async () => {
    registry = await startDockerRegistry();
    const client = new RegistryClient({ plainHttp: 'all' });
    for (const [name, content] of [
      ['one', one],
      ['two', two],
    ] as const) {
      const repository = client.repository(registry.host, name);
      await pushAll(repository, content);
      await repository.tag(content.descriptor, '1');
    }
    const arm = image([layer('arm')]);
    const config = blob(
      JSON.stringify({ os: 'linux', architecture: 'arm64' }),
      'application/vnd.oci.image.config.v1+json',
    );
    const manifest = blob(
      arm.bytes.toString('utf8').replace(/"config":\{[^}]*\}/, `"config":${JSON.stringify(config.descriptor)}`),
      arm.descriptor.mediaType,
    );
    const repository = client.repository(registry.host, 'arm');
    await pushAll(repository, ...arm.children, config, manifest);
    await repository.tag(manifest.descriptor, '1');
    await client.close();
  });

  afterAll(() => registry.stop());

  const checked = (size: string, ...names: readonly string[]) => {
    const values = declaring(...names);
    return findings([
      profile(kubernetes, storage, harbor(size), { name: 'p', type: 'manifest', values }),
      '--plain-http',
    ]);
  };

  it('counts each blob of all images once, and wants a fifth more', async () => {
    const bytes = contentsOf(one, two).reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const images = [`${registry.host}/one:1`, `${registry.host}/two:1`];
    const enough = await checked(String(Math.ceil(bytes * 1.2)), ...images);
    expect(enough.bytes).toBe(bytes);
    expect(rulesOf(enough).filter((rule) => !rule.startsWith('info'))).toEqual([]);
    const little = await checked(String(Math.floor(bytes * 1.2) - 1), ...images);
    expect(rulesOf(little)).toContain('error registry-storage');
  });

  it('finds images for other architectures, and those that are not there', async () => {
    const document = await checked('300Gi', `${registry.host}/arm:1`, `${registry.host}/none:1`);
    const worst = document.findings.filter(({ severity }) => severity === 'error');
    expect(worst.map(({ rule, message }) => `${rule} ${message.split(' ')[0] ?? ''}`)).toEqual([
      `architecture ${registry.host}/arm:1`,
      `missing-image ${registry.host}/none:1`,
    ]);
  });

  it('does not hold what is only mentioned, and not there, against the profile', async () => {
    const pod = `${podTemplate(`${registry.host}/one:1`)}      args: ["--image=${registry.host}/none:1"]\n`;
    const document = await findings([
      profile(kubernetes, storage, harbor(), { ...manifestPack(pod), values: declaring(`${registry.host}/one:1`) }),
      '--plain-http',
    ]);
    expect(document.errors).toBe(0);
    expect(rulesOf(document)).toContain('info missing-image');
  });

  it('warns of images whose registry is not reached, and does not call them missing', async () => {
    const document = await checked('20Gi', `127.0.0.1:${await freePort()}/a:1`);
    expect(rulesOf(document).filter((rule) => !rule.startsWith('info'))).toEqual([
      'warning registry-storage',
      'warning unknown-image',
    ]);
  });
});

const shared_ = fileURLToPath(new URL('../../../shared', import.meta.url));
const hasProfiles = existsSync(shared_);
if (!hasProfiles) console.warn('skipped: the real profiles are not beside this project (../shared)');

describe.skipIf(!hasProfiles)('lint on a real profile', () => {
  const args = (): string[] => [
    join(shared_, 'profiles', 'edge-store-export.json'),
    ...['--pack-dir', join(shared_, 'packs'), '--allow-unrendered'],
  ];

  it('finds both broken prerequisites and what the content tags miss, with the sizes of registries', async () => {
    // 43 images of 1 GiB, which is too much for 20Gi; the one with a digest cannot be made up.
    const registry = await startEveryImage({ layerBytes: 1024 ** 3 });
    mkdirSync(join(folder, 'hosts', '_default'), { recursive: true });
    const mirror = `[host."${registry.url}"]\ncapabilities = ["pull", "resolve"]\n`;
    writeFileSync(join(folder, 'hosts', '_default', 'hosts.toml'), mirror);
    const exclude = ['--exclude', 'quay.io/prometheus/node-exporter'];
    const document = await findings([...args(), '--hosts-dir', join(folder, 'hosts'), ...exclude]);
    await registry.stop();
    const errors = document.findings.filter(({ severity }) => severity === 'error');
    expect(errors.map(({ rule, pack, path }) => [rule, pack, path?.replace(/^.*values#/, '')])).toEqual([
      ['registry-storage', 'harbor-edge-native-config', 'harbor-config.storage.registry'],
      ['always-pull-images', 'edge-k3s', 'cluster.config.kube-apiserver-arg[5]'],
    ]);
    expect(errors[0]?.message).toContain('20Gi');
    expect(Math.floor((document.bytes ?? 0) / 1024 ** 3)).toBe(43);
    expect(errors[0]?.message).toContain('44Gi');
    const tags = document.findings.filter(({ rule }) => rule === 'content-tags');
    expect(tags.map(({ pack }) => pack)).toEqual(['kyverno', 'store-apps']);
    expect(tags[0]?.message).toContain('docker.io/bitnami/kubectl:1.28.5, docker.io/library/busybox:1.35');
    expect(tags[1]?.message).toContain('docker.io/library/nginx:1.27');
  });

  it('finds both without a network too', async () => {
    const document = await findings([...args(), '--check=false']);
    expect(rulesOf(document).filter((rule) => /always-pull|storage/.test(rule))).toEqual([
      'warning registry-storage',
      'error always-pull-images',
    ]);
  });
});
