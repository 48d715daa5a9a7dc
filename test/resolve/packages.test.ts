import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, image, pushAll } from '../support/graphs.ts';
import { chartFiles } from '../support/helm.ts';
import { realHelm } from '../support/real-helm.ts';
import { packArchive, podTemplate, type SamplePack, writePack, writeProfile } from '../support/sample-packs.ts';
import { reply, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { tarGzip } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

const chart = tarGzip(
  chartFiles({ 'values.yaml': 'tag: "1"\n', 'templates/pod.yaml': podTemplate('x.io/app:{{ .Values.tag }}') }),
);

/** A pack whose images tell where it came from. */
const packOf = (origin: string, version = '1.0.0'): SamplePack => ({
  version,
  charts: { app: { 'templates/pod.yaml': podTemplate(`x.io/${origin}:${version}`) } },
});

let registry: DockerRegistry;
let repository: ScriptedServer;
let folder: string;

beforeAll(async () => {
  registry = await startDockerRegistry();
  const client = new RegistryClient({ plainHttp: 'all' });
  const artifact = image([blob(packArchive(packOf('registry')), 'application/vnd.oci.image.layer.v1.tar')], {
    artifactType: 'application/vnd.unknown.artifact.v1',
  });
  const target = client.repository(registry.host, 'base/spectro-packs/archive/web');
  await pushAll(target, artifact);
  await target.tag(artifact.descriptor, '1.0.0');
  await client.close();
  const work = await temporaryFolder();
  await writeFile(join(work, 'app.tgz'), chart);
  await realHelm(['push', 'app.tgz', `oci://${registry.host}/charts`, '--plain-http'], work);
  repository = await startScriptedServer({
    'GET /stable/index.yaml': reply(
      200,
      {},
      stringify({
        apiVersion: 'v1',
        entries: { app: [{ name: 'app', version: '1.2.3', urls: ['files/app-1.2.3.tgz'] }] },
      }),
    ),
    'GET /stable/files/app-1.2.3.tgz': (_request, response) => void response.end(chart),
  });
});

afterAll(async () => {
  await registry.stop();
  await repository.stop();
});

beforeEach(async () => {
  folder = await temporaryFolder();
});

describe('resolve on a chart at an address', () => {
  it.each([
    ['in an OCI registry', () => `oci://${registry.host}/charts/app:1.2.3`],
    ['in a chart repository', () => `${repository.url}/stable/app:1.2.3`],
    ['as an archive', () => `${repository.url}/stable/files/app-1.2.3.tgz`],
  ])('renders one %s, with --values', async (_name, address) => {
    const values = join(folder, 'v.yaml');
    writeFileSync(values, 'tag: "2"\n');
    const document = await resolveJson([address(), '--values', `app=${values}`, '--plain-http']);
    expect(referencesOf(document)).toEqual(['x.io/app:2']);
    expect(document.charts).toMatchObject([{ kind: 'chart', name: 'app', version: '1.2.3' }]);
  });

  it('names the chart that is not there', async () => {
    for (const address of [`oci://${registry.host}/charts/app:9.9.9`, `${repository.url}/stable/app:9.9.9`]) {
      const { exitCode, stderr } = await runResolve([address, '--plain-http']);
      expect(exitCode).toBe(3);
      expect(stderr).toContain('9.9.9');
    }
  });
});

describe('resolve on packs', () => {
  const profile = (version = '1.0.0'): string => writeProfile(folder, { packs: [{ name: 'web', version }] });

  it('finds them in a folder, at any depth, and in their archives', async () => {
    writePack(join(folder, 'packs', 'deep'), packOf('folder'));
    expect(referencesOf(await resolveJson([profile(), '--pack-dir', join(folder, 'packs')]))).toEqual([
      'x.io/folder:1.0.0',
    ]);
    writeFileSync(join(folder, 'packs', 'web.tar.gz'), packArchive(packOf('archive', '2.0.0')));
    expect(referencesOf(await resolveJson([profile('2.0.0'), '--pack-dir', join(folder, 'packs')]))).toEqual([
      'x.io/archive:2.0.0',
    ]);
  });

  it('finds them in a registry, and takes a folder first', async () => {
    const args = ['--pack-registry', `${registry.host}/base`, '--plain-http'];
    const document = await resolveJson([profile(), ...args]);
    expect(referencesOf(document)).toEqual(['x.io/registry:1.0.0']);
    expect(document.charts[0]?.reference).toBe(`${registry.host}/base/spectro-packs/archive/web:1.0.0`);
    writePack(join(folder, 'packs'), packOf('folder'));
    expect(referencesOf(await resolveJson([profile(), '--pack-dir', join(folder, 'packs'), ...args]))).toEqual([
      'x.io/folder:1.0.0',
    ]);
  });

  it('reads one that is given by itself: a folder, an archive, an address', async () => {
    const archive = join(folder, 'web.tar.gz');
    writeFileSync(archive, packArchive(packOf('archive')));
    expect(referencesOf(await resolveJson([writePack(folder, packOf('folder'))]))).toEqual(['x.io/folder:1.0.0']);
    expect(referencesOf(await resolveJson([archive]))).toEqual(['x.io/archive:1.0.0']);
    const address = `oci://${registry.host}/base/spectro-packs/archive/web:1.0.0`;
    expect(referencesOf(await resolveJson([address, '--plain-http']))).toEqual(['x.io/registry:1.0.0']);
  });

  it("renders a pack with the profile's values, and with its own where the profile has none", async () => {
    writePack(join(folder, 'packs'), {
      values: 'charts: {app: {tag: "own"}}\n',
      charts: { app: { 'templates/pod.yaml': podTemplate('x.io/a:{{ .Values.tag }}') } },
    });
    const tagged = async (values?: string): Promise<string[]> => {
      const path = writeProfile(folder, { packs: [{ name: 'web', ...(values === undefined ? {} : { values }) }] });
      return referencesOf(await resolveJson([path, '--pack-dir', join(folder, 'packs')]));
    };
    expect(await tagged('charts: {app: {tag: "profile"}}\n')).toEqual(['x.io/a:profile']);
    expect(await tagged()).toEqual(['x.io/a:own']);
  });

  it('says which versions there are where the one of the profile is not among them', async () => {
    writePack(join(folder, 'packs'), packOf('folder', '2.0.0'));
    const { exitCode, stderr } = await runResolve([profile(), '--pack-dir', join(folder, 'packs')]);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/pack 'web'.*1\.0\.0.*2\.0\.0/s);
  });

  it('lists charts of content tags, and names the place of an address that is none', async () => {
    const tags = (repo: string): string =>
      `pack:\n  content:\n    charts:\n    - {repo: "${repo}", name: extra, version: 1.0.0+2}\n`;
    const document = await resolveJson([
      writePack(folder, { values: tags('oci://x.io/charts/') }),
      writePack(folder, { name: 'two', values: tags('https://charts.example/stable') }),
    ]);
    expect(document.charts.filter(({ kind }) => kind === 'chart').map(({ reference }) => reference)).toEqual([
      'x.io/charts/extra:1.0.0_2',
      'localhost/charts/extra:1.0.0_2',
    ]);
    const { exitCode, stderr } = await runResolve([writePack(folder, { values: tags('oci://x.io/UPPER') })]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("pack 'web', values#pack.content.charts[0]: ");
  });
});
