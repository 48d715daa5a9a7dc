import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { renderChart, type RenderChartOptions } from '../../src/helm/render-chart.ts';
import { expectError } from '../support/expect-error.ts';
import { chartFiles, makeChart, pinnedHelm } from '../support/helm.ts';
import { type FileTexts, tarGzip } from '../support/tar-archive.ts';

type Options = Partial<Omit<RenderChartOptions, 'chart'>>;

async function render(files: FileTexts, options: Options = {}): Promise<string> {
  const chart = await makeChart(files);
  const defaults = { releaseName: 'release', namespace: 'place', values: {} };
  const { text, warnings } = await renderChart(await pinnedHelm(), { ...defaults, ...options, chart });
  expect(warnings).toEqual([]);
  return text;
}

/** The value of a template that is one YAML document. */
async function value(template: string, options: Options = {}): Promise<unknown> {
  const [document] = parseAllDocuments(await render({ 'templates/a.yaml': template }, options));
  return document?.toJS();
}

const v1 = 'apiVersion: v1\nname: app\nversion: 1.2.3\n';
const v2 = 'apiVersion: v2\nname: app\nversion: 1.2.3\n';

describe('renderChart', () => {
  it('gives the templates with the values, each after the name of its template', async () => {
    const files = {
      'values.yaml': 'image: {repository: nginx, tag: "1.27"}\n',
      'templates/pod.yaml': 'image: {{ .Values.image.repository }}:{{ .Values.image.tag }}',
    };
    expect(await render(files, { values: { image: { tag: '1.28' } } })).toBe(
      '---\n# Source: app/templates/pod.yaml\nimage: nginx:1.28\n',
    );
  });

  it('knows release, namespace, the version of Kubernetes and its APIs', async () => {
    const template = [
      'release: {{ .Release.Name }} {{ .Release.Namespace }} {{ .Release.Service }} {{ .Release.IsInstall }}',
      'chart: {{ .Chart.Name }}-{{ .Chart.Version }}',
      'kubernetes: {{ .Capabilities.KubeVersion.Version }}',
      'own: {{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}',
      'core: {{ .Capabilities.APIVersions.Has "apps/v1" }}',
      'other: {{ .Capabilities.APIVersions.Has "example.com/v1" }}',
    ].join('\n');
    const options = { kubeVersion: 'v1.30.4+k3s1', apiVersions: ['a.example/v1', 'monitoring.coreos.com/v1'] };
    expect(await value(template, options)).toEqual({
      ...{ release: 'release place Helm true', chart: 'app-1.2.3', kubernetes: 'v1.30.4+k3s1' },
      ...{ own: true, core: true, other: false },
    });
  });

  it('passes values of every kind on unchanged', async () => {
    const values = {
      text: 'a "quoted" {{ text }} with \u007f, \u0085, \u2028, \ufeff, \n and 🚢',
      yes: 'yes',
      octal: '0644',
      number: 1.5,
      large: 1234567890123,
      list: [1, 'two', null, { three: 3 }],
      nothing: null,
      'key with: colon': true,
    };
    const shown = await value('json: {{ toJson .Values | b64enc }}', { values });
    const json = Buffer.from((shown as { json: string }).json, 'base64').toString('utf8');
    expect(JSON.parse(json)).toEqual(values);
  });

  it('takes no values for an empty mapping, and refuses what is no mapping', async () => {
    expect(await value('n: {{ len .Values }}', { values: null })).toEqual({ n: 0 });
    await expectError('RENDER_FAILED', 'not a mapping', () => value('a: b', { values: ['x'] }));
    await expectError('RENDER_FAILED', 'not a mapping', () => value('a: b', { values: 'x: y' }));
  });

  it('includes hooks, tests and CRDs', async () => {
    const hook = (name: string): string => `kind: Pod\nmetadata: {annotations: {helm.sh/hook: ${name}}}`;
    const text = await render({
      'crds/crd.yaml': 'kind: CustomResourceDefinition\n',
      'templates/hook.yaml': hook('pre-install'),
      'templates/delete.yaml': hook('post-delete'),
      'templates/tests/test.yaml': hook('test'),
    });
    const sources = [...text.matchAll(/^# Source: (.*)$/gm)].map(([, source]) => source);
    expect(sources.sort()).toEqual([
      'app/crds/crd.yaml',
      'app/templates/delete.yaml',
      'app/templates/hook.yaml',
      'app/templates/tests/test.yaml',
    ]);
  });

  it('renders subcharts of folders and of archives, by their alias too, and not those that are switched off', async () => {
    const sub = (name: string): FileTexts =>
      chartFiles({ 'templates/a.yaml': `${name}: {{ .Values.image }}`, 'values.yaml': `image: ${name}:1\n` }, name);
    const folder = Object.fromEntries(Object.entries(sub('one')).map(([path, text]) => [`charts/${path}`, text]));
    const text = await render(
      {
        'Chart.yaml': `${v2}dependencies:
- {name: one, version: 1.2.3}
- {name: two, version: 1.2.3, alias: second}
- {name: two, version: 1.2.3, alias: third}
- {name: spare, version: 1.2.3, condition: spare.enabled}
`,
        'values.yaml': 'spare: {enabled: false}\nthird: {image: third:1}\n',
        ...folder,
        'charts/two-1.2.3.tgz': tarGzip(sub('two')),
        'charts/spare-1.2.3.tgz': tarGzip(sub('spare')),
      },
      { values: { second: { image: 'second:1' } } },
    );
    expect(text.match(/^\w+: .*$/gm)?.sort()).toEqual(['one: one:1', 'two: second:1', 'two: third:1']);
    expect(text).toContain('# Source: app/charts/second/templates/a.yaml');
  });

  it('reads the requirements of a chart of API version v1', async () => {
    const sub = chartFiles({ 'templates/a.yaml': 'a: {{ .Values.x }}', 'values.yaml': 'x: default\n' }, 'sub');
    const files = {
      'Chart.yaml': v1,
      'requirements.yaml': 'dependencies:\n- {name: sub, version: ">=1", alias: other, condition: other.enabled}\n',
      'charts/sub.tgz': tarGzip(sub),
    };
    expect(await render(files)).toContain('a: default');
    expect((await render(files, { values: { other: { enabled: false } } })).trim()).toBe('');
  });

  it('lets a chart use a library chart, and does not render one alone', async () => {
    const library = chartFiles(
      {
        'Chart.yaml': 'apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n',
        'templates/_image.tpl': '{{ define "lib.image" }}registry.example/{{ .Values.name }}:2{{ end }}',
      },
      'lib',
    );
    const files = {
      'charts/lib.tgz': tarGzip(library),
      'templates/a.yaml': 'image: {{ include "lib.image" . }}',
    };
    expect(await render(files, { values: { name: 'app' } })).toContain('image: registry.example/app:2');
    const alone = { 'Chart.yaml': `${v2}type: library\n` };
    await expectError('RENDER_FAILED', 'library charts are not installable', () => render(alone));
  });

  it('lets lookup find nothing', async () => {
    const template = '{{ $s := lookup "v1" "Secret" "a" "b" }}found: {{ if $s }}yes{{ else }}nothing{{ end }}';
    expect(await value(template)).toEqual({ found: 'nothing' });
  });

  it('says why a chart that needs values does not render', async () => {
    const error = await expectError('RENDER_FAILED', 'a password is needed', () =>
      value('a: {{ required "a password is needed" .Values.password }}'),
    );
    expect(error.message).toBe(
      'cannot render chart app 1.2.3: execution error at (app/templates/a.yaml:1:6): a password is needed',
    );
    expect(error.exitCode).toBe(3);
  });

  it('says which value does not fit the schema', async () => {
    const files = { 'values.schema.json': '{"properties": {"replicas": {"type": "integer"}}}' };
    const error = await expectError('RENDER_FAILED', "at '/replicas': got string, want integer", () =>
      render(files, { values: { replicas: 'many' } }),
    );
    expect(error.message).not.toMatch(/many|\n/);
  });

  it('says which version of Kubernetes a chart wants', async () => {
    const files = { 'Chart.yaml': `${v2}kubeVersion: ">=1.32.0"\n`, 'templates/a.yaml': 'a: b' };
    expect(await render(files, { kubeVersion: 'v1.33.0' })).toContain('a: b');
    const options = { kubeVersion: 'v1.31.5' };
    await expectError('RENDER_FAILED', 'chart requires kubeVersion: >=1.32.0', () => render(files, options));
  });

  it('says that a subchart is missing, and does not fetch it', async () => {
    const files = {
      'Chart.yaml': `${v2}dependencies: [{name: gone, version: 1, repository: "https://127.0.0.1:9"}]\n`,
    };
    await expectError('RENDER_FAILED', 'missing in charts/ directory: gone', () => render(files));
  });

  it.each([
    ['YAML that is none', 'a: b: c', 'mapping values are not allowed'],
    ['a template that is none', '{{ if }}', 'missing value for if'],
    ['a field of nothing', 'a: {{ .Values.a.b }}', 'nil pointer evaluating'],
    ['a function that there is not', '{{ exec "sh" }}', 'function "exec" not defined'],
  ])('says the reason for %s, with the template and no path of this machine', async (_what, template, reason) => {
    const error = await expectError('RENDER_FAILED', reason, () => value(template));
    expect(error.message).toContain('app/templates/a.yaml');
    expect(error.message).not.toMatch(/\/tmp|edge-bundle-|--debug|\n/);
  });

  it('does not repeat secrets of the values in the reason', async () => {
    const template = '{{ fail (printf "bad login %s with %s" .Values.user .Values.auth.adminPassword) }}';
    const values = { user: 'admin', auth: { adminPassword: 'correct-horse' } };
    const error = await expectError('RENDER_FAILED', 'bad login admin with [redacted]', () =>
      value(template, { values }),
    );
    expect(error.message).not.toContain('correct-horse');
  });

  it.each([
    ['release', { releaseName: '--post-renderer=/bin/sh' }],
    ['version of Kubernetes', { kubeVersion: '--debug' }],
  ])('does not take a %s for an option of Helm', async (_what, options) => {
    await expectError('RENDER_FAILED', '', () => value('a: b', options));
  });

  it('does not take a namespace for an option of Helm', async () => {
    const namespace = '--kube-version=v1.2.3';
    expect(await value('a: {{ .Release.Namespace | quote }}', { namespace })).toEqual({ a: namespace });
  });

  it('renders many at once', async () => {
    const texts = await Promise.all(['a', 'b', 'c', 'd'].map((x) => value('x: {{ .Values.x }}', { values: { x } })));
    expect(texts).toEqual([{ x: 'a' }, { x: 'b' }, { x: 'c' }, { x: 'd' }]);
  });
});
