import { existsSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { type ManifestTemplate, type RenderedTemplates, renderTemplates } from '../../src/helm/render-templates.ts';
import { expectError } from '../support/expect-error.ts';
import { pinnedHelm } from '../support/helm.ts';

const release = { releaseName: 'release', namespace: 'place' };

async function render(templates: readonly ManifestTemplate[]): Promise<RenderedTemplates> {
  return renderTemplates(await pinnedHelm(), { ...release, templates });
}

/** The documents by the manifests' names. */
function bySource({ text }: RenderedTemplates): Record<string, unknown[]> {
  const parts = text.split(/^---\n# Source: (.*)$/m).slice(1);
  const result: Record<string, unknown[]> = {};
  for (let index = 0; index < parts.length; index += 2) {
    const values = parseAllDocuments(parts[index + 1] ?? '').map((document) => document.toJS() as unknown);
    (result[parts[index] ?? ''] ??= []).push(...values);
  }
  return result;
}

describe('renderTemplates', () => {
  it('renders each manifest with its own values', async () => {
    const text = 'a: {{ .Values.a | quote }}\nother: {{ .Values.other | default "none" }}';
    const rendered = await render([
      { name: 'one', text, values: { a: 1 } },
      { name: 'two', text, values: { a: 2, other: 'x' } },
      { name: 'plain', text: 'a: b\n---\nc: d\n', values: undefined },
      { name: 'nothing', text: '{{ if .Values.on }}a: b{{ end }}', values: null },
    ]);
    expect(rendered.failures).toEqual([]);
    expect(bySource(rendered)).toEqual({
      one: [{ a: '1', other: 'none' }],
      two: [{ a: '2', other: 'x' }],
      plain: [{ a: 'b' }, { c: 'd' }],
    });
  });

  it('knows release, capabilities and functions as a chart does', async () => {
    const text = [
      'release: {{ .Release.Name }} {{ .Release.Namespace }} {{ .Release.Service }} {{ .Release.IsInstall }}',
      'kubernetes: {{ .Capabilities.KubeVersion.Version }} {{ .Capabilities.KubeVersion.Minor }}',
      'apis: {{ .Capabilities.APIVersions.Has "a.example/v1" }} {{ .Capabilities.APIVersions.Has "apps/v1" }}',
      'chart: {{ .Chart.Name }}',
      'files: {{ .Files.Get "Chart.yaml" | quote }}',
      'short: {{ "v1.33.5" | substr 1 5 | quote }}',
      'looked: {{ lookup "v1" "Pod" "" "" | toJson }}',
    ].join('\n');
    const options = { ...release, kubeVersion: 'v1.29.1', apiVersions: ['a.example/v1'] };
    const templates = [{ name: 'vsclass', text, values: {} }];
    const rendered = await renderTemplates(await pinnedHelm(), { ...options, templates });
    expect(bySource(rendered)).toEqual({
      vsclass: [
        {
          ...{ release: 'release place Helm true', kubernetes: 'v1.29.1 29', apis: 'true true', chart: 'vsclass' },
          ...{ files: '', short: '1.33', looked: {} },
        },
      ],
    });
  });

  it('takes any names, the same ones too', async () => {
    const names = ['global', 'global', 'a/b c.yaml', 'Ünï"code', 'x'.repeat(200), 'manifest_0', '', 'tags', '../../x'];
    const templates = names.map((name, index) => ({ name, text: 'n: {{ .Values.n }}', values: { n: index } }));
    const rendered = await render(templates);
    expect(rendered.failures).toEqual([]);
    const numbers = Object.entries(bySource(rendered)).flatMap(([name, documents]) =>
      documents.map((document) => [name, (document as { n: number }).n]),
    );
    expect(numbers.sort(([, a], [, b]) => Number(a) - Number(b))).toEqual(names.map((name, index) => [name, index]));
  });

  it('gives the values of none to another', async () => {
    const text = 'seen: {{ toJson .Values | b64enc }}';
    const rendered = await render([
      { name: 'global', text, values: { secret: 1 } },
      { name: 'other', text, values: { x: 2 } },
    ]);
    const [seen] = bySource(rendered).other as { seen: string }[];
    expect(JSON.parse(Buffer.from(seen?.seen ?? '', 'base64').toString())).toEqual({ global: {}, x: 2 });
  });

  it('names the manifests that cannot be rendered, and renders the others', async () => {
    const good = (name: string): ManifestTemplate => ({ name, text: `is: ${name}`, values: {} });
    const rendered = await render([
      good('first'),
      { name: 'cut', text: 'a: b\n{{- if .Values.x }}', values: {} },
      good('second'),
      { name: 'needs', text: 'a: {{ required "a name is needed" .Values.name }}', values: {} },
      { name: 'text', text: 'a: b', values: 'no mapping' },
      { name: 'yaml', text: 'a: b: c', values: {} },
      good('third'),
    ]);
    expect(bySource(rendered)).toEqual({
      first: [{ is: 'first' }],
      second: [{ is: 'second' }],
      third: [{ is: 'third' }],
    });
    const messages = rendered.failures.map(({ name, error }) => `${name} ${error.code} ${error.message}`).sort();
    expect(messages).toEqual([
      'cut RENDER_FAILED cannot render manifest cut: parse error at (cut:2): unexpected EOF',
      'needs RENDER_FAILED cannot render manifest needs: execution error at (needs:1:6): a name is needed',
      expect.stringMatching(/^text RENDER_FAILED cannot render manifest text: .*mapping/),
      expect.stringMatching(/^yaml RENDER_FAILED cannot render manifest yaml: YAML parse error on yaml: /),
    ]);
  });

  it('is bounded and can be interrupted', async () => {
    const text = '{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}';
    const templates = [{ name: 'loop', text, values: {} }];
    const { failures } = await renderTemplates(await pinnedHelm(), { ...release, templates, timeoutMs: 1000 });
    expect(failures.map(({ error }) => error.message)).toEqual([
      'cannot render manifest loop: it did not end within 1 s',
    ]);
    const helm = await pinnedHelm();
    await expectError('ABORTED', '', () =>
      renderTemplates(helm, { ...release, templates, signal: AbortSignal.abort() }),
    );
  });

  it('renders nothing where there is nothing', async () => {
    expect(await render([])).toEqual({ text: '', failures: [] });
  });

  const pack = new URL('../../../shared/packs/external-snapshotter-4.0.1/', import.meta.url);
  it.skipIf(!existsSync(pack))('renders the manifests of a real pack, of which one is broken', async () => {
    const { kubeManifests } = JSON.parse(readFileSync(new URL('pack.json', pack), 'utf8')) as {
      kubeManifests: string[];
    };
    const templates = kubeManifests.map((path) => {
      return { name: path, text: readFileSync(new URL(path, pack), 'utf8'), values: {} };
    });
    const rendered = await render(templates);
    expect(rendered.failures.map(({ name }) => name)).toEqual(['manifests/vsclass.yaml']);
    const images = [...rendered.text.matchAll(/^\s*image: (.*)$/gm)].map(([, image]) => image).sort();
    const written = templates.flatMap(({ text }) =>
      [...text.matchAll(/^\s*(?:- )?image: (.*)$/gm)].map(([, image]) => image),
    );
    expect(images.length).toBeGreaterThan(3);
    expect(images).toEqual(written.sort());
  });
});
