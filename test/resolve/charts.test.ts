import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { makeChart, chartFiles } from '../support/helm.ts';
import { podTemplate, type SamplePack, writePack } from '../support/sample-packs.ts';
import { tarGzip, writeFiles } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve, summaryOf } from './run-resolve.ts';

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

describe('resolve on charts', () => {
  it("renders a pack's chart with the pack's values, in its namespace and under its release name", async () => {
    const { images } = await resolvePack({
      values: `pack:
  namespace: apps
  releaseNameOverride: {app: till}
charts:
  app: {tag: "2"}
`,
      charts: {
        app: {
          'values.yaml': 'tag: "1"\nname: app\n',
          'templates/pod.yaml': podTemplate(
            'x.io/{{ .Release.Namespace }}/{{ .Values.name }}:{{ .Values.tag }}',
            '{{ .Release.Name }}',
          ),
        },
      },
    });
    expect(images).toEqual([
      {
        reference: 'x.io/apps/app:2',
        spellings: ['x.io/apps/app:2'],
        classes: ['rendered'],
        sources: [
          {
            profile: 'web',
            pack: 'web',
            chart: 'app',
            path: 'app/templates/pod.yaml#Pod/till.spec.containers[0].image',
            class: 'rendered',
          },
        ],
      },
    ]);
  });

  it("renders a pack's manifests as templates, each with its own values", async () => {
    const document = await resolvePack({
      values: 'manifests:\n  one: {tag: "1"}\n  two: {tag: "2"}\n',
      manifests: { one: podTemplate('x.io/one:{{ .Values.tag }}'), two: podTemplate('x.io/two:{{ .Values.tag }}') },
    });
    expect(summaryOf(document)).toEqual(['x.io/one:1 rendered', 'x.io/two:2 rendered']);
  });

  it('finds hooks, tests and CRDs', async () => {
    const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: stores.example.com}
spec: {versions: [{schema: {openAPIV3Schema: {properties: {image: {type: string, default: "x.io/crd:1"}}}}}]}
`;
    const annotated = (hook: string): string =>
      podTemplate(`x.io/${hook}:1`, hook).replace('metadata:', `metadata:\n  annotations: {helm.sh/hook: ${hook}}`);
    const document = await resolvePack({
      charts: {
        app: {
          'crds/store.yaml': crd,
          'templates/a.yaml': annotated('pre-install'),
          'templates/b.yaml': annotated('test'),
          'templates/c.yaml': annotated('post-delete'),
        },
      },
    });
    expect(summaryOf(document).sort()).toEqual([
      'x.io/crd:1 referenced',
      'x.io/post-delete:1 rendered',
      'x.io/pre-install:1 rendered',
      'x.io/test:1 rendered',
    ]);
  });

  it('finds subcharts that are switched on, under their alias, and not those that are off', async () => {
    const sub = (name: string, type = 'application'): Record<string, string> => ({
      [`charts/${name}/Chart.yaml`]: `apiVersion: v2\nname: ${name}\nversion: 0.1.0\ntype: ${type}\n`,
      [`charts/${name}/values.yaml`]: 'tag: "1"\n',
      [`charts/${name}/templates/${type === 'library' ? '_lib.tpl' : 'pod.yaml'}`]:
        type === 'library'
          ? '{{ define "lib.image" }}x.io/lib:7{{ end }}'
          : podTemplate(`x.io/${name}:{{ .Values.tag }}`),
    });
    const document = await resolvePack({
      values: 'charts:\n  app:\n    second: {tag: "2"}\n    off: {enabled: false}\n',
      charts: {
        app: {
          'Chart.yaml': `apiVersion: v2
name: app
version: 1.2.3
dependencies:
- {name: redis, version: 0.1.0}
- {name: redis, alias: second, version: 0.1.0}
- {name: off, version: 0.1.0, condition: off.enabled}
- {name: lib, version: 0.1.0}
`,
          'templates/pod.yaml': podTemplate('{{ include "lib.image" . }}'),
          ...sub('redis'),
          ...sub('off'),
          ...sub('lib', 'library'),
        },
      },
    });
    expect(referencesOf(document).sort()).toEqual(['x.io/lib:7', 'x.io/redis:1', 'x.io/redis:2']);
  });

  it('takes a library chart that stands alone for content, and renders nothing', async () => {
    const document = await resolvePack({
      charts: { app: { 'Chart.yaml': 'apiVersion: v2\nname: app\nversion: 1.2.3\ntype: library\n' } },
    });
    expect(document).toMatchObject({ images: [], unrendered: [] });
    expect(document.charts.map(({ kind, name }) => `${kind} ${name}`)).toEqual(['pack web', 'chart app']);
  });

  it('finds what a chart declares in its annotations', async () => {
    const document = await resolvePack({
      charts: {
        app: {
          'Chart.yaml': `apiVersion: v2
name: app
version: 1.2.3
annotations:
  artifacthub.io/images: |
    - name: later
      image: x.io/later:1
`,
        },
      },
    });
    expect(summaryOf(document)).toEqual(['x.io/later:1 declared']);
  });

  it('applies the presets that the values name', async () => {
    const document = await resolvePack({
      values: '# spectrocloud.com/enabled-presets: Size:small\ncharts:\n  app: {flavour: full, debug: x.io/debug:1}\n',
      presets: `presets:
- name: small
  group: Size
  remove: [charts.app.debug]
  add: |
    charts: {app: {flavour: small}}
`,
      charts: {
        app: {
          'templates/pod.yaml': podTemplate('x.io/{{ .Values.flavour }}:1'),
          'templates/debug.yaml': `{{ with .Values.debug }}${podTemplate('{{ . }}', 'debug')}{{ end }}`,
        },
      },
    });
    expect(referencesOf(document)).toEqual(['x.io/small:1']);
  });

  it("gives charts the Kubernetes version of the profile's Kubernetes layer, or the one of the command line", async () => {
    const pack: SamplePack = {
      charts: { app: { 'templates/pod.yaml': podTemplate('x.io/a:{{ .Capabilities.KubeVersion.Version }}') } },
    };
    const profile = join(folder, 'profile.json');
    writeFileSync(
      profile,
      JSON.stringify({
        metadata: { name: 'full' },
        spec: {
          template: {
            type: 'cluster',
            packs: [
              { name: 'kubernetes', type: 'oci', layer: 'k8s', version: '1.31.4' },
              { name: 'web', type: 'oci', layer: 'addon', version: '1.0.0' },
            ],
          },
        },
      }),
    );
    writePack(join(folder, 'packs'), pack);
    const args = [profile, '--pack-dir', join(folder, 'packs')];
    expect(referencesOf(await resolveJson(args))).toEqual(['x.io/a:v1.31.4']);
    expect(referencesOf(await resolveJson([...args, '--kube-version', '1.29.0']))).toEqual(['x.io/a:v1.29.0']);
  });

  it('gives charts the API versions that are named', async () => {
    const template = `{{ if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}${podTemplate('x.io/monitor:1')}{{ end }}`;
    const pack = { charts: { app: { 'templates/pod.yaml': template } } };
    expect(referencesOf(await resolvePack(pack))).toEqual([]);
    expect(referencesOf(await resolvePack(pack, '--api-versions', 'monitoring.coreos.com/v1'))).toEqual([
      'x.io/monitor:1',
    ]);
  });

  it('renders a chart that calls lookup as Helm does: it finds nothing', async () => {
    const template = `{{ if not (lookup "v1" "Secret" "default" "s") }}${podTemplate('x.io/first-install:1')}{{ end }}`;
    expect(referencesOf(await resolvePack({ charts: { app: { 'templates/pod.yaml': template } } }))).toEqual([
      'x.io/first-install:1',
    ]);
  });
});

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

describe('resolve on a chart that is given by itself', () => {
  const files = {
    'values.yaml': 'tag: "1"\nmode: "yes"\n',
    'templates/pod.yaml': podTemplate('x.io/{{ kindOf .Values.mode }}:{{ .Values.tag }}'),
  };

  it('reads a folder and an archive', async () => {
    mkdirSync(join(folder, 'charts'));
    writeFiles(join(folder, 'charts'), chartFiles(files));
    writeFileSync(join(folder, 'app.tgz'), tarGzip(chartFiles(files)));
    for (const input of [join(folder, 'charts', 'app'), join(folder, 'app.tgz')]) {
      const document = await resolveJson([input]);
      expect(summaryOf(document)).toEqual(['x.io/string:1 rendered']);
      expect(document.charts).toMatchObject([{ kind: 'chart', name: 'app', version: '1.2.3' }]);
    }
  });

  it('takes its values from --values, with the types that they have there', async () => {
    const path = join(folder, 'app.tgz');
    writeFileSync(path, (await makeChart(files)).archive);
    const values = join(folder, 'values.yaml');
    const withValues = async (text: string): Promise<string[]> => {
      writeFileSync(values, text);
      return referencesOf(await resolveJson([path, '--values', `app=${values}`]));
    };
    expect(await withValues('tag: "2"\n')).toEqual(['x.io/string:2']);
    expect(await withValues('tag: "1_0"\nmode: "off"\n')).toEqual(['x.io/string:1_0']);
    expect(await withValues('tag: "2"\nmode: off\n')).toEqual(['x.io/bool:2']);
  });

  it('names the file of values that cannot be read', async () => {
    const path = join(folder, 'app.tgz');
    writeFileSync(path, tarGzip(chartFiles(files)));
    const values = join(folder, 'values.yaml');
    writeFileSync(values, 'a: [1\n');
    const { exitCode, stderr } = await runResolve([path, '--values', `app=${values}`]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`'${values}'`);
    expect((await runResolve([path, '--values', values])).exitCode).toBe(2);
  });
});
