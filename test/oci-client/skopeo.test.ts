import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collectGraph } from '../../src/content/graph.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { noise, sha256 } from '../support/graphs.ts';
import { makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { readAll } from '../support/store-contract.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const run = promisify(execFile);
const password = 'correct horse battery';

describe('a registry behind TLS of its own CA, with token authentication', () => {
  let folder: string;
  let authority: CertificateAuthority;
  let tokens: TokenServer;
  let registry: DockerRegistry;
  let client: RegistryClient;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edge-bundle-skopeo-'));
    authority = await CertificateAuthority.create();
    const tls = await authority.issue(['127.0.0.1']);
    tokens = await startTokenServer({ tls, users: { robot: password } });
    registry = await startDockerRegistry({ tls, tokenAuth: tokens });
    client = new RegistryClient({
      ca: authority.certificate,
      credentials: new FixedCredentials(registry.host, { username: 'robot', password }),
    });
    await mkdir(join(folder, 'certificates'));
    await copyFile(authority.certificatePath, join(folder, 'certificates', 'ca.crt'));
    await writeFile(join(folder, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  });
  afterAll(async () => {
    await client.close();
    await registry.stop();
    await tokens.stop();
    await authority.remove();
    await rm(folder, { recursive: true, force: true });
  });

  const skopeo = async (command: string, ...rest: string[]): Promise<string> => {
    const { stdout } = await run('skopeo', ['--policy', join(folder, 'policy.json'), command, ...rest]);
    return stdout;
  };
  const login = (prefix = ''): string[] => [
    ...[`--${prefix}creds`, `robot:${password}`],
    ...[`--${prefix}cert-dir`, join(folder, 'certificates')],
  ];

  it('gives us what skopeo has pushed, digest by digest', async () => {
    const layout = join(folder, 'made-by-umoci');
    const layer = join(folder, 'layer.tar');
    await writeFile(layer, tarOf([{ path: 'data', content: noise(300_000, 'umoci') }]));
    await run('umoci', ['init', '--layout', layout]);
    await run('umoci', ['new', '--image', `${layout}:1`]);
    await run('umoci', ['raw', 'add-layer', '--image', `${layout}:1`, layer]);
    const digestFile = join(folder, 'digest');
    for (const format of ['oci', 'v2s2']) {
      const target = `docker://${registry.host}/skopeo/${format}:1`;
      await skopeo(
        'copy',
        ...login('dest-'),
        '--format',
        format,
        '--digestfile',
        digestFile,
        `oci:${layout}:1`,
        target,
      );
      const pushed = (await run('cat', [digestFile])).stdout.trim();
      const repository = client.repository(registry.host, `skopeo/${format}`);
      const root = await repository.resolve('1');
      expect(root.digest).toBe(pushed);
      const { blobs } = await collectGraph(repository, root);
      expect(blobs).toHaveLength(2);
      for (const blob of blobs) expect(sha256(await readAll(await repository.fetch(blob)))).toBe(blob.digest);
    }
  });

  it.each(['oci', 'docker'] as const)('gives skopeo the images that we have pushed: %s', async (format) => {
    const repository = client.repository(registry.host, `ours/${format}`);
    const platform = (architecture: string) => ({ os: 'linux', architecture });
    const shared = await makeLayer(repository, tarOf([{ path: 'shared', content: noise(200_000, 'shared') }]));
    const images = await Promise.all(
      ['amd64', 'arm64'].map(async (architecture) => {
        const own = await makeLayer(repository, tarOf([{ path: 'own', content: architecture }]));
        return makeImage(repository, { layers: [shared, own], platform: platform(architecture), format });
      }),
    );
    const index = await makeIndex(repository, images, { format });
    await repository.tag(index, '1');
    const source = `docker://${registry.host}/ours/${format}:1`;
    const raw = await run('skopeo', ['inspect', '--raw', ...login(), source], { encoding: 'buffer' });
    expect(sha256(raw.stdout)).toBe(index.digest);
    const copy = format === 'oci' ? `oci:${join(folder, 'copy')}:1` : `dir:${join(folder, 'copy-docker')}`;
    await skopeo('copy', '--all', '--preserve-digests', ...login('src-'), source, copy);
  });
});
