import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { readPackValues } from '../../../src/profile/packs/pack-values.ts';

const read = (text: string, presets?: string) => readPackValues(text, 'values', presets);
const problemsOf = (text: string) => read(text).problems.map(({ message }) => message);

describe('readPackValues', () => {
  it('reads what the pack says of itself, its charts and its manifests', () => {
    const values = read(`
pack:
  namespace: web
  namespaceLabels:
    web: "a.io/enforce=privileged, b=,c"
    other: {d: e}
    none:
  releaseNameOverride: {web: shop, none: ~}
  spectrocloud.com/install-priority: "10"
  content:
    images:
      - image: nginx:1.27
        purpose: front
      - redis:7
    charts:
      - {repo: "https://charts.example", name: web, version: 1.2.3, digest: x}
options: {system.uri: reg.io/os:1}
charts:
  web: {replicas: 2, enabled: no}
  empty:
manifests:
  job: {tag: "1"}
`);
    expect(values).toMatchObject({
      images: [
        { image: 'nginx:1.27', path: 'pack.content.images[0]' },
        { image: 'redis:7', path: 'pack.content.images[1]' },
      ],
      contentCharts: [
        { repo: 'https://charts.example', name: 'web', version: '1.2.3', path: 'pack.content.charts[0]' },
      ],
      namespace: 'web',
      installPriority: 10,
      problems: [],
      warnings: [],
    });
    expect({ ...values.namespaceLabels }).toEqual({
      web: { 'a.io/enforce': 'privileged', b: '', c: '' },
      other: { d: 'e' },
    });
    expect({ ...values.releaseNames }).toEqual({ web: 'shop' });
    expect({ ...values.options }).toEqual({ 'system.uri': 'reg.io/os:1' });
    expect({ ...values.charts }).toEqual({ web: { replicas: 2, enabled: false } });
    expect({ ...values.manifests }).toEqual({ job: { tag: '1' } });
  });

  it.each([
    '',
    '# nothing\n',
    'pack:\n',
    'pack: {content: {images: , charts: }}',
    'other: 1',
    'charts:\nmanifests:\noptions:\n',
  ])('reads %j as values that say nothing', (text) => {
    expect(read(text)).toMatchObject({
      images: [],
      contentCharts: [],
      namespace: undefined,
      installPriority: 0,
      problems: [],
    });
  });

  it.each([
    ['- a\n', /^values: .*expected object/],
    ['text', /^values: .*expected object/],
    ['a: 1\n---\nb: 1\n', /^values: holds 2 YAML documents/],
    ['a: [', /^values: line 1/],
    ['pack: []', /^values#pack: .*expected object, received array/],
    ['pack: {content: x}', /^values#pack\.content: /],
    ['pack: {content: {images: nginx}}', /^values#pack\.content\.images: .*expected array, received string/],
    [
      'pack: {content: {images: [{image: a}, {image: 1.27}]}}',
      /^values#pack\.content\.images\[1\]\.image: .*expected string, received number/,
    ],
    [
      'pack: {content: {images: [{name: a}]}}',
      /^values#pack\.content\.images\[0\]\.image: .*expected string, received undefined/,
    ],
    ['pack: {content: {images: ["", ]}}', /^values#pack\.content\.images\[0\]\.image: /],
    ['pack: {content: {images: [[a]]}}', /^values#pack\.content\.images\[0\]: .*expected object, received array/],
    [
      'pack: {content: {charts: [{repo: r, name: web, version: 1.2}]}}',
      /^values#pack\.content\.charts\[0\]\.version: .*expected string, received number/,
    ],
    ['pack: {namespace: {a: b}}', /^values#pack\.namespace: .*expected string/],
    ['pack: {namespaceLabels: {a: [b]}}', /^values#pack\.namespaceLabels\.a: expected labels/],
    ['pack: {releaseNameOverride: {a: {b: c}}}', /^values#pack\.releaseNameOverride\.a: .*expected string/],
    ['charts: [web]', /^values#charts: .*expected record, received array/],
    ['charts: {web: text}', /^values#charts\.web: .*expected record, received string/],
    ['manifests: {job: [1]}', /^values#manifests\.job: .*expected record, received array/],
    ['options: 1', /^values#options: .*expected record/],
  ])('names the path of what is wrong in %j', (text, message) => {
    expect(problemsOf(text)).toEqual([expect.stringMatching(message)]);
  });

  it('reports all that is wrong together', () => {
    expect(problemsOf('pack: {namespace: 1, content: {images: [1, 2]}}\ncharts: 3')).toHaveLength(4);
  });

  it('takes what is no number for an install priority as not said', () => {
    const priority = (text: string) => read(`pack: {spectrocloud.com/install-priority: ${text}}`).installPriority;
    expect(['"-5"', '3', 'x', '[1]', '""', '.inf', ''].map(priority)).toEqual([-5, 3, 0, 0, 0, 0, 0]);
  });

  it('takes the last of keys that stand twice, with a warning', () => {
    const { namespace, warnings, problems } = read('pack: {namespace: a, namespace: b}');
    expect([namespace, problems]).toEqual(['b', []]);
    expect(warnings).toEqual([
      expect.stringMatching(/^values: line 1, column 22: Map keys must be unique; the last one counts$/),
    ]);
  });

  it('applies presets before it reads', () => {
    const text = '# spectrocloud.com/enabled-presets: Mode:ha\npack: {namespace: web}\ncharts: {web: {replicas: 1}}\n';
    const presets = 'presets: [{name: ha, group: Mode, add: "charts: {web: {replicas: 3}}"}]';
    const { charts, values, presetChanges, warnings } = read(text, presets);
    expect(charts.web).toEqual({ replicas: 3 });
    expect(values).toEqual({ pack: { namespace: 'web' }, charts: { web: { replicas: 3 } } });
    expect(presetChanges).toEqual(['charts.web.replicas']);
    expect(warnings).toHaveLength(1);
  });

  it('knows no charts but those that the values name', () => {
    const { charts } = read('charts: {web: {}}');
    expect(charts.constructor).toBeUndefined();
    expect(Object.keys(charts)).toEqual(['web']);
  });
});

const packs = fileURLToPath(new URL('../../../../shared/packs/', import.meta.url));

describe.skipIf(!existsSync(packs))('readPackValues on real packs (needs ../shared/packs)', () => {
  it('reads all of them, and every content tag that their text has', async () => {
    for (const folder of await readdir(packs)) {
      const text = await readFile(`${packs}${folder}/values.yaml`, 'utf8');
      const presets = await readFile(`${packs}${folder}/presets.yaml`, 'utf8').catch(() => undefined);
      const { images, problems } = read(text, presets);
      expect(problems, folder).toEqual([]);
      const content = /^ {2}content:\n((?: {3,}.*\n| *#.*\n|\s*\n)*)/m.exec(text)?.[1] ?? '';
      const tags = [...content.matchAll(/^ *- image: *"?([^\s"]+)/gm)].map(([, image]) => image);
      expect(
        images.map(({ image }) => image),
        folder,
      ).toEqual(tags);
    }
  });
});
