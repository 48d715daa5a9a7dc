import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { describe as descriptorOf } from '../../../src/content/descriptor.ts';
import { digestOf } from '../../../src/content/digest.ts';
import { mediaTypes } from '../../../src/content/media-types.ts';
import { RegistryClient } from '../../../src/oci-client/registry-client.ts';
import type { Repository } from '../../../src/oci-client/repository.ts';
import { fetchPack, PackRegistry } from '../../../src/profile/packs/pack-registry.ts';
import { readPack } from '../../../src/profile/packs/read-pack.ts';
import { type DockerRegistry, startDockerRegistry } from '../../support/docker-registry.ts';
import { expectError } from '../../support/expect-error.ts';
import { type ArtifactFile, makeArtifact, makeIndex } from '../../support/images.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { packFiles, tarGz, writeFiles } from './pack-files.ts';

let registry: DockerRegistry;
let client: RegistryClient;
let folder: string;
let archive: Buffer;

beforeAll(async () => {
  registry = await startDockerRegistry();
  client = new RegistryClient({ plainHttp: [registry.host] });
  folder = await writeFiles(await temporaryFolder(), packFiles());
  archive = tarGz(folder, '.');
});

afterAll(async () => {
  await client.close();
  await registry.stop();
});

const repositoryOf = (name: string, base = 'base/path'): Repository =>
  client.repository(registry.host, `${base}/spectro-packs/archive/${name}`);

/** Pushes an artifact as ORAS does, under a tag. */
const pushPack = async (name: string, tag: string, files: readonly ArtifactFile[]) => {
  const manifest = await makeArtifact(repositoryOf(name), {
    artifactType: 'application/vnd.unknown.artifact.v1',
    files,
  });
  await repositoryOf(name).tag(manifest, tag);
  return manifest;
};

const archiveFile = (mediaType: string, name = 'web-1.0.0.tar.gz', content: Uint8Array = archive): ArtifactFile => ({
  name,
  mediaType,
  content,
});

const packs = () => new PackRegistry(`${registry.host}/base/path/`, client);
const query = (name: string, version?: string, tag?: string) => ({ name, version, tag });

describe('PackRegistry', () => {
  it('finds a pack, with its reference, the manifest that has it, and the archive as it came', async () => {
    const manifest = await pushPack('web', '1.0.0', [archiveFile('application/vnd.oci.image.layer.v1.tar')]);
    const pack = await packs().find(query('web', '1.0.0'));
    const reference = `${registry.host}/base/path/spectro-packs/archive/web:1.0.0`;
    expect(pack).toMatchObject({ name: 'web', version: '1.0.0', origin: reference, reference });
    expect(pack?.manifest).toMatchObject({ digest: manifest.digest, size: manifest.size });
    expect(await pack?.archive()).toEqual(archive);
    expect(pack?.digest).toBe((await readPack(folder)).digest);
  });

  it.each([
    'application/vnd.oci.image.layer.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    'application/gzip',
    'application/x-tar',
    'application/octet-stream',
    'application/vnd.spectrocloud.pack.v1',
  ])('takes the only layer, of the type %s', async (mediaType) => {
    await pushPack('types', '1', [archiveFile(mediaType)]);
    expect((await packs().find(query('types', '1')))?.name).toBe('web');
  });

  it('takes the archive among other files', async () => {
    await pushPack('many', '1', [
      archiveFile('application/octet-stream', 'README.md', Buffer.from('# web')),
      archiveFile('application/vnd.oci.image.layer.v1.tar'),
    ]);
    expect((await packs().find(query('many', '1')))?.name).toBe('web');
  });

  it('tries the tag where there is no such version, and writes + as _', async () => {
    await pushPack('tagged', '1.0_build', [archiveFile('application/gzip')]);
    const { reference } = (await packs().find(query('tagged', '1.x', '1.0+build'))) ?? {};
    expect(reference).toMatch(/tagged:1\.0_build$/);
  });

  it('says which versions there are, and knows nothing of other packs', async () => {
    await pushPack('versions', '1.0.0', [archiveFile('application/gzip')]);
    await pushPack('versions', '1.1.0', [archiveFile('application/gzip')]);
    const error = await expectError('PACK_NOT_FOUND', "'versions' 2.0.0 is not in", () =>
      packs().find(query('versions', '2.0.0')),
    );
    expect(error.message).toContain('1.0.0, 1.1.0');
    expect(await packs().find(query('ghost', '1.0.0'))).toBeUndefined();
    expect(await packs().find(query('ghost'))).toBeUndefined();
  });

  it('takes a registry without a path', async () => {
    const repository = client.repository(registry.host, 'spectro-packs/archive/root');
    const manifest = await makeArtifact(repository, { artifactType: 'a/b', files: [archiveFile('application/gzip')] });
    await repository.tag(manifest, '1');
    expect((await new PackRegistry(`oci://${registry.host}`, client).find(query('root', '1')))?.name).toBe('web');
  });

  it.each([
    ['no layer', [], 'expected one layer'],
    ['two archives', ['a.tar.gz', 'b.tgz'], 'it has 2'],
  ])('refuses an artifact with %s', async (_what, names, part) => {
    await pushPack(
      'layers',
      '1',
      names.map((name) => archiveFile('application/gzip', name, Buffer.from(name))),
    );
    await expectError('PROFILE_INVALID', part, () => packs().find(query('layers', '1')));
  });

  it('refuses an index, and an archive that is none', async () => {
    const manifest = await pushPack('index', 'one', [archiveFile('application/gzip', 'x', Buffer.from('text'))]);
    await repositoryOf('index').tag(await makeIndex(repositoryOf('index'), [manifest]), 'many');
    await expectError('PROFILE_INVALID', 'is an index', () => packs().find(query('index', 'many')));
    await expectError('ARCHIVE_INVALID', 'no gzip file', () => packs().find(query('index', 'one')));
  });

  it('refuses a layer that is too large without fetching it', async () => {
    const config = descriptorOf(Buffer.from('{}'), mediaTypes.ociEmpty);
    const layer = { mediaType: 'application/gzip', digest: digestOf('none'), size: 10 ** 12 };
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [layer] }));
    const lying = {
      repository: () => ({
        resolve: () => Promise.resolve(descriptorOf(bytes, mediaTypes.ociManifest)),
        fetch: () => Promise.resolve(Readable.from([bytes])),
        tags: () => Promise.resolve([]),
      }),
    };
    await expectError('CONTENT_TOO_LARGE', '1000000000000', () =>
      new PackRegistry('x.io', lying).find(query('large', '1')),
    );
  });
});

describe('fetchPack', () => {
  it('takes a whole reference, by tag or by digest', async () => {
    const { digest } = await pushPack('whole', '1', [archiveFile('application/gzip')]);
    const name = `${registry.host}/base/path/spectro-packs/archive/whole`;
    expect((await fetchPack(`oci://${name}:1`, client)).reference).toBe(`${name}:1`);
    expect((await fetchPack(`${name}@${digest}`, client)).reference).toBe(`${name}@${digest}`);
    await expectError('NOT_FOUND', '', () => fetchPack(`${name}:2`, client));
  });
});
