import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { findMacros } from '../../../src/profile/macros/macro-text.ts';
import { MacroContext, type MacroPack, type MacroSources } from '../../../src/profile/macros/macros.ts';
import { pathsOf, placeholdersIn } from '../../../src/profile/macros/placeholders.ts';
import { parseYaml } from '../../../src/profile/yaml-text.ts';
import { processorTime } from '../../support/processor-time.ts';

const pack = (name: string, values = '', layer = 'addon', version = '1.0.0'): MacroPack => ({
  name,
  values,
  layer,
  version,
});

const context = (sources: Partial<MacroSources> = {}) => new MacroContext({ packs: [], ...sources });
const given = (values: Readonly<Record<string, string>>) => ({ given: new Map(Object.entries(values)) });

/** The text, which has to resolve. */
const resolve = (text: string, sources: Partial<MacroSources>) => {
  const result = context(sources).resolve(text, 'values');
  expect([result.unresolved, result.problems]).toEqual([[], []]);
  return result.text;
};

const reasonOf = (text: string, sources: Partial<MacroSources> = {}) =>
  context(sources)
    .resolve(text, 'values')
    .unresolved.map(({ reason }) => reason);

describe('MacroContext', () => {
  it('resolves references to packs, whose names and keys may have dots and hyphens', () => {
    const packs = [
      pack('edge-os.v2', 'options:\n  system.uri: reg.io/os:1\n  system: {repo: os, "a.b": {"c-d": 7}}\n'),
      pack('edge-os', 'v2: {options: {system.uri: wrong}}\n'),
    ];
    const text =
      'a: {{ .spectro.pack.edge-os.v2.options.system.uri }}\nb: {{.spectro.pack.edge-os.v2.options.system.a.b.c-d}}';
    expect(resolve(text, { packs })).toBe('a: reg.io/os:1\nb: 7');
  });

  it('resolves the Kubernetes version from the Kubernetes layer, or as it is given', () => {
    const packs = [pack('k3s', '', 'k8s', '1.31.4')];
    const text = 'v{{ .spectro.system.kubernetes.version | substr 0 4 }}';
    expect(resolve(text, { packs })).toBe('v1.31');
    expect(resolve(text, { packs, ...given({ 'system.kubernetes.version': '1.29.1' }) })).toBe('v1.29');
    expect(reasonOf(text)).toEqual(['the profiles have no Kubernetes layer with a version']);
  });

  it('resolves variables, macros and what the cluster knows, as they are given', () => {
    const values = given({ tag: '2', 'macro.registry': 'reg.io', 'system.cluster.name': 'store-1' });
    const variables = [
      { name: 'tag', defaultValue: '1' },
      { name: 'repo', defaultValue: 'web' },
    ];
    const text =
      '{{ .spectro.macro.registry }}/{{.spectro.var.repo}}:{{ .spectro.var.tag }}-{{ .spectro.system.cluster.name }}';
    expect(resolve(text, { variables, ...values })).toBe('reg.io/web:2-store-1');
  });

  it('resolves macros inside of values, to any depth', () => {
    const packs = [
      pack(
        'os',
        'uri: "{{ .spectro.pack.os.host }}/os:{{ .spectro.system.kubernetes.version }}"\nhost: "{{ .spectro.var.host }}"',
      ),
      pack('k8s', '', 'k8s', '1.31.4'),
    ];
    const variables = [{ name: 'host', defaultValue: '{{ .spectro.macro.host | lower }}' }];
    const text = 'image: "{{.spectro.pack.os.uri}}"';
    expect(resolve(text, { packs, variables, ...given({ 'macro.host': 'REG.io' }) })).toBe('image: "reg.io/os:1.31.4"');
  });

  it('prints numbers and booleans as they are, and takes nulls as empty', () => {
    const packs = [pack('p', 'a: 22\nb: 22.04\nc: yes\nd:\ne: -3\n')];
    const text =
      '{{ .spectro.pack.p.a }} {{ .spectro.pack.p.b }} {{ .spectro.pack.p.c }} [{{ .spectro.pack.p.d }}] {{ .spectro.pack.p.e }}';
    expect(resolve(text, { packs })).toBe('22 22.04 true [] -3');
  });

  it('takes the default where a pack does not say, also in quotes inside of quotes', () => {
    const packs = [pack('p', 'a: ""\n')];
    const text = String.raw`a: "{{ .spectro.pack.p.version | default \"1.19.0\"}}", {{ .spectro.pack.p.a | default "b" }}`;
    expect(resolve(text, { packs })).toBe('a: "1.19.0", b');
  });

  it('does not guess by a default what another profile or the user may say', () => {
    const text = '{{ .spectro.pack.other.version | default "1" }} {{ .spectro.var.x | default "1" }}';
    expect(reasonOf(text, { variables: [{ name: 'x' }] })).toEqual([
      "the profiles have no pack that 'other.version' may begin with",
      "the variable 'x' has no default, and no value is given",
    ]);
  });

  it('takes macros that span lines', () => {
    const text = 'a: "{{\n  .spectro.var.x |\n  upper }}"\nb: {{ .spectro.var.missing }}';
    const { text: resolved, unresolved } = context(given({ x: 'v' })).resolve(text, 'values');
    expect(resolved).toMatch(/^a: "V"\nb: unresolved/);
    expect(unresolved.map(({ line }) => line)).toEqual([4]);
  });

  it('leaves all other templates as they are', () => {
    const text =
      'a: {{ .Values.x }}\n{{- range .Values.spectro.list }}\n{{ include "a.spectro.b" . }}\n{{ "{{ x }}" }} {{ `.spectro.var.x` }}\n' +
      '{{ $.spectro.var.x }} {{ .spectro }} {{ .spectro.var.x';
    expect(context().resolve(text, 'values')).toEqual({ text, unresolved: [], problems: [] });
  });

  it('puts a placeholder where the value is not known, the same one everywhere, and tells its paths', () => {
    const text =
      'charts:\n  web:\n    image: {repo: "reg.io/{{ .spectro.var.a }}", tag: v1}\n    env: [x, {{ .spectro.var.b }}]\n    "k-{{ .spectro.var.b }}": {{ .spectro.var.a }}\n';
    const { text: resolved, unresolved } = context().resolve(text, 'values');
    expect(unresolved.map(({ macro, line }) => [macro, line])).toEqual([
      ['{{ .spectro.var.a }}', 3],
      ['{{ .spectro.var.b }}', 4],
    ]);
    const [a = '', b = ''] = unresolved.map(({ placeholder }) => placeholder);
    const [values] = parseYaml(resolved, 'values').documents;
    expect(placeholdersIn(values).sort()).toEqual([a, b].sort());
    expect(pathsOf(a, values)).toEqual(['charts.web.image.repo', `charts.web.k-${b}`]);
    expect(pathsOf(b, values)).toEqual(['charts.web.env[1]', `charts.web.k-${b}`]);
    expect(placeholdersIn(`REG.IO/${a.toUpperCase()}:v${b}0`)).toEqual([a, b]);
    expect(a).toMatch(/^[a-z][a-z0-9]+$/);
  });

  it('puts other placeholders for a second look', () => {
    const text = 'a: "{{ .spectro.var.a }}"\n';
    const styles = (['word', 'otherWord', 'number', 'empty'] as const).map(
      (placeholders) => context().resolve(text, 'values', { placeholders }).text,
    );
    expect(new Set(styles).size).toBe(4);
    expect(styles.map((each) => placeholdersIn(each).length)).toEqual([1, 1, 0, 0]);
    expect(styles[2]).toMatch(/^a: "[1-5][0-9]{4}"\n$/);
    expect(styles[3]).toBe('a: ""\n');
  });

  it('names the innermost macro that has no value, and keeps what is known around it', () => {
    const packs = [pack('os', 'uri: "reg.io/os:{{ .spectro.macro.tag }}-{{ .spectro.macro.tag }}"')];
    const { text, unresolved } = context({ packs }).resolve('a: {{ .spectro.pack.os.uri }}', 'values');
    expect(unresolved).toEqual([
      {
        macro: '{{ .spectro.macro.tag }}',
        reason: "no value is given for the project or tenant macro 'tag'",
        hint: 'Give it with --var macro.tag=VALUE, or in a --var-file.',
        placeholder: unresolved[0]?.placeholder,
        line: 1,
      },
    ]);
    expect(text).toBe(`a: reg.io/os:${unresolved[0]?.placeholder}-${unresolved[0]?.placeholder}`);
  });

  it('applies no function to what is not known', () => {
    const packs = [pack('os', 'tag: "v{{ .spectro.macro.tag }}"')];
    const text = '{{ .spectro.pack.os.tag | substr 0 4 }}{{ .spectro.pack.os.tag | default "x" }}';
    const { text: resolved, unresolved } = context({ packs }).resolve(text, 'values');
    expect(unresolved.map(({ macro, reason }) => [macro, reason])).toEqual([
      ['{{ .spectro.pack.os.tag | substr 0 4 }}', "no value is given for the project or tenant macro 'tag'"],
      ['{{ .spectro.pack.os.tag | default "x" }}', "no value is given for the project or tenant macro 'tag'"],
    ]);
    expect(resolved).toBe(unresolved.map(({ placeholder }) => placeholder).join(''));
  });

  it.each([
    ['{{ .spectro.var.x | ghost }}', "the function 'ghost' is not known here"],
    ['{{ .spectro.var.x | substr 9 10 }}', "the function 'substr': its text is shorter than that"],
    ['{{ if .spectro.var.x }}', "the function 'if' is not known here"],
    ['{{ .Values.x | default .spectro.var.x }}', 'the expression is not understood'],
    ['{{- .spectro.var.x }}', 'what {{- and -}} cut off in a macro is not known'],
    ['{{ .spectro.ghost.x }}', "macros of the kind 'ghost' are not known"],
    ['{{ .spectro.system.user.name }}', 'only the running cluster knows it'],
    ['{{ .spectro.pack.p.map }}', "'map' in the values of the pack 'p' is no single value"],
    ['{{ .spectro.pack.p.list }}', "'list' in the values of the pack 'p' is no single value"],
    [
      '{{ .spectro.pack.p.number }}',
      "'number' in the values of the pack 'p' is a number that is not printed as it is written",
    ],
    ['{{ .spectro.pack.p.ghost }}', "the values of the pack 'p' have no 'ghost'"],
    ['{{ .spectro.pack.p.toString }}', "the values of the pack 'p' have no 'toString'"],
    ['{{ .spectro.pack.p }}', "the profiles have no pack that 'p' may begin with"],
    ['{{ .spectro.pack.broken.x }}', "the values of the pack 'broken' cannot be read"],
  ])('leaves %s unresolved, with the reason', (text, reason) => {
    const packs = [pack('p', 'map: {a: 1}\nlist: [1]\nnumber: 1.10\n'), pack('broken', 'x: [')];
    expect(reasonOf(text, { packs, ...given({ x: 'abc' }) })).toEqual([reason]);
  });

  it('says which kinds of macros there are, where one is none of these', () => {
    const { unresolved } = context({ packs: [] }).resolve('{{ .spectro.vr.tag }}', 'values');
    expect(unresolved[0]?.hint).toContain("'pack', 'var', 'macro' and 'system'");
  });

  it('ignores macros in comments, and only those', () => {
    const text = [
      '# {{ .spectro.var.a }}',
      'b: "x # {{ .spectro.var.b }}"',
      "c: 'x # {{ .spectro.var.c }}'",
      'd: x#{{ .spectro.var.d }} # {{ .spectro.var.e }} {{ .spectro.var.e2 }}',
      'f: |',
      '  # {{ .spectro.var.f }}',
      '# {{ .spectro.var.g }}',
      'h: [a, # {{ .spectro.var.h }}',
      '  {{ .spectro.var.i }}]',
      '{{- if .Values.x }} # {{ .spectro.var.j }}',
      'k: {{ .Values.x }}{{ .spectro.var.k }}',
      '{{- end }}',
      '   # {{ .spectro.pack.loop.x }}',
    ].join('\n');
    const packs = [pack('loop', 'x: "{{ .spectro.pack.loop.x }}"')];
    const { text: resolved, unresolved, problems } = context({ packs }).resolve(text, 'values');
    expect(unresolved.map(({ macro }) => macro.replace(/.*var\.(\w+).*/, '$1')).join('')).toBe('bcdfik');
    expect(problems).toEqual([]);
    // Nothing that Helm would stumble over stays.
    expect(resolved).not.toContain('.spectro.');
  });

  it('reports macros that lead to themselves, with the chain', () => {
    const packs = [pack('a', 'x: "{{ .spectro.pack.b.y }}"'), pack('b', 'y: "{{ .spectro.var.z | upper }}"')];
    const variables = [{ name: 'z', defaultValue: '{{ .spectro.pack.a.x }}' }];
    const { problems } = context({ packs, variables }).resolve('\nk: {{ .spectro.pack.a.x }}', "pack 'web', values");
    expect(problems.map(({ code, message }) => [code, message])).toEqual([
      [
        'PROFILE_INVALID',
        "pack 'web', values, line 2: the macro '.spectro.pack.a.x': leads to itself: .spectro.pack.a.x → .spectro.pack.b.y → .spectro.var.z → .spectro.pack.a.x",
      ],
    ]);
  });

  it('quotes no value in reasons and problems', () => {
    const secret = 'hunter2 {{ .spectro.var.pw | ghost }} {{ .spectro.var.loop }}';
    const packs = [pack('p', 'a: "{{ .spectro.var.pw }}"')];
    const values = given({ pw: secret, loop: '{{ .spectro.var.loop }} hunter2' });
    const text =
      '{{ .spectro.var.pw | int }} {{ .spectro.pack.p.a | substr 0 900 }} {{ .spectro.var.pw | b64dec }} {{ .spectro.var.loop }}';
    const { unresolved, problems } = context({ packs, ...values }).resolve(text, 'values');
    const plain = context(given({ pw: 'hunter2' })).resolve(
      '{{ .spectro.var.pw | int }}{{ .spectro.var.pw | substr 99 100 }}',
      'values',
    );
    expect(problems).not.toEqual([]);
    expect(plain.unresolved).toHaveLength(2);
    const words = [...unresolved, ...plain.unresolved].map(({ reason, hint }) => `${reason} ${hint}`);
    expect([...words, ...problems.map(({ message }) => message)].join('\n')).not.toContain('hunter2');
  });

  it('bounds values that double, and chains of macros', () => {
    const spentMs = processorTime();
    const doubling = Array.from(
      { length: 40 },
      (_, index) => `k${index}: "{{ .spectro.pack.p.k${index + 1} }}{{ .spectro.pack.p.k${index + 1} }}"`,
    );
    const packs = [pack('p', [...doubling, 'k40: "xx"'].join('\n'))];
    expect(reasonOf('{{ .spectro.pack.p.k0 }}', { packs })).toEqual(['its value has more than 1048576 characters']);
    const chain = Array.from({ length: 2_000 }, (_, index) => `k${index}: "{{ .spectro.pack.p.k${index + 1} }}"`);
    expect(reasonOf('{{ .spectro.pack.p.k0 }}', { packs: [pack('p', chain.join('\n'))] })).toEqual([
      'macros lead to macros more than 50 times',
    ]);
    const { problems } = context(given({ x: 'x'.repeat(1_000) })).resolve(
      '{{ .spectro.var.x }}'.repeat(100_000),
      'values',
    );
    expect(problems.map(({ message }) => message)).toEqual([
      'values: has more than 4194304 characters once its macros are replaced',
    ]);
    expect(spentMs()).toBeLessThan(10_000);
  });

  it.each([
    '{{ "',
    '{{ `',
    '{{ .spectro.var.x ',
    '{{{ .spectro.',
    '{{ "{{ .spectro.var.x }} ',
    '# {{ .spectro.var.x }}\n',
    '{{ \\" .spectro.',
  ])('takes a text of %j without end, in time', (piece) => {
    const spentMs = processorTime();
    const text = `.spectro.${piece.repeat(Math.floor(1_000_000 / piece.length))}`;
    expect(typeof context().resolve(text, 'values').text).toBe('string');
    expect(spentMs()).toBeLessThan(10_000);
  });
});

describe('any text', () => {
  const words = fc.constantFrom(
    '{{',
    '}}',
    ' .spectro.var.x ',
    '.spectro.pack.p.a',
    '.spectro.',
    '|',
    ' upper',
    ' substr 0 2',
    '"',
    '`',
    '\\',
    '\n',
    '#',
    ' ',
    "'",
    '(',
    ')',
    ': ',
    '- ',
    '{{ .spectro.var.x }}',
    '{{ .spectro.pack.p.b }}',
    '{{ .Values.y }}',
  );
  const anyText = fc
    .array(fc.oneof(words, fc.string({ maxLength: 4 })), { maxLength: 14 })
    .map((parts) => parts.join(''));
  const sources = { packs: [pack('p', 'a: "{{ .spectro.pack.p.b }}"\nb: value\n')], ...given({ x: 'plain' }) };

  it('without macros stays as it is, byte for byte', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        fc.pre(findMacros(text).length === 0);
        expect(context(sources).resolve(text, 'values')).toEqual({ text, unresolved: [], problems: [] });
      }),
      { numRuns: 2_000 },
    );
  });

  it('is resolved once and for all, without an exception', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { text: resolved, problems } = context(sources).resolve(text, 'values');
        expect(problems).toEqual([]);
        // Pieces around a macro may make another one of what is between them.
        fc.pre(findMacros(resolved).length === 0);
        expect(context(sources).resolve(resolved, 'values').text).toBe(resolved);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps what stands around its macros', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: fc.constantFrom(...Array.from('ab:\n# -"')) }), fc.constantFrom('x', 'y'))),
        (parts) => {
          const text = parts.map(([before, name]) => `${before}{{ .spectro.var.${name} }}`).join('');
          const values = given({ x: '<x>', y: '<y>' });
          expect(context(values).resolve(text, 'values').text).toBe(
            parts.map(([before, name]) => `${before}<${name}>`).join(''),
          );
        },
      ),
    );
  });
});
