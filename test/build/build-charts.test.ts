import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { chartArtifact } from '../../src/artifact/chart-artifact.ts';
import { packArtifact } from '../../src/artifact/pack-artifact.ts';
import { buildBundle, type BuildOptions, type BuildResult } from '../../src/build/build-bundle.ts';
import type { WantedChart } from '../../src/build/wanted-content.ts';
import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { loadBundle } from '../../src/loader/load-bundle.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { startRegistryServer } from '../../src/serve/registry-server.ts';
import { packChart, type SampleChartArchive } from '../support/charts.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { noise } from '../support/graphs.ts';
import { makeImage } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { realHelm } from '../support/real-helm.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const sources: WantedChart['sources'] = [{ profile: 'edge', pack: 'web', path: 'charts/web.tgz', class: 'declared' }];

let registry: DockerRegistry;
let client: RegistryClient;
let image: BuildOptions['images'][number];
/** As a pack has it, and as Helm has pushed it into a registry. */
let web: SampleChartArchive;
let pushed: SampleChartArchive;
let pushedDigest: string;

beforeAll(async () => {
  registry = await startDockerRegistry();
  client = new RegistryClient({ plainHttp: 'all' });
  const store = client.repository(registry.host, 'app/one');
  const layer = await makeLayer(store, tarOf([{ path: 'data', content: noise(100_000, 'layer') }]));
  await store.tag(await makeImage(store, { layers: [layer] }), 'v1');
  image = { reference: `${registry.host}/app/one:v1`, sources: [] };
  // Large enough not to share frames with the manifests.
  web = chartOf('web', '1.0.0+7', noise(400_000, 'web').toString('base64'));
  pushed = chartOf('db', '2.0.0', 'small');
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'db.tgz'), pushed.archive);
  await realHelm(['push', 'db.tgz', `oci://${registry.host}/charts`, '--plain-http'], folder);
  pushedDigest = (await client.repository(registry.host, 'charts/db').resolve('2.0.0')).digest;
});

afterAll(async () => {
  await client.close();
  await registry.stop();
});

function chartOf(name: string, version: string, content: string): SampleChartArchive {
  return packChart(`apiVersion: v2\nname: ${name}\nversion: ${version}\n`, { 'files/content': content });
}

async function localChart(chart: SampleChartArchive, more: Partial<WantedChart> = {}): Promise<WantedChart> {
  return { ...(await chartArtifact(chart, 'chart')), sources, ...more };
}

async function threeCharts(): Promise<WantedChart[]> {
  const pack = await packArtifact({ name: 'web', version: '1.0.0', archive: noise(300_000, 'pack') });
  const fromRegistry = {
    kind: 'chart',
    name: 'db',
    version: '2.0.0',
    reference: `${registry.host}/charts/db:2.0.0`,
  } as const;
  return [await localChart(web), { ...pack, sources }, { ...fromRegistry, sources }];
}

async function build(options: Partial<BuildOptions>): Promise<BuildResult> {
  const out = await temporaryFolder();
  return buildBundle({ name: 'charts', images: [image], profiles: [], source: client, out, ...options });
}

function documentOf({ bundle }: BuildResult): BundleDocument {
  return JSON.parse(runProgram('tar', ['--zstd', '-xOf', bundle.path, 'bundle.json']).toString()) as BundleDocument;
}

describe('a bundle with charts', () => {
  it('lists them after the images, with what they are and who wanted them', async () => {
    const result = await build({ charts: await threeCharts() });
    expect(result).toMatchObject({ images: 1, charts: 3 });
    const { images, charts } = documentOf(result);
    expect(images.map(({ reference }) => reference)).toEqual([image.reference]);
    expect(charts).toEqual([
      {
        kind: 'chart',
        name: 'web',
        version: '1.0.0+7',
        reference: 'localhost/charts/web:1.0.0_7',
        digest: (await chartArtifact(web, 'web')).root.digest,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: expect.any(Number) as number,
        sources,
      },
      expect.objectContaining({ kind: 'pack', name: 'web', reference: 'localhost/spectro-packs/archive/web:1.0.0' }),
      expect.objectContaining({ kind: 'chart', name: 'db', digest: pushedDigest }),
    ]);
  });

  it('is whole, and unpacked it has the archives as they are', async () => {
    const { bundle } = await build({ charts: await threeCharts() });
    const reader = await BundleReader.open(bundle.path);
    expect(await verifyBundle(reader)).toMatchObject({ images: 1, charts: 3, failures: [] });
    await reader.close();
    const layout = await temporaryFolder();
    runProgram('tar', ['--zstd', '-xf', bundle.path, '-C', layout]);
    const copy = join(await temporaryFolder(), 'copy');
    runProgram('skopeo', ['copy', '-q', `oci:${layout}:localhost/charts/web:1.0.0_7`, `dir:${copy}`]);
    const manifest = JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8')) as { layers: { digest: string }[] };
    const layer = readFileSync(join(copy, manifest.layers[0]?.digest.slice('sha256:'.length) ?? ''));
    expect(layer.equals(web.archive)).toBe(true);
  });

  it('needs no images', async () => {
    const result = await build({ images: [], charts: [await localChart(web)] });
    expect(result).toMatchObject({ images: 0, charts: 1, blobs: 3 });
    await expectError('CONFIG_INVALID', 'no images and no charts', () => build({ images: [], charts: [] }));
  });

  it('has the same bytes each time', async () => {
    const [one, two] = [await build({ charts: await threeCharts() }), await build({ charts: await threeCharts() })];
    expect((await readFile(two.bundle.path)).equals(await readFile(one.bundle.path))).toBe(true);
  });

  it('has a chart once that two packs bring, with both of them as its sources', async () => {
    const other: WantedChart['sources'] = [
      { profile: 'edge', pack: 'shop', path: 'charts/web.tgz', class: 'declared' },
    ];
    const result = await build({ charts: [await localChart(web), await localChart(web, { sources: other })] });
    expect(result.charts).toBe(1);
    expect(documentOf(result).charts[0]?.sources).toEqual([...sources, ...other]);
  });

  it('is refused where a name and a version stand for two contents, naming the packs', async () => {
    const shop: WantedChart['sources'] = [{ profile: 'edge', pack: 'shop', path: 'charts/web.tgz', class: 'declared' }];
    const changed = await localChart(chartOf('web', '1.0.0+7', 'changed'), { sources: shop });
    const error = await expectError('REFERENCE_INVALID', 'cannot be two', async () =>
      build({ charts: [await localChart(web), changed] }),
    );
    expect(error.message).toMatch(
      /^chart 'web' 1\.0\.0\+7 cannot be two: 'localhost\/charts\/web:1\.0\.0_7' \(web\) is sha256:.*\(shop\) is sha256:/,
    );
  });

  it('is not made where charts or images are missing: all of them are named', async () => {
    const missing = {
      kind: 'chart',
      name: 'none',
      version: '1',
      reference: `${registry.host}/charts/none:1`,
      sources,
    } as const;
    const upperCase = await localChart(chartOf('Web', '1.0.0', ''));
    const images = [image, { reference: `${registry.host}/none/at-all:1`, sources: [] }];
    const error = await expectError('CONTENT_MISSING', '3 of 5 images and charts cannot be had', async () =>
      build({ images, charts: [await localChart(web), missing, upperCase] }),
    );
    expect(error.failures.map(({ code }) => code)).toEqual(['NOT_FOUND', 'NOT_FOUND', 'REFERENCE_INVALID']);
    expect(error.failures[2]?.message).toContain('localhost/charts/Web:1.0.0');
  });

  it('is loaded so that the real Helm pulls the same archives from the registry', async () => {
    const { bundle } = await build({ charts: await threeCharts() });
    const reader = await BundleReader.open(bundle.path);
    const target = await startDockerRegistry();
    try {
      const result = await loadBundle({ bundle: reader, client, registry: target.host, project: 'spectro-images' });
      expect(result).toMatchObject({ images: 1, charts: 3, missing: [] });
      const folder = await temporaryFolder();
      for (const [name, version, { archive }] of [
        ['web', '1.0.0+7', web],
        ['db', '2.0.0', pushed],
      ] as const) {
        const url = `oci://${target.host}/spectro-packs/charts/${name}`;
        await realHelm(['pull', url, '--version', version, '--plain-http'], folder);
        expect((await readFile(join(folder, `${name}-${version}.tgz`))).equals(archive), name).toBe(true);
      }
    } finally {
      await reader.close();
      await target.stop();
    }
  });

  it('is served so that the real Helm pulls them without a registry', async () => {
    const { bundle } = await build({ charts: await threeCharts() });
    const reader = await BundleReader.open(bundle.path);
    const server = await startRegistryServer({ content: new BundleContent(reader) });
    try {
      const folder = await temporaryFolder();
      const url = `oci://127.0.0.1:${server.address.port}/localhost/charts/web`;
      await realHelm(['pull', url, '--version', '1.0.0+7', '--plain-http'], folder);
      expect((await readFile(join(folder, 'web-1.0.0+7.tgz'))).equals(web.archive)).toBe(true);
    } finally {
      await server.close();
      await reader.close();
    }
  });
});
