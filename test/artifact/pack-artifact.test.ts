import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { packArtifact } from '../../src/artifact/pack-artifact.ts';
import { readContent } from '../../src/content/verify.ts';
import { Copier } from '../../src/copy/copier.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { noise } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const archive = noise(300_000, 'a pack');

describe('a pack as an artifact', () => {
  it('has the manifest that oras push makes, but for the time', async () => {
    // oras 1.2, cmd/oras/root/push.go; oras-go 2.5, pack.go and content/file.
    const manifest =
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.unknown.artifact.v1",' +
      '"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},' +
      `"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${sha256(archive)}","size":300000,` +
      '"annotations":{"org.opencontainers.image.title":"web-1.0.0+2.tar.gz"}}]}';
    const artifact = await packArtifact({ name: 'web', version: '1.0.0+2', archive });
    expect((await readContent(artifact.store, artifact.root)).toString()).toBe(manifest);
    expect(artifact).toMatchObject({
      kind: 'pack',
      name: 'web',
      version: '1.0.0+2',
      reference: 'localhost/spectro-packs/archive/web:1.0.0_2',
      root: { digest: sha256(manifest), size: manifest.length },
    });
    expect(await artifact.store.resolve('1.0.0_2')).toEqual(artifact.root);
  });

  it('is the same for the same bytes', async () => {
    const [one, same, other] = await Promise.all([
      packArtifact({ name: 'web', version: '1', archive }),
      packArtifact({ name: 'web', version: '1', archive: Buffer.from(archive) }),
      packArtifact({ name: 'web', version: '2', archive }),
    ]);
    expect(same.root).toEqual(one.root);
    expect(other.root.digest).not.toBe(one.root.digest);
  });

  it('is pulled from a registry by skopeo, with its archive', async () => {
    const registry = await startDockerRegistry();
    const client = new RegistryClient({ plainHttp: 'all' });
    try {
      const { store, root } = await packArtifact({ name: 'web', version: '1.0.0', archive });
      const repository = client.repository(registry.host, 'base/spectro-packs/archive/web');
      await new Copier().copyGraph(store, repository, root);
      await repository.tag(root, '1.0.0');
      const folder = join(await temporaryFolder(), 'pack');
      const source = `docker://${registry.host}/base/spectro-packs/archive/web:1.0.0`;
      runProgram('skopeo', ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false', source, `dir:${folder}`]);
      expect(sha256(await readFile(join(folder, 'manifest.json')))).toBe(root.digest);
      const layer = await readFile(join(folder, sha256(archive).slice('sha256:'.length)));
      expect(layer.equals(archive)).toBe(true);
    } finally {
      await client.close();
      await registry.stop();
    }
  });
});

function sha256(content: string | Uint8Array): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
