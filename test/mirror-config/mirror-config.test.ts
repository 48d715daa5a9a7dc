import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { parse as parseToml } from 'smol-toml';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml, parseAllDocuments } from 'yaml';

import { bytesArtifact } from '../../src/artifact/file-artifact.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import { runInProcess } from '../cli/run-cli.ts';
import { build } from '../delta/world.ts';
import { planBundle, writeBundle } from '../support/bundles.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { blob, image } from '../support/graphs.ts';
import { expectError } from '../support/expect-error.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const content = image([blob('layer', 'application/vnd.oci.image.layer.v1.tar+gzip')]);
const harbor = ['--harbor', 'https://10.0.0.5:30003/'];

let folder: string;
let bundle: string;
let ca: string;
let caPath: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  bundle = await bundleOf(
    'docker.io/library/nginx:1.27',
    'gcr.io/org/app:1',
    'docker.io/org/x:1',
    '[fd00::1]:5000/a:1',
  );
  const authority = await CertificateAuthority.create();
  ca = authority.certificate;
  caPath = join(folder, 'ca.pem');
  await writeFile(caPath, ca);
  await authority.remove();
});

async function bundleOf(...references: readonly string[]): Promise<string> {
  const out = join(folder, `bundle-${references.length}`);
  return writeBundle(out, await planBundle(Object.fromEntries(references.map((reference) => [reference, content]))));
}

/** Every file below `out`, by path, but the list of them. */
async function readTree(out: string): Promise<Record<string, string>> {
  const entries = await readdir(out, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name !== 'mirror-config.sha256')
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path.slice(out.length + 1), await readFile(path, 'utf8')] as const)),
  );
}

let runs = 0;

async function configure(...args: readonly string[]): Promise<Record<string, string>> {
  const out = join(folder, `out-${++runs}`);
  const { exitCode, stderr } = await runInProcess(['mirror-config', bundle, '--out', out, ...args]);
  if (exitCode !== 0) throw new Error(stderr);
  return readTree(out);
}

describe('mirror-config', () => {
  it('writes a hosts.toml for each registry, with the CA beside it', async () => {
    const files = await configure(...harbor, '--ca-cert', caPath, '--format', 'containerd');
    expect(Object.keys(files).sort()).toEqual([
      'containerd/certs.d/[fd00::1]_5000_/ca.crt',
      'containerd/certs.d/[fd00::1]_5000_/hosts.toml',
      'containerd/certs.d/docker.io/ca.crt',
      'containerd/certs.d/docker.io/hosts.toml',
      'containerd/certs.d/gcr.io/ca.crt',
      'containerd/certs.d/gcr.io/hosts.toml',
    ]);
    expect(files['containerd/certs.d/gcr.io/ca.crt']).toBe(ca);
    expect(parseToml(files['containerd/certs.d/docker.io/hosts.toml'] ?? '')).toEqual({
      server: 'https://registry-1.docker.io',
      host: {
        'https://10.0.0.5:30003/v2/spectro-images/docker.io': {
          capabilities: ['pull', 'resolve'],
          override_path: true,
          ca: 'ca.crt',
        },
      },
    });
  });

  it('names repositories as load and as serve do, and keeps the order of the mirrors', async () => {
    const files = await configure(...harbor, '--project', 'p', '--serve', 'http://127.0.0.1:5000', '--insecure');
    const text = files['containerd/certs.d/[fd00::1]_5000_/hosts.toml'] ?? '';
    expect(text).toMatch(/p\/ipv6-fd00--1-5000"\][^]*127\.0\.0\.1:5000\/v2\/fd00-1-5000"\]/);
    expect(text.match(/skip_verify = true/g)).toHaveLength(1);
  });

  it('writes registries.yaml for K3s and RKE2, without a login', async () => {
    const files = await configure(...harbor, '--ca-cert', caPath, '--project', 'edge');
    for (const name of ['k3s', 'rke2']) {
      expect(parseYaml(files[`${name}/registries.yaml`] ?? '')).toEqual({
        mirrors: {
          '[fd00::1]:5000': {
            endpoint: ['https://10.0.0.5:30003'],
            rewrite: { '^(.*)$': 'edge/ipv6-fd00--1-5000/$1' },
          },
          'docker.io': { endpoint: ['https://10.0.0.5:30003'], rewrite: { '^(.*)$': 'edge/docker.io/$1' } },
          'gcr.io': { endpoint: ['https://10.0.0.5:30003'], rewrite: { '^(.*)$': 'edge/gcr.io/$1' } },
        },
        configs: { '10.0.0.5:30003': { tls: { ca_file: `/etc/rancher/${name}/edge-bundle-ca.crt` } } },
      });
      expect(files[`${name}/edge-bundle-ca.crt`]).toBe(ca);
    }
  });

  it('writes user data with mapping rules', async () => {
    const files = await configure(...harbor, '--format', 'user-data');
    expect(files['user-data.yaml']?.startsWith('#cloud-config\n')).toBe(true);
    expect(parseYaml(files['user-data.yaml'] ?? '')).toEqual({
      stylus: {
        externalRegistries: {
          registryMappingRules: {
            '[fd00::1]:5000': '10.0.0.5:30003/spectro-images/ipv6-fd00--1-5000',
            'docker.io': '10.0.0.5:30003/spectro-images/docker.io',
            'gcr.io': '10.0.0.5:30003/spectro-images/gcr.io',
          },
        },
      },
    });
  });

  it('labels the namespaces of what was left out, and says which are not known', async () => {
    const resolution = join(folder, 'resolve.json');
    const excluded = [
      { reference: 'quay.io/a/b:1', namespaces: ['web', 'monitoring'] },
      { reference: 'quay.io/a/c:1', namespaces: ['web'] },
      { reference: 'quay.io/a/d:1', namespaces: [] },
    ];
    await writeFile(resolution, JSON.stringify({ images: [], excluded }));
    const out = join(folder, 'labelled');
    const run = await runInProcess([
      ...['mirror-config', bundle, '--format', 'namespaces', '--resolution', resolution],
      ...['--out', out, '--output', 'json'],
    ]);
    expect(run.stderr).toContain('quay.io/a/d:1');
    const document = documentSchemas['mirror-config'].parse(JSON.parse(run.stdout));
    expect(document).toMatchObject({ files: ['namespaces.yaml'], namespaces: ['monitoring', 'web'] });
    const text = await readFile(join(out, 'namespaces.yaml'), 'utf8');
    expect(parseAllDocuments(text).map((part) => part.toJS() as unknown)).toEqual(
      ['monitoring', 'web'].map((name) => ({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name, labels: { 'stylus.io/imageswap': 'disable' } },
      })),
    );
  });

  it('takes what resolve writes', async () => {
    const pack = 'pack: {namespace: shop, content: {images: [{image: quay.io/a/b:1}, {image: quay.io/a/c:1}]}}';
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'edge-web' },
      spec: { containers: [{ name: 'c', image: 'quay.io/a/b:1' }] },
    });
    const profile = {
      metadata: { name: 'p' },
      spec: {
        template: {
          type: 'add-on',
          packs: [
            {
              name: 'web',
              type: 'manifest',
              layer: 'addon',
              values: pack,
              manifests: [{ name: 'm', content: manifest }],
            },
          ],
        },
      },
    };
    await writeFile(join(folder, 'profile.json'), JSON.stringify(profile));
    const resolved = await runInProcess([
      ...['resolve', join(folder, 'profile.json'), '--exclude', 'quay.io/a/*', '--output', 'json'],
    ]);
    expect(resolved.stderr).toBe('');
    await writeFile(join(folder, 'resolved.json'), resolved.stdout);
    const files = await configure('--format', 'namespaces', '--resolution', join(folder, 'resolved.json'));
    expect(parseYaml(files['namespaces.yaml'] ?? '')).toMatchObject({ metadata: { name: 'edge-web' } });
  });

  it('knows from the bundle alone what was left out of it, and adds what --resolution says', async () => {
    const leftOut = [
      { reference: 'quay.io/a/z:1', pattern: 'quay.io/*', namespaces: ['web', 'monitoring'] },
      { reference: 'quay.io/a/b:1', pattern: 'quay.io/*', namespaces: ['web', '{{.spectro.var.space}}'] },
      { reference: 'quay.io/a/c:1', pattern: 'quay.io/*', namespaces: [] },
    ];
    const world = { images: { 'docker.io/library/nginx:1.27': content } };
    const out = join(folder, 'recorded');
    const built = await build(world, out, { leftOut });
    const again = await build(world, await temporaryFolder(), { leftOut: leftOut.toReversed() });
    expect(again.bundle.digest).toBe(built.bundle.digest);
    expect((await build(world, out)).bundle.digest).not.toBe(built.bundle.digest);
    // What any tool sees in it: the layer of the artifact is the list.
    const tar = runProgram('tar', ['--zstd', '-xO', 'bundle.json'], { input: await readFile(built.bundle.path) });
    const { files } = JSON.parse(tar.toString()) as { files: { name: string; content: { digest: string } }[] };
    expect(files.map(({ name }) => name)).toEqual(['excluded-images.json']);
    const path = `blobs/sha256/${files[0]?.content.digest.slice('sha256:'.length) ?? ''}`;
    const list = runProgram('tar', ['--zstd', '-xO', path], { input: await readFile(built.bundle.path) });
    expect(JSON.parse(list.toString())).toEqual({
      excluded: [
        { reference: 'quay.io/a/b:1', pattern: 'quay.io/*', namespaces: ['web'] },
        { reference: 'quay.io/a/c:1', pattern: 'quay.io/*', namespaces: [] },
        { reference: 'quay.io/a/z:1', pattern: 'quay.io/*', namespaces: ['monitoring', 'web'] },
      ],
    });
    const resolution = join(folder, 'more.json');
    await writeFile(resolution, JSON.stringify({ excluded: [{ reference: 'x/y:1', namespaces: ['backup'] }] }));
    const names = async (...args: readonly string[]): Promise<{ names: unknown; stderr: string }> => {
      const command = ['mirror-config', built.bundle.path, '--format', 'namespaces', '--out', out, '--output', 'json'];
      const { stdout, stderr } = await runInProcess([...command, ...args]);
      return { names: documentSchemas['mirror-config'].parse(JSON.parse(stdout)).namespaces, stderr };
    };
    const alone = await names();
    expect(alone.names).toEqual(['monitoring', 'web']);
    expect(alone.stderr).toContain('quay.io/a/c:1 was left out, and its namespace is not known');
    expect((await names('--resolution', resolution)).names).toEqual(['backup', 'monitoring', 'web']);
  });

  it('does not take a file of the bundle for the list that is another one', async () => {
    const world = { images: { 'docker.io/library/nginx:1.27': content } };
    const file = bytesArtifact('excluded-images.json', Buffer.from('{"excluded":[]}'));
    await expectError('CONFIG_INVALID', 'excluded-images.json', () => build(world, folder, { files: [file] }));
    const leftOut = [{ reference: 'a\nb', namespaces: [] }];
    const { bundle: hostile } = await build(world, await temporaryFolder(), { leftOut });
    const args = ['mirror-config', hostile.path, '--format', 'namespaces', '--out', join(folder, 'never')];
    const { exitCode, stderr } = await runInProcess(args);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining("'excluded-images.json' in the bundle: at 'excluded.0.reference'") as string,
    });
  });

  it('writes nothing where nothing was left out', async () => {
    expect(await configure('--format', 'namespaces')).toEqual({});
  });

  it('writes the same files again', async () => {
    const args = [...harbor, '--ca-cert', caPath, '--serve', 'http://127.0.0.1:5000'];
    expect(await configure(...args)).toEqual(await configure(...args));
  });

  it.each([
    [2, 'no mirror is given', []],
    [2, '--harbor: expected https', ['--harbor', 'https://h/path']],
    [1, 'is not a registry', ['--harbor', 'https://a"b\\c']],
    [2, 'no name of a project', [...harbor, '--project', 'a"]\nx']],
    [1, 'no certificate', [...harbor, '--ca-cert', 'package.json']],
    [1, 'is not JSON', [...harbor, '--resolution', 'README.md']],
    [1, 'excluded', [...harbor, '--resolution', 'package.json']],
  ])('fails with %i and "%s"', async (code, message, args) => {
    const { exitCode, stderr } = await runInProcess(['mirror-config', bundle, '--out', join(folder, 'never'), ...args]);
    expect({ exitCode, stderr }).toEqual({ exitCode: code, stderr: expect.stringContaining(message) as string });
  });

  it('does not take a namespace that could be something else', async () => {
    const resolution = join(folder, 'hostile.json');
    await writeFile(resolution, JSON.stringify({ excluded: [{ reference: 'a', namespaces: ['x\nkind: Secret'] }] }));
    const { exitCode, stderr } = await runInProcess(['mirror-config', bundle, ...harbor, '--resolution', resolution]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('excluded.0.namespaces.0');
  });

  it('refuses two registries that would be one', async () => {
    const both = await bundleOf('my.host:5000/a:1', 'my.host-5000/a:1');
    const { exitCode, stderr } = await runInProcess(['mirror-config', both, ...harbor]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("'my.host-5000' and 'my.host:5000' would both be");
  });
});
