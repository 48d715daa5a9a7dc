import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import {
  declaring,
  manifestPack,
  podTemplate,
  type ProfileFixture,
  type SamplePack,
  writePack,
  writeProfile,
} from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
});

const resolveProfile = async (profile: ProfileFixture, ...args: readonly string[]): Promise<string[]> =>
  referencesOf(await resolveJson([writeProfile(folder, profile), ...args]));

const failing = async (args: readonly string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await runResolve(args);
  expect(stdout).toBe('');
  expect(exitCode).toBe(3);
  return stderr;
};

const failingPack = (pack: SamplePack): Promise<string> => failing([writePack(folder, pack)]);

describe('resolve on macros', () => {
  it('replaces those of packs, nested and with dotted keys, and that of the Kubernetes version with a pipe', async () => {
    const values = `pack: {content: {images: [{image: "{{.spectro.pack.os.options.system.uri}}"}]}}
options:
  system.uri: "{{ .spectro.pack.os.options.system.registry }}/os:{{ .spectro.system.kubernetes.version | substr 0 4 }}-{{ .spectro.var.tag }}"
  system.registry: "{{ .spectro.var.host }}:5000"
`;
    const images = await resolveProfile({
      type: 'cluster',
      variables: [
        { name: 'host', defaultValue: 'registry.example' },
        { name: 'tag', defaultValue: 'v1' },
      ],
      packs: [
        { name: 'os', layer: 'os', values },
        { name: 'kubernetes', layer: 'k8s', version: '1.31.4' },
      ],
    });
    expect(images).toEqual(['registry.example:5000/os:1.31-v1']);
  });

  it('sees the packs of the other profiles', async () => {
    const infra = writeProfile(folder, {
      name: 'infra',
      type: 'infra',
      packs: [{ name: 'kubernetes', layer: 'k8s', version: '1.30.2' }],
    });
    const packs = [manifestPack(podTemplate('x.io/a:{{ .spectro.system.kubernetes.version }}'))];
    expect(await resolveProfile({ packs }, infra)).toEqual(['x.io/a:1.30.2']);
  });

  const tagged = {
    packs: [
      {
        name: 'web',
        type: 'manifest',
        values: declaring(
          '"x.io/{{ .spectro.system.cluster.name }}/a:{{ .spectro.var.tag }}-{{ .spectro.macro.flavour }}"',
        ),
      },
    ],
  };

  it('takes values from --var and --var-file, of variables, macros and the cluster', async () => {
    const file = join(folder, 'vars.yaml');
    writeFileSync(file, 'tag: "1.10"\nmacro: {flavour: slim}\n');
    const args = ['--var-file', file, '--var', 'system.cluster.name=store-1'];
    expect(await resolveProfile(tagged, ...args)).toEqual(['x.io/store-1/a:1.10-slim']);
    expect(
      await resolveProfile(tagged, ...args, '--var', 'tag=2', '--var', 'macro.flavour=a=b'.replace('=b', '')),
    ).toEqual(['x.io/store-1/a:2-a']);
  });

  it('is an error with pack and path where a part of an image is not known, and says how to give it', async () => {
    const stderr = await failing([writeProfile(folder, tagged)]);
    const place = "profile 'store', pack 'web', spec.template.packs[0], values#pack.content.images[0]";
    expect(stderr).toContain(
      `${place}: an image depends on {{ .spectro.var.tag }}, and the profile has no variable 'tag'`,
    );
    expect(stderr).toContain('--var tag=VALUE');
    expect(stderr).toContain('{{ .spectro.macro.flavour }}');
    expect(stderr).toContain('{{ .spectro.system.cluster.name }}');
    expect(stderr).not.toContain('unresolvedmacro');
  });

  it('finds an unknown part in an image that only a chart puts together', async () => {
    const stderr = await failingPack({
      values: 'charts:\n  app: {registry: "{{ .spectro.macro.registry }}"}\n',
      charts: { app: { 'templates/pod.yaml': podTemplate('{{ .Values.registry | upper | lower }}/app:1') } },
    });
    expect(stderr).toMatch(/pack 'web'.*app\/templates\/pod\.yaml#Pod\/pod.*\{\{ \.spectro\.macro\.registry \}\}/);
  });

  it('does not mind one that cannot touch an image', async () => {
    const document = await resolveJson([
      writePack(folder, {
        values: `# {{ .spectro.macro.commented }}
pack:
  namespace: {{ .spectro.macro.namespace }}
  namespaceLabels: {web: {{ .spectro.macro.labels }}}
charts:
  app:
    cluster: "{{ .spectro.system.cluster.name }}"
    replicas: {{ .spectro.var.replicas }}
`,
        charts: {
          app: {
            'templates/pod.yaml': podTemplate('x.io/a:1', '{{ .Values.cluster }}'),
            'templates/deployment.yaml':
              'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: {{ .Values.replicas }}}\n',
            'templates/secret.yaml':
              '{{ if ne .Values.cluster "" }}\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n{{ end }}',
          },
        },
      }),
    ]);
    expect(referencesOf(document)).toEqual(['x.io/a:1']);
  });

  it.each([
    ['whether there is a value', '{{ if .Values.mode }}a{{ else }}b{{ end }}'],
    ['a comparison with a text', '{{ if eq .Values.mode "gpu" }}a{{ else }}b{{ end }}'],
    ['a comparison of a variable', '{{ $mode := .Values.mode }}{{ if eq $mode `gpu` }}a{{ else }}b{{ end }}'],
    ['a comparison in a helper', '{{ include "flavour" .Values.mode }}'],
    ['a comparison with a truth value', '{{ if eq (toString .Values.mode) "true" }}a{{ else }}b{{ end }}'],
    ['a list of texts', '{{ if has .Values.mode (list "gpu" "tpu") }}a{{ else }}b{{ end }}'],
    ['a mapping', '{{ get (dict "gpu" "a") .Values.mode | default "b" }}'],
  ])('is an error where %s decides which image runs', async (_name, image) => {
    const stderr = await failingPack({
      values: 'charts:\n  app: {mode: {{ .spectro.var.mode }}}\n',
      charts: {
        app: {
          'templates/pod.yaml': podTemplate(`x.io/${image}:1`),
          'templates/_flavour.tpl': '{{ define "flavour" }}{{ if eq . "gpu" }}a{{ else }}b{{ end }}{{ end }}',
        },
      },
    });
    expect(stderr).toMatch(
      /pack 'web': which images run depends on macros that are not known: \{\{ \.spectro\.var\.mode \}\}/,
    );
    expect(stderr).toContain('--var mode=VALUE');
  });

  it('is an error where a manifest of a pack decides by it', async () => {
    const stderr = await failingPack({
      values: 'manifests:\n  m: {mode: "{{ .spectro.var.mode }}"}\n',
      manifests: { m: podTemplate('x.io/{{ if eq .Values.mode "gpu" }}a{{ else }}b{{ end }}:1') },
    });
    expect(stderr).toContain('which images run depends on macros that are not known');
  });

  it('is an error where a macro stands in a template and decides there', async () => {
    const template = podTemplate('x.io/{{ if eq "{{ .spectro.var.mode }}" "gpu" }}a{{ else }}b{{ end }}:1');
    expect(await failingPack({ manifests: { m: template } })).toContain(
      'which images run depends on macros that are not known',
    );
  });

  it('does not mind a comparison that decides nothing about images', async () => {
    const pack = {
      values: 'charts:\n  app: {mode: "{{ .spectro.var.mode }}"}\n',
      charts: {
        app: { 'templates/pod.yaml': podTemplate('x.io/a:1', '{{ if eq .Values.mode "gpu" }}a{{ else }}b{{ end }}') },
      },
    };
    expect(referencesOf(await resolveJson([writePack(folder, pack)]))).toEqual(['x.io/a:1']);
  });

  it('reports a macro that leads to itself', async () => {
    const values = 'a: "{{ .spectro.pack.web.b }}"\nb: "{{ .spectro.pack.web.a }}"\n';
    const { exitCode, stderr } = await runResolve([
      writeProfile(folder, { packs: [{ name: 'web', type: 'manifest', values }] }),
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('leads to itself');
  });

  it('never shows the value of a sensitive variable', async () => {
    const args = [
      writeProfile(folder, {
        variables: [
          { name: 'password', isSensitive: true },
          { name: 'pin', isSensitive: true, defaultValue: 'default-geheim' },
        ],
        packs: [
          {
            name: 'web',
            values: 'charts:\n  app: {login: "{{ .spectro.var.password }}", pin: "{{ .spectro.var.pin }}"}\n',
          },
        ],
      }),
      ...['--pack-dir', join(folder, 'packs'), '--var', 'password=given-geheim'],
    ];
    writePack(join(folder, 'packs'), {
      charts: { app: { 'templates/a.yaml': '{{ fail (printf "bad login %s %s" .Values.login .Values.pin) }}' } },
    });
    const { exitCode, stdout, stderr } = await runResolve(args);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('bad login');
    expect(stdout + stderr).not.toContain('geheim');
  });

  it('quotes no value of a variable that is no NAME=VALUE', async () => {
    const { exitCode, stderr } = await runResolve([writeProfile(folder, {}), '--var', '=geheim']);
    expect(exitCode).toBe(2);
    expect(stderr).not.toContain('geheim');
  });
});
