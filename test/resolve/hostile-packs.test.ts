import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { chartFiles } from '../support/helm.ts';
import {
  manifestPack,
  packFiles,
  podTemplate,
  type SamplePack,
  writePack,
  writeProfile,
} from '../support/sample-packs.ts';
import { type CraftedEntry, craftTarGzip } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

let folder: string;
let temporary: string;
const realTemporary = process.env.TMPDIR;

beforeEach(async () => {
  folder = await temporaryFolder();
  temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  mkdirSync(join(folder, 'input'));
  process.env.TMPDIR = temporary;
});

afterEach(() => {
  if (realTemporary === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = realTemporary;
});

interface Refusal {
  readonly exitCode: number | null;
  readonly stderr: string;
}

/** Runs `resolve`, which has to fail, and checks that only its cache was written. */
async function refused(input: string, ...more: readonly string[]): Promise<Refusal> {
  const before = readdirSync(join(folder, 'input'), { recursive: true }).sort();
  const started = performance.now();
  const { exitCode, stderr } = await runResolve([input, '--cache-dir', join(folder, 'cache'), ...more]);
  expect(performance.now() - started).toBeLessThan(100_000);
  expect(exitCode).not.toBe(0);
  expect(stderr).not.toContain('unexpected');
  expect(readdirSync(join(folder, 'input'), { recursive: true }).sort()).toEqual(before);
  expect(readdirSync(temporary)).toEqual([]);
  expect(readdirSync(folder).filter((name) => !['input', 'tmp', 'cache'].includes(name))).toEqual([]);
  return { exitCode, stderr };
}

const refusedPack = (pack: SamplePack): Promise<Refusal> => refused(writePack(join(folder, 'input'), pack));

/** Each list holds the one before nine times. */
const laughs = 'abcdefghij'
  .split('')
  .map(
    (name, index, names) =>
      `${name}: &${name} [${Array(9)
        .fill(index === 0 ? 'ha' : `*${String(names[index - 1])}`)
        .join(', ')}]`,
  )
  .join('\n');

const nested = (piece: string): string => piece.repeat(20_000);

describe('resolve on hostile YAML', () => {
  it("refuses aliases without end in a pack's values", async () => {
    const { stderr } = await refusedPack({ values: `${laughs}\n`, charts: { app: {} } });
    expect(stderr).toMatch(/pack 'web'.*[Aa]lias/);
  });

  it('refuses them in a manifest of a profile', async () => {
    const profile = writeProfile(join(folder, 'input'), {
      packs: [manifestPack(`kind: ConfigMap\ndata:\n  ${laughs.replaceAll('\n', '\n  ')}\n`)],
    });
    const { stderr } = await refused(profile);
    expect(stderr).toMatch(/pack 'apps'.*alias/);
  });

  it("refuses them in a chart's own values", async () => {
    const { exitCode, stderr } = await refusedPack({ charts: { app: { 'values.yaml': `${laughs}\n` } } });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/pack 'web', chart 'app': .*alias/i);
  });

  it('refuses them in what a chart renders', async () => {
    const { stderr } = await refusedPack({
      charts: { app: { 'templates/a.yaml': `apiVersion: v1\nkind: ConfigMap\n${laughs}\n` } },
    });
    expect(stderr).toMatch(/pack 'web'.*alias/i);
  });

  it.each(['[', '{a: ', '- '])('refuses %j nested without end', async (piece) => {
    const { stderr } = await refusedPack({ values: nested(piece) });
    expect(stderr).toContain("pack 'web'");
  });

  it.each(['[', '- '])('survives %j nested without end in a manifest', async (piece) => {
    const profile = writeProfile(join(folder, 'input'), { packs: [manifestPack(`kind: A\nv: ${nested(piece)}\n`)] });
    const { stderr } = await runResolve([profile]);
    expect(stderr).not.toContain('unexpected');
  });

  it('answers any values with images or a reason', async () => {
    const words = [
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
      '.spectro.var.a',
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constantFrom(...words), fc.string()), { maxLength: 12 }),
        async (pieces) => {
          const profile = writeProfile(join(folder, 'input'), {
            packs: [{ name: 'web', type: 'manifest', values: pieces.join('') }],
          });
          const { exitCode, stderr } = await runResolve([profile]);
          expect(stderr).not.toContain('unexpected');
          expect([0, 1, 3]).toContain(exitCode);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("refuses 50 MB of a pack's values", async () => {
    const { stderr } = await refusedPack({ values: 'a: 1\n'.repeat(10_000_000) });
    expect(stderr).toMatch(/pack 'web'.*50000000 bytes; at most/s);
  });

  it('does not choke on 50 MB of values of a chart', async () => {
    const values = `image: x.io/big:1\nfiller: "${'a'.repeat(50_000_000)}"\n`;
    const path = writePack(join(folder, 'input'), {
      charts: { app: { 'values.yaml': values, 'templates/pod.yaml': podTemplate('{{ .Values.image }}') } },
    });
    const started = performance.now();
    const { stdout, stderr } = await runResolve([path, '--allow-unrendered', '--output', 'list']);
    expect(performance.now() - started).toBeLessThan(100_000);
    // Whether Helm has enough memory for them depends on its version.
    if (stdout === '') expect(stderr).toContain("pack 'web', chart 'app': cannot render");
    else expect(stdout).toBe('x.io/big:1\n');
  });
});

describe('resolve on hostile templates', () => {
  it.each([
    ['calls itself', '{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'],
    ['calls itself as a template', '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}'],
    ['wants all memory', '{{ repeat 2000000000 "xx" }}'],
    ['reads the environment', '{{ env "HOME" }}'],
    ['is no template', '{{ if }}'],
  ])('stops one that %s', async (_name, template) => {
    const { exitCode, stderr } = await refusedPack({ charts: { app: { 'templates/a.yaml': template } } });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/pack 'web', chart 'app': cannot render chart app 1\.2\.3: ./);
  });

  it('names the manifest that calls itself', async () => {
    const loop = '{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}';
    const { exitCode, stderr } = await refusedPack({ manifests: { loop, fine: podTemplate('x.io/a:1') } });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/pack 'web': cannot render manifest loop: ./);
  });
});

describe('resolve on hostile archives', () => {
  const entries: readonly [string, CraftedEntry][] = [
    ['a path that leads out', { path: 'app/../../../evil', content: 'x' }],
    ['an absolute path', { path: '/tmp/evil', content: 'x' }],
    ['a symbolic link', { path: 'app/templates/link', type: 'SymbolicLink', linkpath: '/etc/passwd' }],
    ['a hard link', { path: 'app/templates/link', type: 'Link', linkpath: 'app/Chart.yaml' }],
    ['a device', { path: 'app/device', type: 'CharacterDevice' }],
  ];

  it.each(entries)("refuses a pack's chart with %s", async (_name, entry) => {
    const chart = Object.entries(chartFiles({})).map(([path, content]) => ({ path, content }));
    const { exitCode, stderr } = await refusedPack({ charts: { app: craftTarGzip([...chart, entry]) } });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/pack 'web'.*charts\/app-1\.2\.3\.tgz.*the archive cannot be read/);
  });

  it.each(entries)('refuses the archive of a pack with %s', async (_name, entry) => {
    const files = Object.entries(packFiles({})).map(([path, content]) => ({ path: `web/${path}`, content }));
    const archive = join(folder, 'input', 'web.tar.gz');
    writeFileSync(archive, craftTarGzip([...files, entry]));
    expect((await refused(archive)).stderr).toContain('web.tar.gz');
    const profile = writeProfile(join(folder, 'input'), { packs: [{ name: 'web' }] });
    const named = await refused(profile, '--pack-dir', join(folder, 'input'));
    expect(named.stderr).toMatch(/pack 'web'.*web\.tar\.gz/s);
  });

  it('refuses an archive that unpacks to far too much', async () => {
    const bomb = craftTarGzip([{ path: 'app/zeros', content: Buffer.alloc(101 * 1024 * 1024) }]);
    expect(bomb.byteLength).toBeLessThan(1024 * 1024);
    const { stderr } = await refusedPack({ charts: { app: bomb } });
    expect(stderr).toMatch(/pack 'web'.*unpacked it has more than/);
  });

  it('refuses links that lead out of the folder of a pack', async () => {
    const path = writePack(join(folder, 'input'), {});
    symlinkSync('/etc/passwd', join(path, 'values.yaml'));
    expect((await refused(path)).stderr).toMatch(/values\.yaml.*leads out of the folder/);
  });

  it('refuses a pack.json that names files outside', async () => {
    const path = writePack(join(folder, 'input'), {});
    writeFileSync(
      join(path, 'pack.json'),
      JSON.stringify({ name: 'web', version: '1', layer: 'addon', charts: ['../../etc/passwd'] }),
    );
    expect((await refused(path)).stderr).toContain("'../../etc/passwd' leads out of the pack");
  });

  it('still reads a pack that is as it should be', async () => {
    const path = writePack(join(folder, 'input'), {
      charts: { app: { 'templates/pod.yaml': podTemplate('x.io/a:1') } },
    });
    expect(referencesOf(await resolveJson([path]))).toEqual(['x.io/a:1']);
  });
});
