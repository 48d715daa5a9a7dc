import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { packChart } from '../support/charts.ts';
import {
  declaring,
  manifestPack,
  podTemplate,
  type ProfilePackFixture,
  writePack,
  writeProfile,
} from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

const listFile = (text: string): string => {
  const path = join(folder, 'list.txt');
  writeFileSync(path, text);
  return path;
};

describe('resolve on several inputs', () => {
  it('takes two spellings as one image, with all its sources', async () => {
    const profile = writeProfile(folder, {
      packs: [{ name: 'web', type: 'manifest', values: declaring('nginx:1.27', 'index.docker.io/library/nginx:1.27') }],
    });
    const { images } = await resolveJson([profile, listFile('# extra\nnginx:1.27\n')]);
    const declared = { profile: 'store', pack: 'web', class: 'declared' };
    expect(images).toEqual([
      {
        reference: 'docker.io/library/nginx:1.27',
        spellings: ['nginx:1.27', 'index.docker.io/library/nginx:1.27'],
        classes: ['declared'],
        sources: [
          { ...declared, path: 'values#pack.content.images[0]' },
          { ...declared, path: 'values#pack.content.images[1]' },
          { profile: 'list', path: 'line 2', class: 'declared' },
        ],
      },
    ]);
  });

  it('names the surest class of an image first', async () => {
    const text = `${podTemplate('x.io/a:1')}      args: ["--image=x.io/a:1"]\n`;
    const profile = writeProfile(folder, {
      packs: [{ ...manifestPack(text), values: declaring('x.io/a:1') }],
    });
    const { images, packs } = await resolveJson([profile]);
    expect(images.map(({ classes }) => classes)).toEqual([['rendered', 'declared', 'referenced']]);
    expect(packs).toMatchObject([{ pack: 'apps', declared: 1, rendered: 1, referenced: 1, undeclared: [] }]);
  });

  it('orders by layer, then by install priority, then as the profiles do', async () => {
    const pack = (name: string, layer: string, priority?: string): ProfilePackFixture => ({
      name,
      layer,
      type: 'manifest',
      values: `pack:\n${priority === undefined ? '' : `  spectrocloud.com/install-priority: ${priority}\n`}  content: {images: [{image: "x.io/${name}:1"}]}\n`,
    });
    const inputs = [
      writeProfile(folder, {
        name: 'add-on',
        packs: [pack('last', 'addon', '"20"'), pack('plain', 'addon'), pack('early', 'addon', '-5')],
      }),
      writeProfile(folder, {
        name: 'infra',
        type: 'infra',
        packs: [pack('csi', 'csi'), pack('os', 'os', '"9"'), pack('cni', 'cni'), pack('k8s', 'k8s')],
      }),
      writeProfile(folder, { name: 'other', packs: [pack('ten', 'addon', '10'), pack('other', 'addon')] }),
    ];
    expect(referencesOf(await resolveJson(inputs))).toEqual(
      ['os', 'k8s', 'cni', 'csi', 'early', 'plain', 'other', 'ten', 'last'].map((name) => `x.io/${name}:1`),
    );
  });

  it('refuses two infrastructure or full profiles and allows any number of add-on profiles', async () => {
    const one = writeProfile(folder, { name: 'one', type: 'cluster' });
    const two = writeProfile(folder, { name: 'two', type: 'infra' });
    const add = ['three', 'four'].map((name) => writeProfile(folder, { name }));
    const { exitCode, stderr } = await runResolve([one, two, ...add]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      "'one' (cluster) and 'two' (infra): at most one infrastructure or full profile goes into a bundle",
    );
    expect((await resolveJson([one, ...add])).images).toEqual([]);
  });

  it('reports the problems of all profiles together', async () => {
    const profile = writeProfile(folder, {
      packs: [
        { name: 'tabs', values: 'pack:\n\tcontent: 1\n' },
        { name: 'shape', values: 'pack:\n  content:\n    images:\n      - 7\n' },
      ],
    });
    const { exitCode, stderr } = await runResolve([profile, listFile('nginx:1.27\n')]);
    expect(exitCode).toBe(1);
    const place = (pack: string, index: number): string =>
      `profile 'store', pack '${pack}', spec.template.packs[${index}]`;
    expect(stderr).toContain(`${place('tabs', 0)}.values: line 2, column 1: Tabs are not allowed as indentation`);
    expect(stderr).toContain(`${place('shape', 1)}.values#pack.content.images[0]: `);
    expect(stderr).toContain('2 problems');
  });

  it('reports all references that are none, with their places', async () => {
    const profile = writeProfile(folder, {
      packs: [{ name: 'upper', type: 'manifest', values: declaring('ghcr.io/Org/app:1') }],
    });
    const { stderr } = await runResolve([profile, listFile('nginx:1.27\nnot an image\n')]);
    expect(stderr).toMatch(/profile 'store', pack 'upper', values#pack\.content\.images\[0\]: "ghcr\.io\/Org\/app:1"/);
    expect(stderr).toMatch(/profile 'list', line 2: "not an image"/);
  });

  it('reads the raw kind: ClusterProfile', async () => {
    const path = join(folder, 'raw.yaml');
    writeFileSync(
      path,
      `apiVersion: cluster.spectrocloud.com/v1alpha1
kind: ClusterProfile
metadata: {name: raw}
spec:
  packs:
  - name: apps
    layer: addon
    type: manifest
    manifests: [{name: m, content: "${podTemplate('x.io/raw:1').replaceAll('\n', '\\n')}"}]
`,
    );
    expect(referencesOf(await resolveJson([path]))).toEqual(['x.io/raw:1']);
  });

  it('refuses a profile whose manifests have no content, and says how to get it', async () => {
    const profile = writeProfile(folder, { packs: [{ name: 'apps', type: 'manifest', manifests: [{ name: 'm' }] }] });
    const { exitCode, stderr } = await runResolve([profile]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/pack 'apps', manifest 'm'.*--palette-endpoint/s);
  });

  it('takes the image that hosts are installed from out of the operating system', async () => {
    const values = 'options: {system.uri: "{{ .spectro.pack.os.options.host }}/ubuntu:k3s", host: x.io}\n';
    const profile = writeProfile(folder, { type: 'infra', packs: [{ name: 'os', layer: 'os', values }] });
    const document = await resolveJson([profile]);
    expect(document).toMatchObject({
      images: [{ reference: 'x.io/ubuntu:k3s', sources: [{ path: 'values#options["system.uri"]' }] }],
      unrendered: [],
    });
  });

  it('says which images the content tags of a pack miss, whatever its charts declare of themselves', async () => {
    const chart = `apiVersion: v2
name: app
version: 1.2.3
annotations: {artifacthub.io/images: '[{name: a, image: "x.io/annotated:1"}]'}
`;
    const document = await resolveJson([
      writePack(folder, {
        values: declaring('x.io/tagged:1'),
        charts: {
          app: {
            'Chart.yaml': chart,
            'templates/a.yaml': podTemplate('x.io/tagged:1', 'a'),
            'templates/b.yaml': podTemplate('x.io/annotated:1', 'b'),
          },
        },
      }),
    ]);
    expect(document.packs).toMatchObject([{ undeclared: ['x.io/annotated:1'] }]);
  });
});

describe('resolve --exclude', () => {
  const images = ['docker.io/library/nginx:1.27', 'docker.io/library/redis:7', 'x.io/a:1', 'x.io/a:2', 'x.io/ab:1'];
  const excluding = (...patterns: readonly string[]) =>
    resolveJson([listFile(images.join('\n')), ...patterns.flatMap((pattern) => ['--exclude', pattern])]);

  it.each([
    ['a reference', 'nginx:1.27', [0]],
    ['a repository', 'x.io/a', [2, 3]],
    ['a glob', 'docker.io/library/*', [0, 1]],
    ['a glob over slashes', 'docker.io*', [0, 1]],
    ['a glob with ?', 'x.io/a:?', [2, 3]],
    ['a tag that nothing has', 'x.io/a:3', []],
  ])('leaves out what %s names, and records it', async (_name, pattern, indexes) => {
    const document = await excluding(pattern);
    const out = indexes.map((index) => images[index] ?? '');
    expect(document.excluded.map(({ reference }) => reference)).toEqual(out);
    expect(document.excluded.every((image) => image.pattern === pattern)).toBe(true);
    expect(referencesOf(document)).toEqual(images.filter((image) => !out.includes(image)));
    expect(document.warnings).toEqual(out.length > 0 ? [] : [`--exclude ${pattern} leaves out nothing`]);
  });

  it('refuses a pattern that is no reference', async () => {
    const { exitCode, stderr } = await runResolve([listFile('nginx'), '--exclude', 'x.io/UPPER']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('x.io/UPPER');
  });
});

describe('a pack of type helm', () => {
  const chart = packChart('apiVersion: v2\nname: podinfo\nversion: 6.5.0\n', {
    'values.yaml': 'image: {tag: none}\n',
    'templates/pod.yaml':
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: "x.io/podinfo:{{ .Values.image.tag }}"}]}\n',
  });
  const pack = (): string =>
    writeProfile(folder, {
      packs: [
        { name: 'podinfo', type: 'helm', version: '6.5.0', values: 'charts:\n  podinfo:\n    image: {tag: "6"}\n' },
      ],
    });

  it('is a chart in a folder of packs, rendered with the values of the profile, and carried as a chart', async () => {
    const packs = join(folder, 'packs');
    mkdirSync(packs);
    writeFileSync(join(packs, 'podinfo-6.5.0.tgz'), chart.archive);
    const { images, charts } = await resolveJson([pack(), '--pack-dir', packs]);
    expect(images).toMatchObject([{ reference: 'x.io/podinfo:6', classes: ['rendered'] }]);
    expect(charts.map(({ kind, name, version }) => `${kind} ${name} ${version}`)).toEqual(['chart podinfo 6.5.0']);
  });

  it('is a folder of a chart too', async () => {
    for (const [path, content] of chart.files) {
      mkdirSync(dirname(join(folder, 'packs', 'any', path)), { recursive: true });
      writeFileSync(join(folder, 'packs', 'any', path), content);
    }
    expect(referencesOf(await resolveJson([pack(), '--pack-dir', join(folder, 'packs')]))).toEqual(['x.io/podinfo:6']);
  });

  it('says what it is where it is not there', async () => {
    const { exitCode, stderr } = await runResolve([pack(), '--output', 'list']);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('It is a chart: put its folder or .tgz into a folder of --pack-dir.');
  });
});
