import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { podTemplate, type SamplePack, writePack } from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { resolveJson, runResolve, summaryOf } from './run-resolve.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

const resolvePack = (pack: SamplePack, ...args: readonly string[]) => resolveJson([writePack(folder, pack), ...args]);

const failing = async (pack: SamplePack): Promise<string> => {
  const { exitCode, stderr } = await runResolve([writePack(folder, pack)]);
  expect(exitCode).toBe(3);
  return stderr;
};

describe('resolve on charts that cannot be rendered', () => {
  const needsValue: SamplePack = {
    values: 'charts:\n  app: {image: {repository: x.io/app, tag: "3"}}\n',
    charts: {
      app: {
        'values.yaml': 'sidecar: {image: x.io/sidecar:1}\n',
        'templates/pod.yaml': `# {{ required "licence.key must be set" .Values.licence }}\n${podTemplate('x.io/app:3')}`,
        'templates/job.yaml': podTemplate('x.io/only-in-a-template:1', 'job'),
      },
    },
  };

  it("is an error with Helm's own reason, the pack and the chart", async () => {
    const stderr = await failing(needsValue);
    expect(stderr).toContain("pack 'web', chart 'app'");
    expect(stderr).toContain('licence.key must be set');
  });

  it('reads a subchart once for each of its aliases, with the values of each', async () => {
    const document = await resolvePack(
      {
        values: 'charts:\n  app:\n    second: {image: {tag: "2"}}\n',
        charts: {
          app: {
            'Chart.yaml': `apiVersion: v2
name: app
version: 1.2.3
dependencies:
- {name: redis, alias: first, version: 0.1.0}
- {name: redis, alias: second, version: 0.1.0}
`,
            'templates/pod.yaml': '{{ fail "it does not render" }}\n',
            'charts/redis/Chart.yaml': 'apiVersion: v2\nname: redis\nversion: 0.1.0\n',
            'charts/redis/values.yaml': 'image: {repository: x.io/redis, tag: "1"}\n',
          },
        },
      },
      '--allow-unrendered',
    );
    expect(summaryOf(document).sort()).toEqual(['x.io/redis:1 referenced', 'x.io/redis:2 referenced']);
  });

  it('still writes what it found, so that nothing has to be run twice', async () => {
    const { stdout } = await runResolve([writePack(folder, needsValue), '--output', 'list']);
    expect(stdout).toContain('x.io/app:3');
  });

  it('goes on with what static reading finds where that is allowed, and marks it', async () => {
    const document = await resolvePack(needsValue, '--allow-unrendered');
    expect(summaryOf(document).sort()).toEqual([
      'x.io/app:3 referenced',
      'x.io/only-in-a-template:1 referenced',
      'x.io/sidecar:1 referenced',
    ]);
    for (const { sources } of document.images) {
      for (const { note } of sources) expect(note).toContain('not rendered');
    }
    expect(document.unrendered).toEqual([
      {
        profile: 'web',
        pack: 'web',
        chart: 'app',
        reason: expect.stringContaining('licence.key must be set') as string,
      },
    ]);
    expect(document.packs[0]).toMatchObject({ pack: 'web', unrendered: 1 });
  });

  it('says what the schema of the values wants', async () => {
    const stderr = await failing({
      values: 'charts:\n  app: {replicas: many}\n',
      charts: {
        app: {
          'values.schema.json': JSON.stringify({ type: 'object', properties: { replicas: { type: 'integer' } } }),
          'templates/pod.yaml': podTemplate('x.io/a:1'),
        },
      },
    });
    expect(stderr).toMatch(/pack 'web', chart 'app'.*replicas.*integer/s);
  });

  it('says what a chart that needs the cluster says', async () => {
    const template = '{{ (lookup "v1" "ConfigMap" "kube-system" "info").data.region | required "no cluster info" }}';
    expect(await failing({ charts: { app: { 'templates/a.yaml': template } } })).toMatch(
      /chart 'app'.*(no cluster info|nil pointer)/s,
    );
  });

  it('says that a chart is for other versions of Kubernetes', async () => {
    const stderr = await failing({
      charts: { app: { 'Chart.yaml': 'apiVersion: v2\nname: app\nversion: 1.2.3\nkubeVersion: "<1.20.0"\n' } },
    });
    expect(stderr).toMatch(/chart 'app'.*kubeVersion: <1\.20\.0/s);
  });

  it('names the manifest that is no template, and still renders the others', async () => {
    const pack = {
      manifests: { good: podTemplate('x.io/good:1'), broken: `${podTemplate('x.io/broken:1')}{{ - end}}` },
    };
    const document = await resolvePack(pack, '--allow-unrendered');
    expect(summaryOf(document).sort()).toEqual(['x.io/broken:1 referenced', 'x.io/good:1 rendered']);
    expect(document.unrendered).toEqual([
      { profile: 'web', pack: 'web', reason: expect.stringMatching(/cannot render manifest broken: /) as string },
    ]);
  });

  it('lists all of them in one run', async () => {
    const broken = { 'templates/a.yaml': '{{ fail "no" }}' };
    const other = writePack(join(folder, 'other'), { name: 'db', charts: { db: broken } });
    const { stderr } = await runResolve([writePack(folder, { charts: { app: broken } }), other]);
    expect(stderr).toContain('2 charts or packs were not rendered');
    expect(stderr).toMatch(/pack 'web', chart 'app'/);
    expect(stderr).toMatch(/pack 'db', chart 'db'/);
  });

  it('says of a pack that is nowhere that images may be missing', async () => {
    const profile = join(folder, 'p.json');
    const values = 'charts:\n  app: {image: {repository: x.io/app, tag: "3"}}\n';
    const packs = [{ name: 'web', type: 'oci', layer: 'addon', version: '1.0.0', values }];
    writeFileSync(profile, JSON.stringify({ metadata: { name: 'p' }, spec: { template: { type: 'add-on', packs } } }));
    const { exitCode, stderr } = await runResolve([profile]);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/pack 'web': the pack web 1\.0\.0 was not found.*--pack-dir/s);
    const document = await resolveJson([profile, '--allow-unrendered']);
    expect(summaryOf(document)).toEqual(['x.io/app:3 referenced']);
  });
});
