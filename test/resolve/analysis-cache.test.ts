import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { runCli } from '../cli/run-cli.ts';
import { helmPath } from '../support/helm.ts';
import { podTemplate, type SamplePack, writePack } from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

let folder: string;
let cache: string;
let log: string;
let countingHelm: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  cache = join(folder, 'cache');
  log = join(folder, 'runs');
  countingHelm = join(folder, 'helm');
  const count = `case " $* " in *" template "*) echo run >> '${log}';; esac`;
  writeFileSync(countingHelm, `#!/bin/sh\n${count}\nexec '${helmPath}' "$@"\n`);
  chmodSync(countingHelm, 0o755);
});

const runs = (): number => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0);

const args = (path: string): string[] => [path, '--cache-dir', cache, '--helm', countingHelm];

const pack: SamplePack = {
  values: 'pack: {spectrocloud.com/install-priority: "3"}\ncharts: {app: {tag: "1"}}\n',
  charts: {
    app: {
      'templates/pod.yaml': `${podTemplate('x.io/app:{{ .Values.tag }}')}      args: ["--image=x.io/side:1"]\n`,
    },
  },
  manifests: { extra: podTemplate('x.io/extra:{{ 1 }}') },
};

describe('the cache of analyses', () => {
  it('gives the same result again without running Helm', async () => {
    const path = writePack(folder, pack);
    const first = await resolveJson(args(path));
    expect(runs()).toBe(2);
    expect(await resolveJson(args(path))).toEqual(first);
    expect(runs()).toBe(2);
    expect(first.images).toHaveLength(3);
  });

  it.each<[string, (path: string) => readonly string[]]>([
    ['other values', () => [writePack(folder, { ...pack, values: 'charts: {app: {tag: "2"}}\n' })]],
    [
      'another chart',
      () => [writePack(folder, { ...pack, charts: { app: { 'templates/pod.yaml': podTemplate('x.io/app:2') } } })],
    ],
    [
      'another manifest',
      () => [writePack(folder, { ...pack, manifests: { extra: podTemplate('x.io/extra:{{ 2 }}') } })],
    ],
    ['another version of Kubernetes', (path) => [path, '--kube-version', '1.30.0']],
    ['more API versions', (path) => [path, '--api-versions', 'example.com/v1']],
  ])('has nothing for %s', async (_name, change) => {
    const path = writePack(folder, pack);
    await resolveJson(args(path));
    const before = runs();
    const [changed = '', ...more] = change(path);
    await resolveJson([...args(changed), ...more]);
    expect(runs()).toBe(before + 2);
  });

  it('has nothing for another value of a macro', async () => {
    const path = writePack(folder, { ...pack, values: 'charts: {app: {tag: "{{ .spectro.var.tag }}"}}\n' });
    const tagged = async (tag: string): Promise<string | undefined> =>
      referencesOf(await resolveJson([...args(path), '--var', `tag=${tag}`])).find((name) =>
        name.startsWith('x.io/app:'),
      );
    expect([await tagged('1'), await tagged('2'), await tagged('1')]).toEqual([
      'x.io/app:1',
      'x.io/app:2',
      'x.io/app:1',
    ]);
    expect(runs()).toBe(4);
  });

  it.each([
    ['empty', ''],
    ['cut short', '{"mentions":['],
    ['of another shape', '{"mentions":[{"image":7}]}'],
    ['another document', '[]'],
  ])('passes over an entry that is %s', async (_name, text) => {
    const path = writePack(folder, pack);
    const first = await resolveJson(args(path));
    const entries = readdirSync(join(cache, 'analyses'));
    expect(entries).toHaveLength(1);
    for (const entry of entries) writeFileSync(join(cache, 'analyses', entry), text);
    expect(await resolveJson(args(path))).toEqual(first);
    expect(runs()).toBe(4);
    expect(await resolveJson(args(path))).toEqual(first);
    expect(runs()).toBe(4);
  });

  it('needs no Helm for manifests that are no templates', async () => {
    const path = writePack(folder, { manifests: { extra: podTemplate('x.io/extra:1') } });
    expect(referencesOf(await resolveJson(args(path)))).toEqual(['x.io/extra:1']);
    expect(runs()).toBe(0);
  });

  it("keeps Helm's reason too: the same chart with the same values fails again", async () => {
    const path = writePack(folder, { charts: { app: { 'templates/a.yaml': '{{ fail "no" }}' } } });
    const first = await runResolve(args(path));
    expect(first.exitCode).toBe(3);
    const before = runs();
    expect(await runResolve(args(path))).toEqual(first);
    expect(runs()).toBe(before);
  });

  it('does not keep what met a limit: the next run may go better', async () => {
    const path = writePack(folder, { charts: { app: { 'templates/a.yaml': '{{ repeat 2000000000 "xx" }}' } } });
    await runResolve(args(path));
    const before = runs();
    expect((await runResolve(args(path))).exitCode).not.toBe(0);
    expect(runs()).toBe(before + 1);
  });

  it('does without where its folder cannot be written', async () => {
    writeFileSync(cache, 'a file');
    expect((await resolveJson(args(writePack(folder, pack)))).images).toHaveLength(3);
  });

  it('is shared by two processes at once', async () => {
    const path = writePack(folder, pack);
    const run = () =>
      runCli(['resolve', ...args(path), '--output', 'list'], { environment: { EDGE_BUNDLE_HELM: countingHelm } });
    const [one, other] = await Promise.all([run(), run()]);
    expect(one.exitCode).toBe(0);
    expect(other).toEqual(one);
    const before = runs();
    expect((await runResolve([...args(path), '--output', 'list'])).stdout).toBe(one.stdout);
    expect(runs()).toBe(before);
    expect(readdirSync(join(cache, 'analyses'))).toHaveLength(1);
  });
});
