import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Artifact } from '../../src/artifact/artifact.ts';
import { chartArtifact } from '../../src/artifact/chart-artifact.ts';
import { readContent } from '../../src/content/verify.ts';
import { Copier } from '../../src/copy/copier.ts';
import { readChart } from '../../src/helm/read-chart.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { packChart, type SampleChartArchive } from '../support/charts.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { realHelm } from '../support/real-helm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const packs = fileURLToPath(new URL('../../../shared/packs', import.meta.url));

let registry: DockerRegistry;
let client: RegistryClient;
let folder: string;

beforeAll(async () => {
  registry = await startDockerRegistry();
  client = new RegistryClient({ plainHttp: 'all' });
  folder = await temporaryFolder();
});

afterAll(async () => {
  await client.close();
  await registry.stop();
});

/** Everything that Helm reads in a Chart.yaml, and all that it changes on the way. */
const everyMember = `
apiVersion: v2
name: odd
version: 1.2.3-rc.1+build.5
appVersion: 1.10
kubeVersion: ">= 1.25.0-0 < 2"
type: application
description: >
  Folded text with <b>tags</b> & "quotes"
  and an é\u00a0space, zero\u200bwidth
home: https://example.com/?a=1&b=2
icon: https://example.com/i.png
condition: a.b
tags: one
deprecated: true
unknownMember: dropped
sources: [https://example.com/src, https://example.com/second]
keywords: [a, 1, true, null]
maintainers:
  - name: One
    email: one@example.com
    url: https://one.example
  - email: two@example.com
  - name: Three
annotations:
  zed: 1
  alpha: true
  beta: "x"
  float: 1.50
  date: 2024-01-02
  time: 2001-12-14t21:59:43.10-05:00
  sexagesimal: 1:30
  octal: 0644
  hex: 0x1F
  yes: off
  nothing: null
  separators: "a\\u2028b\\u2029c\\u0001d"
  block: |
    - name: app
      image: docker.io/library/app:1
  org.opencontainers.image.title: another
  org.opencontainers.image.version: another
  org.opencontainers.image.url: https://other.example
  org.opencontainers.image.created: "2020-01-01T00:00:00Z"
dependencies:
  - name: sub
    version: 1.x.x
    repository: ""
    condition: sub.enabled
    tags: [t1]
    enabled: true
    alias: other
    import-values:
      - data
      - {parent: p, child: c}
  - name: bare
`;

const charts: Readonly<Record<string, SampleChartArchive>> = {
  'with every member': packChart(everyMember),
  'with the least': packChart('{apiVersion: v2, name: least, version: 0.1.0}'),
  'of Helm 2, with requirements.yaml': packChart(
    'name: old\nversion: 0.1.0\nappVersion: 0x10\nengine: gotpl\ntillerVersion: ">2.0.0"\ndescription: ""\n',
    { 'requirements.yaml': 'dependencies:\n- {name: sub, version: 0.1.0, repository: "https://charts.example.com"}\n' },
  ),
  'with anchors and merge keys': packChart(
    'x: &m {name: One, email: a@example.com}\napiVersion: v2\nname: merged\nversion: v1.0\nmaintainers: [*m, {<<: *m, name: Two}]\n',
  ),
};

describe('a chart as an artifact', () => {
  it.each(Object.keys(charts))('%s is byte for byte what helm push makes, but for the time', async (name) => {
    const chart = charts[name];
    if (chart === undefined) throw new Error('there is no such chart');
    await expectSameAsHelm(chart);
  });

  it.skipIf(!existsSync(packs))(
    'of every pack in ../shared/packs is byte for byte what helm push makes, but for the time',
    async () => {
      const paths = readdirSync(packs, { recursive: true })
        .map(String)
        .filter((path) => /\/charts\/[^/]+\.tgz$/.test(path));
      expect(paths.length).toBeGreaterThan(15);
      for (const path of paths) await expectSameAsHelm(await readChart(await readFile(join(packs, path)), path));
    },
    120_000,
  );

  it('has the manifest and the config that Helm 4.1.4 was seen to make', async () => {
    const chart = packChart(
      'apiVersion: v2\nname: web\nversion: 1.0.0+3\ndescription: A <b> & c\nhome: https://web.example\nmaintainers: [{name: A, email: a@web.example}]\n',
    );
    const { store, root } = await chartArtifact(chart, 'web');
    const config =
      '{"name":"web","home":"https://web.example","version":"1.0.0+3","description":"A \\u003cb\\u003e \\u0026 c",' +
      '"maintainers":[{"name":"A","email":"a@web.example"}],"apiVersion":"v2"}';
    const manifest =
      `{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"${sha256(config)}","size":${config.length}},` +
      `"layers":[{"mediaType":"application/vnd.cncf.helm.chart.content.v1.tar+gzip","digest":"${sha256(chart.archive)}","size":${chart.archive.length}}],` +
      '"annotations":{"org.opencontainers.image.authors":"A (a@web.example)","org.opencontainers.image.description":"A \\u003cb\\u003e \\u0026 c",' +
      '"org.opencontainers.image.title":"web","org.opencontainers.image.url":"https://web.example","org.opencontainers.image.version":"1.0.0+3"}}';
    expect((await readContent(store, root)).toString()).toBe(manifest);
    expect(root).toEqual({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: sha256(manifest),
      size: manifest.length,
    });
    const configDescriptor = { mediaType: 'any', digest: sha256(config), size: config.length };
    expect((await readContent(store, configDescriptor)).toString()).toBe(config);
  });

  it('is named after its version, with _ for +, and resolved by that tag', async () => {
    const artifact = await chartArtifact(packChart(everyMember), 'odd');
    expect(artifact).toMatchObject({
      kind: 'chart',
      name: 'odd',
      version: '1.2.3-rc.1+build.5',
      reference: 'localhost/charts/odd:1.2.3-rc.1_build.5',
    });
    expect(await artifact.store.resolve('1.2.3-rc.1_build.5')).toEqual(artifact.root);
  });

  it('is the same for the same bytes, and another for others', async () => {
    const [one, same, other] = await Promise.all(
      [everyMember, everyMember, `${everyMember}\n`].map((text) => chartArtifact(packChart(text), 'odd')),
    );
    expect(same?.root).toEqual(one?.root);
    expect(other?.root.digest).not.toBe(one?.root.digest);
  });

  it('comes back from a registry as the same archive, by the real Helm', async () => {
    const chart = packChart(everyMember);
    await push(await chartArtifact(chart, 'odd'), 'pulled/odd');
    const args = ['pull', `oci://${registry.host}/pulled/odd`, '--version', '1.2.3-rc.1+build.5', '--plain-http'];
    await realHelm(args, folder);
    expect((await readFile(join(folder, 'odd-1.2.3-rc.1+build.5.tgz'))).equals(chart.archive)).toBe(true);
  });

  const bomb = `a: &a [${'x,'.repeat(50)}]\nb: &b [${'*a,'.repeat(50)}]\nc: &c [${'*b,'.repeat(50)}]\nsources: *c\n`;
  it.each([
    ['is empty', '', 'not a mapping'],
    ['is a list', '- name: web', 'not a mapping'],
    ['is no YAML', 'name: [web', 'Chart.yaml: '],
    ['has no name', 'version: 1.0.0', "malformed at 'name'"],
    ['has an empty version', 'name: web\nversion: ""', "malformed at 'version'"],
    ['has a mapping where text belongs', 'name: web\nversion: 1.0.0\nhome: {a: b}', "malformed at 'home'"],
    ['has annotations that are a list', 'name: web\nversion: 1.0.0\nannotations: [a]', "malformed at 'annotations'"],
    ['has a maintainer that is null', 'name: web\nversion: 1.0.0\nmaintainers: [null]', "malformed at 'maintainers.0'"],
    ['is a bomb of aliases', `name: web\nversion: 1.0.0\n${bomb}`, 'alias'],
    ['has more than 1 MiB', `name: web\nversion: 1.0.0\n#${'x'.repeat(1024 * 1024)}`, 'at most 1048576'],
  ])('is refused where its Chart.yaml %s', async (_, text, message) => {
    const error = await expectError('CHART_INVALID', message, () => chartArtifact(packChart(text), 'packs/web.tgz'));
    expect(error.message).toMatch(/^packs\/web\.tgz: Chart\.yaml: /);
  });

  it('is refused without a Chart.yaml', async () => {
    await expectError('CHART_INVALID', 'packs/web.tgz: the chart has no Chart.yaml', () =>
      chartArtifact({ files: new Map(), archive: Buffer.from('') }, 'packs/web.tgz'),
    );
  });
});

/** Pushes the chart with Helm, and compares manifest and config. */
async function expectSameAsHelm(chart: SampleChartArchive): Promise<void> {
  const artifact = await chartArtifact(chart, 'chart.tgz');
  const { name, version, store, root } = artifact;
  const file = join(folder, 'chart.tgz');
  await writeFile(file, chart.archive);
  await realHelm(['push', file, `oci://${registry.host}/pushed`, '--plain-http'], folder);
  const tag = version.replace('+', '_');
  const theirs = await manifestText(`pushed/${name}`, tag);
  const ours = (await readContent(store, root)).toString();
  expect(ours, name).toBe(theirs.replace(/"org\.opencontainers\.image\.created":"(?!2020-)[^"]*",?/, ''));
  const { config } = JSON.parse(ours) as { config: { digest: `sha256:${string}`; size: number } };
  const pushed = await client.repository(registry.host, `pushed/${name}`).fetch({ mediaType: 'any', ...config });
  const bytes: Buffer[] = [];
  for await (const chunk of pushed) bytes.push(chunk as Buffer);
  expect((await readContent(store, { mediaType: 'any', ...config })).toString()).toBe(Buffer.concat(bytes).toString());
}

async function manifestText(repository: string, tag: string): Promise<string> {
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, { headers: { accept } });
  expect(answer.status).toBe(200);
  return answer.text();
}

async function push(artifact: Artifact, repositoryName: string): Promise<void> {
  const repository = client.repository(registry.host, repositoryName);
  await new Copier().copyGraph(artifact.store, repository, artifact.root);
  await repository.tag(artifact.root, artifact.version.replace('+', '_'));
}

function sha256(content: string | Buffer): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
