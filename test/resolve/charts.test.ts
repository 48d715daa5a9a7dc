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

  const preset: SamplePack = {
    presets: `presets:
- name: small
  group: Size
  remove: [charts.app.debug]
  add: |
    charts: {app: {flavour: small}}
`,
    charts: {
      app: {
        'templates/pod.yaml': podTemplate('x.io/{{ .Values.flavour | default "none" }}:1'),
        'templates/debug.yaml': `{{ with .Values.debug }}${podTemplate('{{ . }}', 'debug')}{{ end }}`,
        'templates/same.yaml': podTemplate('x.io/same:1', 'same'),
      },
    },
  };
  const header = '# spectrocloud.com/enabled-presets: Size:small\n';

  it('applies the presets that the values name', async () => {
    const values = 'charts: {app: {replicas: 1}}\n';
    const applied = await resolvePack({ ...preset, values: header + values });
    expect(referencesOf(applied).sort()).toEqual(['x.io/same:1', 'x.io/small:1']);
    expect(referencesOf(await resolvePack({ ...preset, values })).sort()).toEqual(['x.io/none:1', 'x.io/same:1']);
  });

  it('finds both where the values were edited since a preset was chosen, and each place once', async () => {
    const values = `${header}charts:\n  app: {flavour: full, debug: x.io/debug:1}\n`;
    const document = await resolvePack({ ...preset, values });
    expect(referencesOf(document).sort()).toEqual(['x.io/debug:1', 'x.io/full:1', 'x.io/same:1', 'x.io/small:1']);
    expect(document.warnings).toEqual([
      expect.stringMatching(/Size:small.*override.*charts\.app\.flavour, charts\.app\.debug/) as string,
    ]);
    for (const { sources } of [...document.images, ...document.charts]) expect(sources).toHaveLength(1);
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
