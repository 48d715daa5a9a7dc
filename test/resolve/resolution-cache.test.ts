import { appendFileSync, chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { helmPath } from '../support/helm.ts';
import { podTemplate, writePack } from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

let folder: string;
let cache: string;
let helm: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  cache = join(folder, 'cache');
  helm = join(folder, 'helm');
  // Where a resolution is taken as it was kept, not even its version is asked for.
  writeFileSync(helm, `#!/bin/sh\necho run >> '${folder}/runs'\nexec '${helmPath}' "$@"\n`);
  chmodSync(helm, 0o755);
  settle();
});

afterEach(() => void vi.useRealTimers());

/** As if time had gone by since files were written. */
function settle(): void {
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 10_000 });
}

const runs = (): number => (existsSync(join(folder, 'runs')) ? readFileSync(join(folder, 'runs'), 'utf8').length : 0);
const kept = (): string[] => (existsSync(join(cache, 'resolutions')) ? readdirSync(join(cache, 'resolutions')) : []);
const args = (...more: string[]): string[] => [...more, '--cache-dir', cache, '--helm', helm];

const packOf = (image: string): string => {
  const path = writePack(folder, {
    values: `charts: {app: {image: ${image}, password: hunter22hunter22}}\n`,
    charts: { app: { 'templates/pod.yaml': podTemplate('{{ .Values.image }}') } },
  });
  settle();
  return path;
};

describe('the cache of resolutions', () => {
  it('gives the same again without reading anything: Helm is not started, no pack is analysed', async () => {
    const pack = packOf('x.io/app:1');
    const first = await runResolve(args(pack, '--why', 'x.io/app:1'));
    expect(first.exitCode).toBe(0);
    const before = runs();
    const analyses = join(cache, 'analyses');
    for (const entry of readdirSync(analyses)) writeFileSync(join(analyses, entry), '');
    expect(await runResolve(args(pack, '--why', 'x.io/app:1'))).toEqual(first);
    expect(runs()).toBe(before);
    expect(kept()).toHaveLength(1);
  });

  it('warns again, and fails again', async () => {
    const list = join(folder, 'images.txt');
    writeFileSync(list, 'x.io/app:1\n');
    const broken = writePack(folder, { charts: { app: { 'templates/a.yaml': '{{ fail "no" }}' } } });
    settle();
    const run = () => runResolve(args(list, broken, '--exclude', 'x.io/other:1'));
    const first = await run();
    expect(first.exitCode).toBe(3);
    expect(first.stderr).toContain('leaves out nothing');
    expect(kept()).toHaveLength(1);
    expect(await run()).toEqual(first);
  });

  it.each<[string, (pack: string) => string[]]>([
    ['a changed file', () => [packOf('x.io/app:2')]],
    ['another option', (pack) => [pack, '--exclude', 'x.io/app:1']],
    ['one input more', (pack) => [pack, '--api-versions', 'example.com/v1']],
  ])('has nothing for %s', async (_name, change) => {
    const pack = packOf('x.io/app:1');
    const first = await resolveJson(args(pack));
    const more = change(pack);
    const second = await resolveJson(args(...more));
    expect(kept()).toHaveLength(2);
    if (!more.includes('--api-versions')) expect(referencesOf(second)).not.toEqual(referencesOf(first));
  });

  it('has nothing for another Helm, though it is at the same place', async () => {
    const pack = packOf('x.io/app:1');
    await resolveJson(args(pack));
    appendFileSync(helm, '# newer\n');
    settle();
    await resolveJson(args(pack));
    expect(kept()).toHaveLength(2);
  });

  it('has nothing for a file that was only just written: it may be written once more', async () => {
    const pack = packOf('x.io/app:1');
    vi.useRealTimers();
    await resolveJson(args(pack));
    expect(kept()).toEqual([]);
  });

  it('passes over an entry that is damaged', async () => {
    const pack = packOf('x.io/app:1');
    const first = await resolveJson(args(pack));
    const [entry = ''] = kept();
    const path = join(cache, 'resolutions', entry);
    writeFileSync(path, readFileSync(path, 'utf8').replace('x.io/app:1', 'x.io/app:7'));
    expect(await resolveJson(args(pack))).toEqual(first);
  });

  it("holds no value of a pack's values: passwords are among them", async () => {
    await resolveJson(args(packOf('x.io/app:1')));
    const [entry = ''] = kept();
    const text = readFileSync(join(cache, 'resolutions', entry), 'utf8');
    expect(text).toContain('x.io/app:1');
    expect(text).not.toContain('hunter22');
  });
});
