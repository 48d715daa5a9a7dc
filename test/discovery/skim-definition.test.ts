import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';

import { findImages } from '../../src/discovery/find-images.ts';
import { skimDefinition, skimTemplate } from '../../src/discovery/skim-definition.ts';
import { findIn } from './objects.ts';

const head =
  'apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things.example.org\n';

const withProperties = (properties: string): string => `${head}spec:
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
${properties.replace(/^/gm, '            ')}
status: {}
`;

describe('skimDefinition', () => {
  it('drops the specification where no default can name an image', () => {
    const text = withProperties(`image: { type: string }
interval:
  description: |-
    The default: 10m. Not quay.io/org/described:1.
  default: 10m
default:
  description: a property of that name
  type: object
level:
  type: string
  default: info`);
    expect(parse(skimDefinition(text))).toEqual({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.example.org' },
      status: {},
    });
  });

  it.each([
    ['a short name', 'image:\n  type: string\n  default: busybox', ['busybox']],
    ['a quoted key', 'image:\n  "type": string\n  "default": busybox', ['busybox']],
    ['a reference on the next line', 'x:\n  default:\n    quay.io/org/a:1', ['quay.io/org/a:1']],
    ['a block of text', 'x:\n  default: |\n    quay.io/org/a:1', ['quay.io/org/a:1']],
    ['a list at the same indent', 'images:\n  default:\n  - org/a:1\n  - org/b:2', ['org/a:1', 'org/b:2']],
    ['an item of a list', 'image:\n  items:\n    default: busybox', ['busybox']],
    ['a flow mapping', 'image: { type: string, default: busybox }', ['busybox']],
    ['a flow mapping over several lines', 'image: {\n  type: string,\n  default: busybox\n}', ['busybox']],
    ['a flow mapping on the next line', 'image:\n  {\n  default: busybox }', ['busybox']],
    ['an alias', 'image:\n  default: *word\nx:\n  enum: [&word busybox]', undefined],
    ['an anchor and its alias', 'word: &schema\n  default: busybox\nimage: *schema', ['busybox']],
    ['a merge', 'word: &schema\n  default: busybox\nimage:\n  <<: *schema', ['busybox']],
    ['an escaped key', 'image:\n  "def\\u0061ult": busybox', ['busybox']],
    ['a complex key', 'image:\n  ? default\n  : busybox', ['busybox']],
    ['parts', 'repository:\n  default: org/a\ntag:\n  default: v1', ['org/a:v1']],
    [
      'parts, one of which is a plain word',
      'proxy:\n  properties:\n    hub:\n      default: quay.io\n    image:\n      default: p\n    tag:\n      default: "2"',
      ['quay.io/p:2'],
    ],
    ['a pod', 'x:\n  default:\n    spec:\n      containers:\n        - image: web', ['web']],
    [
      'an operator',
      'x:\n  default:\n    apiVersion: kibana.k8s.elastic.co/v1\n    kind: Kibana\n    spec:\n      version: 9.4.0',
      ['docker.elastic.co/kibana/kibana:9.4.0'],
    ],
  ])('keeps it for %s', (_name, properties, images) => {
    const text = withProperties(properties);
    expect(skimDefinition(text)).toBe(text);
    if (images !== undefined) expect(findIn(text).map(({ image }) => image)).toEqual(images);
  });

  it('leaves other documents as they are', () => {
    for (const text of [
      '',
      'kind: Pod\nspec:\n  x: 1\n',
      'a: |\n  kind: CustomResourceDefinition\nspec:\n  x: 1\n',
      '{"kind": "CustomResourceDefinition"}',
    ]) {
      expect(skimDefinition(text)).toBe(text);
    }
  });

  const word = fc.constantFrom(
    'busybox',
    'org/app:1',
    'quay.io/org/app:2',
    'true',
    'info',
    'Text',
    'v1',
    '10m',
    'a: b',
    '',
    'x\ny',
    '*x',
    '# no',
  );
  const value = fc.oneof(
    word,
    fc.integer(),
    fc.boolean(),
    fc.array(word, { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('image', 'repository', 'tag', 'name', 'spec', 'version'), word, { maxKeys: 3 }),
    fc.record({ spec: fc.record({ containers: fc.array(fc.record({ image: word }), { maxLength: 2 }) }) }),
  );
  const property = fc.constantFrom(
    'image',
    'repository',
    'tag',
    'hub',
    'version',
    'name',
    'mode',
    'default',
    'sidecarImage',
    'images',
  );
  const schemaOf = (depth: number): fc.Arbitrary<unknown> =>
    fc.record(
      {
        description: word,
        default: value,
        ...(depth === 0
          ? {}
          : {
              properties: fc.dictionary(property, schemaOf(depth - 1), { maxKeys: 2 }),
              items: schemaOf(depth - 1),
              additionalProperties: schemaOf(depth - 1),
            }),
      },
      { requiredKeys: [] },
    );
  const style = fc.record({
    indentSeq: fc.boolean(),
    indent: fc.integer({ min: 1, max: 4 }),
    lineWidth: fc.constantFrom(0, 20, 80),
    defaultStringType: fc.constantFrom(
      'PLAIN',
      'QUOTE_DOUBLE',
      'QUOTE_SINGLE',
      'BLOCK_LITERAL',
      'BLOCK_FOLDED' as const,
    ),
    defaultKeyType: fc.constantFrom('PLAIN', 'QUOTE_DOUBLE' as const),
  });

  it('hides no image, however the definition is written', () => {
    fc.assert(
      fc.property(schemaOf(2), style, (openAPIV3Schema, options) => {
        const text = `${head}${stringify({ spec: { versions: [{ name: 'v1', schema: { openAPIV3Schema } }] } }, options)}`;
        expect(findIn(text)).toEqual(findImages(parse(text)));
      }),
      { numRuns: 300 },
    );
  });
});

describe('skimTemplate', () => {
  const plain = withProperties('image: { type: string }\nlevel:\n  type: string\n  default: info');
  const short = `${head}\nstatus: {}\n`;

  it('drops what Helm would only print, of each definition, and keeps all actions', () => {
    const template = `{{- if .Values.crds }}\n---\n${plain}---\n${plain}{{- end }}\n---\nkind: Pod\nspec:\n  a: {{ .b }}\n`;
    expect(skimTemplate(template)).toBe(
      `{{- if .Values.crds }}\n---\n${short}---\n${short}{{- end }}\n---\nkind: Pod\nspec:\n  a: {{ .b }}\n`,
    );
    const last = plain.replace('status: {}\n', '');
    expect(skimTemplate(`${last}{{- end }}\n{{ end }}\n`)).toBe(`${head}\n{{- end }}\n{{ end }}\n`);
  });

  it.each([
    ['a default may be an image', withProperties('image:\n  type: string\n  default: busybox')],
    ['a default is an action', withProperties('level:\n  type: string\n  default: {{ .Values.image }}')],
    ['an action is in it', withProperties('{{- with .Values.more }}\nlevel: {}\n{{- end }}')],
    [
      'it goes on behind an action that is not indented',
      `${head}spec:\n  versions:\n{{- if .Values.more }}\n\n  - name: v1\n    default: quay.io/org/a:1\n{{- end }}\n`,
    ],
    ['it goes on behind an action of several lines', `${head}spec:\n  a: b\n{{- include "x"\n  . }}\n  c: d\n`],
    ['something refers to it', `${head}spec:\n  a: &name b\nstatus: *name\n`],
    ['it is of another kind', plain.replace('CustomResourceDefinition', 'Other')],
  ])('leaves a template as it is where %s', (_name, template) => {
    expect(skimTemplate(template)).toBe(template);
  });
});
