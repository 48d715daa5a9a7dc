import { readFile } from 'node:fs/promises';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isEdgeBundleError } from '../../src/errors.ts';
import { readProfile } from '../../src/profile/profile.ts';
import { resolveImages } from '../../src/profile/resolve-images.ts';
import { failureOf, type PackFixture, problemsOf, profileJson, withFiles } from './profile-files.ts';

const resolve = (files: Readonly<Record<string, string>>) =>
  withFiles(files, async (paths) => resolveImages(await Promise.all(paths.map(readProfile))));

const resolvePack = (pack: Omit<PackFixture, 'name'>) =>
  resolve({ 'profile.json': profileJson('p', [{ name: 'web', ...pack }]) });

const resolveManifest = async (content: string) => {
  const { images } = await resolvePack({ type: 'manifest', manifests: [{ name: 'm', content }] });
  return images.map(({ reference }) => reference);
};

const declaring = (...images: readonly string[]) =>
  `pack:\n  content:\n    images:\n${images.map((image) => `      - image: ${image}\n`).join('')}`;

const edgeStore = await readFile(new URL('../fixtures/profiles/edge-store-export.json', import.meta.url), 'utf8');
const mlOps = await readFile(new URL('../fixtures/profiles/ml-ops-export.json', import.meta.url), 'utf8');

describe('resolveImages on exported profiles', () => {
  it('reports an image that is a macro, with pack and path', async () => {
    const error = await failureOf(resolve({ 'edge-store.json': edgeStore }));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(problemsOf(error)).toEqual([
      expect.stringMatching(
        /pack 'edge-native-byoi', spec\.template\.packs\[0\]\.values#pack\.content\.images\[0\]: '\{\{\.spectro\.pack\.edge-native-byoi\.options\.system\.uri\}\}'/,
      ),
    ]);
  });

  it('finds every content tag and every container of a full profile, in the order of the layers', async () => {
    const text = edgeStore.replace('{{.spectro.pack.edge-native-byoi.options.system.uri}}', 'ttl.sh/ubuntu:k3s-demo');
    const { images, unrendered } = await resolve({ 'edge-store.json': text });
    const references = images.map(({ reference }) => reference);
    const tags = [...text.matchAll(/- image: \\?"?([^\s"\\]+)/g)].map(([, image]) => image);
    expect(tags).toHaveLength(37);
    expect(references.slice(0, tags.length)).toEqual(tags);
    expect(references.slice(tags.length)).toEqual([
      'docker.io/library/busybox:latest',
      'docker.io/library/nginx:1.27',
      'quay.io/prometheus/node-exporter@sha256:4cb2b9019f1757be8482419002cb7afe028fdba35d47958829e4cfeaf6246d80',
      'ghcr.io/example/export:2.0',
    ]);
    expect(images.at(-1)?.sources).toEqual([
      {
        profile: 'edge-store',
        pack: 'store-apps',
        path: 'spec.template.packs[6].manifests[0].content#documents[2].spec.jobTemplate.spec.template.spec.containers[0].image',
        class: 'rendered',
      },
    ]);
    expect(unrendered.map(({ pack }) => pack)).toEqual([
      'piraeus-operator',
      'harbor-edge-native-config',
      'kyverno',
      'hello-universe',
    ]);
  });

  it('says of each pack of charts that images of it are missing', async () => {
    const { images, unrendered } = await resolve({ 'ml-ops.json': mlOps });
    expect(images).toEqual([]);
    expect(unrendered).toEqual(
      ['kubeflow', 'argo-cd', 'istio'].map((pack) => ({
        profile: 'ML Ops',
        pack,
        reason: 'it names no images itself, and its charts are not rendered: all of its images are missing',
      })),
    );
  });
});

describe('resolveImages', () => {
  it('takes two spellings as one image, with all its sources', async () => {
    const { images } = await resolve({
      'a.json': profileJson('a', [
        { name: 'web', values: declaring('nginx:1.27', 'index.docker.io/library/nginx:1.27') },
      ]),
      'list.txt': 'nginx:1.27\n',
    });
    expect(images).toEqual([
      {
        reference: 'docker.io/library/nginx:1.27',
        spellings: ['nginx:1.27', 'index.docker.io/library/nginx:1.27'],
        sources: [
          {
            profile: 'a',
            pack: 'web',
            path: 'spec.template.packs[0].values#pack.content.images[0]',
            class: 'declared',
          },
          {
            profile: 'a',
            pack: 'web',
            path: 'spec.template.packs[0].values#pack.content.images[1]',
            class: 'declared',
          },
          { profile: 'list', path: 'line 1', class: 'declared' },
        ],
      },
    ]);
  });

  it('orders by layer, then by install priority, then as the profiles do', async () => {
    const pack = (name: string, layer: string, priority?: string): PackFixture => ({
      name,
      layer,
      values: `pack:\n${priority === undefined ? '' : `  spectrocloud.com/install-priority: ${priority}\n`}  content:\n    images:\n      - image: x.io/${name}:1\n`,
    });
    const { images } = await resolve({
      'add-on.json': profileJson('a', [
        pack('last', 'addon', '"20"'),
        pack('plain', 'addon'),
        pack('early', 'addon', '-5'),
      ]),
      'infra.json': profileJson('i', [pack('csi', 'csi'), pack('os', 'os', '"9"'), pack('k8s', 'k8s')], 'infra'),
      'other.json': profileJson('o', [pack('ten', 'addon', '10'), pack('other', 'addon')]),
    });
    expect(images.map(({ reference }) => reference)).toEqual(
      ['os', 'k8s', 'csi', 'early', 'plain', 'other', 'ten', 'last'].map((name) => `x.io/${name}:1`),
    );
  });

  it('refuses two infrastructure or full profiles and allows any number of add-on profiles', async () => {
    const files = {
      'a.json': profileJson('one', [], 'cluster'),
      'b.json': profileJson('two', [], 'infra'),
      'c.json': profileJson('three', []),
      'd.json': profileJson('four', []),
    };
    const error = await failureOf(resolve(files));
    expect(error.message).toBe(
      "'one' (cluster) and 'two' (infra): at most one infrastructure or full profile goes into a bundle",
    );
    await expect(resolve({ ...files, 'b.json': profileJson('two', []) })).resolves.toMatchObject({ images: [] });
  });

  it('reports the problems of all profiles together', async () => {
    const error = await failureOf(
      resolve({
        'a.json': profileJson('a', [
          { name: 'tabs', values: 'pack:\n\tcontent: 1\n' },
          { name: 'twice', values: 'pack: {}\ncharts: {}\npack: {}\n' },
          { name: 'shape', values: 'pack:\n  content:\n    images:\n      - nginx\n' },
          { name: 'upper', values: declaring('ghcr.io/Org/app:1') },
          { name: 'macro', values: declaring('"{{ .spectro.var.image }}"') },
          {
            name: 'template',
            type: 'manifest',
            manifests: [{ name: 'm', content: 'containers:\n- image: "{{ .Values.i }}"' }],
          },
        ]),
        'list.txt': 'nginx:1.27\nnot an image\n',
      }),
    );
    const place = (pack: string, index: number) => `profile 'a', pack '${pack}', spec.template.packs[${index}]`;
    expect(
      problemsOf(error)
        .map((message) => message.replace(/(holds a macro|image reference).*/, '$1'))
        .sort(),
    ).toEqual(
      [
        `${place('tabs', 0)}.values: line 2, column 1: Tabs are not allowed as indentation`,
        `${place('twice', 1)}.values: line 3, column 1: Map keys must be unique`,
        `${place('shape', 2)}.values#pack.content.images[0]: Invalid input: expected object, received string`,
        `${place('upper', 3)}.values#pack.content.images[0]: "ghcr.io/Org/app:1" is not an image reference`,
        `${place('macro', 4)}.values#pack.content.images[0]: '{{ .spectro.var.image }}' holds a macro`,
        `${place('template', 5)}.manifests[0].content#documents[0].containers[0].image: '{{ .Values.i }}' holds a macro`,
        `profile 'list', line 2: "not an image" is not an image reference`,
      ].sort(),
    );
  });

  it('reads values whose macros stand where YAML allows no braces', async () => {
    const values = `cluster:\n  cidr: {{ .spectro.var.cidr }}/16\n  {{ .spectro.var.key }}: 1\n${declaring('nginx:1')}`;
    const { images } = await resolvePack({ values });
    expect(images.map(({ reference }) => reference)).toEqual(['docker.io/library/nginx:1']);
  });

  it('reports a macro inside an image that is not quoted', async () => {
    const error = await failureOf(resolvePack({ values: declaring('{{ .spectro.var.host }}/app:1') }));
    expect(error.message).toContain("'{{ .spectro.var.host }}/app:1' holds a macro");
  });
});

describe('resolveImages on raw manifests', () => {
  it('finds containers, init containers, ephemeral containers and image volumes', async () => {
    const found = await resolveManifest(`
apiVersion: v1
kind: Pod
spec:
  initContainers: [{name: a, image: x.io/init:1}]
  containers: [{name: b, image: x.io/main:1}]
  ephemeralContainers: [{name: c, image: x.io/debug:1}]
  volumes:
    - {name: d, image: {reference: x.io/data:1, pullPolicy: Always}}
    - {name: e, emptyDir: {}}
`);
    expect(found.sort()).toEqual(['x.io/data:1', 'x.io/debug:1', 'x.io/init:1', 'x.io/main:1']);
  });

  it('finds pod specifications in lists, CronJobs and custom resources', async () => {
    const found = await resolveManifest(`
apiVersion: v1
kind: List
items:
  - kind: CronJob
    spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: x.io/cron:1}]}}}}}
  - kind: PodList
    items: [{spec: {containers: [{image: x.io/pod:1}]}}]
---
apiVersion: example.com/v1
kind: Store
spec:
  tiers:
    - podTemplate: {spec: {containers: [{image: x.io/custom:1}]}}
`);
    expect(found).toEqual(['x.io/cron:1', 'x.io/pod:1', 'x.io/custom:1']);
  });

  it('follows anchors and merge keys in several documents with comments', async () => {
    const found = await resolveManifest(`# first
---
kind: Pod
common: &base {image: x.io/base:1, name: b} # shared
spec:
  containers:
    - <<: *base
    - *base
---
# nothing here
---
kind: Pod
spec:
  containers:
    - {name: c, image: 'x.io/second:1'}
`);
    expect(found).toEqual(['x.io/base:1', 'x.io/second:1']);
  });

  it('passes over what names no image', async () => {
    const found = await resolveManifest(`
kind: CustomResourceDefinition
spec: {schema: {properties: {containers: {type: array, items: {properties: {image: {type: string}}}}}}}
---
kind: ConfigMap
data: {containers: "- image: x.io/text:1", image: x.io/value:1}
---
kind: Deployment
spec: {template: {spec: {containers: [{name: filled-in-later}, {name: empty, image: ""}]}}}
`);
    expect(found).toEqual([]);
  });

  it('refuses an image that is not a string', async () => {
    const error = await failureOf(resolveManifest('kind: Pod\nspec: {containers: [{image: 1.27}]}\n'));
    expect(error.message).toMatch(/containers\[0\]\.image: expected a string, received number/);
  });
});

describe('resolveImages on hostile packs', () => {
  it('refuses values of 50 MB without parsing them', () => {
    const started = performance.now();
    const profile = {
      kind: 'profile' as const,
      name: 'p',
      version: undefined,
      file: 'p.json',
      digest: `sha256:${'0'.repeat(64)}` as const,
      document: {
        metadata: { name: 'p' },
        spec: {
          template: {
            type: 'add-on' as const,
            packs: [
              { name: 'big', type: 'oci' as const, layer: 'addon' as const, values: 'a: 1\n'.repeat(10_000_000) },
            ],
          },
        },
      },
    };
    expect(() => resolveImages([profile])).toThrow(/pack 'big'.*has 50000000 bytes; at most 4194304/);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('refuses a YAML bomb of aliases', async () => {
    const names = 'abcdefghij'.split('');
    const lines = names.map((name, index) => {
      const item = index === 0 ? 'x' : `*${names[index - 1] ?? ''}`;
      return `${name}: &${name} [${Array(9).fill(item).join(',')}]`;
    });
    const error = await failureOf(resolvePack({ values: lines.join('\n') }));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(error.message).toMatch(/pack 'web'.*[Aa]lias/);
  });

  it.each(['[', '{a: ', '- '])('survives %j nested without end', async (piece) => {
    const outcome = await resolveManifest(piece.repeat(20_000)).catch((error: unknown) => error);
    expect(Array.isArray(outcome) || isEdgeBundleError(outcome, 'PROFILE_INVALID')).toBe(true);
  });

  it('answers any text with images or PROFILE_INVALID', async () => {
    const word = fc.constantFrom(
      'pack:',
      '  content:',
      '    images:',
      '- image: a',
      '{{',
      '}}',
      '&a',
      '*a',
      '<<:',
      '\t',
      '"',
      '\n',
      ': ',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(word, fc.string()), { maxLength: 12 }), async (words) => {
        const outcome = await resolvePack({ values: words.join('') }).catch((error: unknown) => error);
        expect(isEdgeBundleError(outcome) ? outcome.code : 'resolved').toMatch(/^(resolved|PROFILE_INVALID)$/);
        expect(outcome instanceof Error && !isEdgeBundleError(outcome)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});
