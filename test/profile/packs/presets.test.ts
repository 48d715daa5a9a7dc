import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { applyPresets } from '../../../src/profile/packs/presets.ts';
import { parseYaml } from '../../../src/profile/yaml-text.ts';

const apply = (text: string, presets: string | undefined) =>
  applyPresets({ text, values: parseYaml(text, 'values').documents[0] ?? {}, presets, where: 'values' });

const ingress = `
presets:
  - name: enable
    displayName: Enable
    group: Ingress Controller
    remove: ["charts.web.service.host", "charts.web.old"]
    add: |
      charts:
        web:
          ingress: {enabled: true, hosts: [a]}
          service: {type: ClusterIP}
  - {name: disable, group: Ingress Controller, remove: [], add: "charts: {web: {ingress: {enabled: false}}}"}
  - {name: "two:parts", group: Size, add: "size: 2"}
  - {name: nothing, group: Size, remove: null, add: ""}
`;

describe('applyPresets', () => {
  it('removes, then lays what a preset adds over the values', () => {
    const text = `# spectrocloud.com/enabled-presets: Ingress Controller:enable
charts:
  web: {image: nginx, service: {type: LoadBalancer, host: h, port: 80}, old: 1, ingress: {hosts: [b, c], class: x}}
`;
    const { values, changes, warnings, problems } = apply(text, ingress);
    expect(values).toEqual({
      charts: {
        web: {
          image: 'nginx',
          service: { type: 'ClusterIP', port: 80 },
          ingress: { enabled: true, hosts: ['a'], class: 'x' },
        },
      },
    });
    expect(changes).toEqual([
      'charts.web.service.type',
      'charts.web.service.host',
      'charts.web.old',
      'charts.web.ingress.hosts',
    ]);
    expect(warnings).toEqual([
      `values: its presets (Ingress Controller:enable) override values that are set otherwise: ${changes.join(', ')}`,
    ]);
    expect(problems).toEqual([]);
  });

  it('changes nothing where the values hold the preset already', () => {
    const text =
      '# a comment\n\n# spectrocloud.com/enabled-presets: Ingress Controller:disable, Size:two:parts\nsize: 2\ncharts: {web: {ingress: {enabled: false}}}\n';
    const { values, changes, warnings } = apply(text, ingress);
    expect(values).toEqual({ size: 2, charts: { web: { ingress: { enabled: false } } } });
    expect([changes, warnings]).toEqual([[], []]);
  });

  it('applies several in the order in which they are named', () => {
    const text =
      '# spectrocloud.com/enabled-presets: Ingress Controller:enable,Ingress Controller:disable,Size:nothing\n';
    expect(apply(text, ingress).values).toMatchObject({
      charts: { web: { ingress: { enabled: false, hosts: ['a'] } } },
    });
  });

  it.each([
    ['an empty line', '# spectrocloud.com/enabled-presets:\na: 1\n', ingress],
    ['commas only', '# spectrocloud.com/enabled-presets: , ,\na: 1\n', undefined],
    ['a line that is not at the beginning', 'a: 1\n# spectrocloud.com/enabled-presets: Size:two:parts\n', ingress],
    ['a line inside of a value', 'a: |\n  # spectrocloud.com/enabled-presets: Size:two:parts\n', ingress],
    ['no line', 'a: 1\n', 'no: [yaml'],
  ])('applies nothing with %s', (_what, text, presets) => {
    expect(apply(text, presets)).toEqual({
      values: parseYaml(text, 'values').documents[0],
      changes: [],
      warnings: [],
      problems: [],
    });
  });

  it.each([
    ['an absent file', undefined],
    ['an empty file', ''],
    ['a file of comments', '# none\n'],
    ['other presets', ingress],
  ])('warns of presets that do not exist: %s', (_what, presets) => {
    const { values, warnings, problems } = apply('# spectrocloud.com/enabled-presets: A:b,C:d\nx: 1\n', presets);
    expect(values).toEqual({ x: 1 });
    expect(warnings).toEqual(['values: the values name presets that the pack does not have: A:b, C:d']);
    expect(problems).toEqual([]);
  });

  it('removes what has dots in its keys, the longest key first', () => {
    const presets = 'presets: [{name: p, group: g, remove: [a.b.c.d, x.y, gone.z, "0.1"]}]';
    const values =
      '# spectrocloud.com/enabled-presets: g:p\na.b: {c: {d: 1}, c.d: 2}\na: {b: {c: {d: 3}}}\nx: {y: {z: 1}}\n';
    expect(apply(values, presets).values).toEqual({ 'a.b': { c: { d: 1 } }, a: { b: { c: { d: 3 } } }, x: {} });
  });

  it.each([
    ['is no YAML', 'presets: [', /presets\.yaml: line 1/],
    ['has no list', 'presets: {a: 1}', /presets\.yaml#presets: .*expected array/],
    ['has a preset without a name', 'presets: [{group: g}]', /presets\.yaml#presets\[0\]\.name: /],
    [
      'removes no path',
      'presets: [{name: p, group: g, remove: [{a: 1}]}]',
      /presets\.yaml#presets\[0\]\.remove\[0\]: /,
    ],
    ['adds no mapping', 'presets: [{name: p, group: g, add: "[1]"}]', /preset 'g:p': what it adds is no mapping/],
    ['adds no YAML', 'presets: [{name: p, group: g, add: "a: ["}]', /preset 'g:p': line 1/],
  ])('reports a presets.yaml that %s', (_what, presets, message) => {
    const { problems } = apply('# spectrocloud.com/enabled-presets: g:p\n', presets);
    expect(problems.map(({ code }) => code)).toContain('PROFILE_INVALID');
    expect(problems[0]?.message).toMatch(message);
  });

  it('does not let a preset reach prototypes', () => {
    const presets = 'presets: [{name: p, group: g, remove: [constructor.name], add: "__proto__: {polluted: true}"}]';
    const { values } = apply('# spectrocloud.com/enabled-presets: g:p\na: 1\n', presets);
    expect(Object.keys(values as object)).toEqual(['a', '__proto__']);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

const packs = fileURLToPath(new URL('../../../../shared/packs/', import.meta.url));

describe.skipIf(!existsSync(packs))('applyPresets on real packs (needs ../shared/packs)', () => {
  it('applies every preset that there is, and all that it adds is there afterwards', async () => {
    let count = 0;
    for (const folder of await readdir(packs)) {
      const text = await readFile(`${packs}${folder}/presets.yaml`, 'utf8').catch(() => '');
      const { presets = [] } = (parse(text) ?? {}) as { presets?: { name: string; group: string; add: string }[] };
      const values = await readFile(`${packs}${folder}/values.yaml`, 'utf8');
      for (const { name, group, add } of presets) {
        const header = `# spectrocloud.com/enabled-presets: ${group}:${name}\n`;
        const result = apply(header + values.replace(/^#.*enabled-presets.*$/m, ''), text);
        expect(result.problems, `${folder} ${name}`).toEqual([]);
        expect(result.values).toMatchObject(parse(add, { merge: true }) as object);
        count += 1;
      }
    }
    expect(count).toBeGreaterThanOrEqual(10);
  });

  it('finds that the values of the packs hold the presets that they name', async () => {
    for (const folder of await readdir(packs)) {
      const values = await readFile(`${packs}${folder}/values.yaml`, 'utf8');
      const presets = await readFile(`${packs}${folder}/presets.yaml`, 'utf8').catch(() => undefined);
      expect(apply(values, presets), folder).toMatchObject({ changes: [], problems: [] });
    }
  });
});
