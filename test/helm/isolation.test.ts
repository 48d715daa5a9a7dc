import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { HelmProgram } from '../../src/helm/helm-program.ts';
import { renderChart, type RenderChartOptions, type Rendering } from '../../src/helm/render-chart.ts';
import { expectError } from '../support/expect-error.ts';
import { chartFiles, makeChart, pinnedHelm } from '../support/helm.ts';
import { reply, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { type FileTexts, tarGzip } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let server: ScriptedServer;
/** Two folders: where this process has its temporary files, and for what a test writes. */
let temporary: string;
let outside: string;
const usualFolder = process.env.TMPDIR;

beforeAll(async () => {
  const schema = reply(200, { 'content-type': 'application/json' }, '{"type": "object"}');
  server = await startScriptedServer({ 'GET /schema.json': schema, 'GET /dir/schema.json': schema });
  // What this file leaves behind is then told from what others do.
  [temporary, outside] = [await temporaryFolder(), await temporaryFolder()];
  process.env.TMPDIR = temporary;
});
afterAll(async () => {
  if (usualFolder === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = usualFolder;
  await server.stop();
});

function folderOutside(): Promise<string> {
  return mkdtemp(join(outside, 'test-'));
}

/** As on a system where an ordinary user cannot take the network away from a program. */
async function withNetwork(): Promise<HelmProgram> {
  return { ...(await pinnedHelm()), isolation: [] };
}

interface Options extends Partial<Omit<RenderChartOptions, 'chart'>> {
  readonly program?: HelmProgram;
}

async function render(files: FileTexts, options: Options = {}): Promise<Rendering> {
  const { program = await pinnedHelm(), ...rest } = options;
  const chart = await makeChart(files);
  return renderChart(program, { chart, releaseName: 'release', namespace: 'place', values: {}, ...rest });
}

/** Children of this process, of whatever state. */
function children(): string[] {
  const table = execFileSync('ps', ['-o', 'comm=', '--ppid', String(process.pid)]).toString();
  return table.split('\n').filter((name) => /helm|^sh|unshare/.test(name));
}

async function expectNothingLeft(): Promise<void> {
  expect(await readdir(temporary)).toEqual([]);
  expect(children()).toEqual([]);
}

describe('a chart', () => {
  it.each(['env "HOME"', 'expandenv "$HOME"'])('has no function {{ %s }}', async (call) => {
    await expectError('RENDER_FAILED', 'not defined', () => render({ 'templates/a.yaml': `a: {{ ${call} }}` }));
  });

  it('resolves no names', async () => {
    const template = 'a: "{{ getHostByName "localhost" }}"';
    const { text } = await render({ 'templates/a.yaml': template }, { program: await withNetwork() });
    expect(text).toContain('a: ""');
  });

  it.each(['/etc/passwd', '../../../../../../../../etc/passwd', 'templates/../../../../../../../etc/passwd'])(
    'reads no file of the machine: %s',
    async (path) => {
      const { text } = await render({
        'templates/a.yaml': `a: "{{ .Files.Get "${path}" }}{{ range $p, $_ := .Files.Glob "${path}" }}{{ $p }}{{ end }}"`,
      });
      expect(text).toContain('a: ""');
    },
  );

  it('does not get the environment of this process, or a Helm of the user', async () => {
    const folder = await folderOutside();
    const script = join(folder, 'helm');
    await writeFile(script, '#!/bin/sh\nenv | sort; echo "folder: $(ls -A)"; echo "input: $(cat)"\n', { mode: 0o755 });
    process.env.EDGE_BUNDLE_TEST_SECRET = 'visible';
    const program = { path: script, version: 'v4.1.4', isolation: [] };
    const { text } = await render({}, { program, values: { a: 'b' } });
    delete process.env.EDGE_BUNDLE_TEST_SECRET;
    const names = text.match(/^\w+(?==)/gm)?.filter((name) => !['PWD', '_', 'OLDPWD', 'SHLVL'].includes(name));
    expect(names?.filter((name) => !name.startsWith('HELM_')).sort()).toEqual(
      ['ALL_PROXY', 'GOGC', 'GOMEMLIMIT', 'HOME', 'HTTPS_PROXY', 'HTTP_PROXY', 'KUBECONFIG', 'TMPDIR'].sort(),
    );
    expect(text).not.toContain('visible');
    expect(text).toContain('KUBECONFIG=/dev/null');
    expect(text).toContain('folder: chart.tgz\ninput: {"a":"b"}\n');
    for (const home of text.match(/^(HOME|HELM_\w+_HOME|HELM_PLUGINS|TMPDIR)=.*$/gm) ?? []) {
      expect(home).toMatch(new RegExp(`=${temporary}/edge-bundle-\\w+`));
    }
  });

  it('is rendered in a folder that nobody else can read, and that is gone afterwards', async () => {
    const script = join(await folderOutside(), 'helm');
    await writeFile(script, '#!/bin/sh\nstat -c %a .\n', { mode: 0o755 });
    const { text } = await render({}, { program: { path: script, version: 'v4.1.4', isolation: [] } });
    expect(text).toBe('700\n');
    await expectNothingLeft();
  });
});

describe('a schema of values that refers to something outside of it', () => {
  const references: readonly (readonly [string, (host: string) => object])[] = [
    ['$ref', (host) => ({ properties: { x: { $ref: `http://${host}/schema.json` } } })],
    ['$ref with an upper-case scheme', (host) => ({ allOf: [{ $ref: `HTTP://${host}/schema.json` }] })],
    ['$ref relative to $id', (host) => ({ $id: `http://${host}/dir/`, properties: { x: { $ref: 'schema.json' } } })],
    ['$dynamicRef', (host) => ({ properties: { x: { $dynamicRef: `http://${host}/schema.json` } } })],
    ['$schema', (host) => ({ $schema: `http://${host}/schema.json` })],
  ];

  it.each(references)('is not read over the network: %s', async (_what, schema) => {
    const files = { 'values.schema.json': JSON.stringify(schema(server.host)), 'templates/a.yaml': 'a: b' };
    const { text, warnings } = await render(files, { program: await withNetwork(), values: { x: 1 } });
    expect(text).toContain('a: b');
    expect(warnings).toEqual([
      expect.stringMatching(/^chart app: its values were not checked: values.schema.json refers to/),
    ]);
    expect(server.requests).toEqual([]);
  });

  it('would be read otherwise: that is what Helm does', async () => {
    const folder = await folderOutside();
    const schema = JSON.stringify({ $ref: `${server.url}/schema.json` });
    const archive = tarGzip(chartFiles({ 'values.schema.json': schema, 'templates/a.yaml': 'a: b' }));
    await writeFile(join(folder, 'app.tgz'), archive);
    const { path, isolation } = await pinnedHelm();
    const template = (...before: readonly string[]): Promise<unknown> => {
      const [program, ...args] = [...before, path, 'template', 'x', 'app.tgz'];
      return promisify(execFile)(program, args, {
        cwd: folder,
        env: { HOME: folder, HTTP_PROXY: 'http://127.0.0.1:9' },
      });
    };
    // A proxy does not help for this host; having no network does, where the system allows that.
    if (isolation.length > 0) await expect(template(...isolation)).rejects.toThrow('network is unreachable');
    expect(server.requests).toEqual([]);
    await template();
    expect(server.requests.map(({ path: asked }) => asked)).toEqual(['/schema.json']);
  });

  it('is not read from a file, in a subchart of an archive neither', async () => {
    const folder = await folderOutside();
    await mkdir(join(folder, 'private'));
    await writeFile(join(folder, 'private', 'schema.json'), '{"required": ["never-there"]}');
    const schema = JSON.stringify({ $ref: `file://${folder}/private/schema.json` });
    const sub = tarGzip(chartFiles({ 'values.schema.json': schema, 'templates/a.yaml': 'a: b' }, 'sub'));
    const { text, warnings } = await render({ 'charts/sub.tgz': sub });
    expect(text).toContain('a: b');
    expect(warnings).toEqual([expect.stringContaining('chart app: subchart sub: its values were not checked')]);
  });

  it('is the only one that is left out', async () => {
    const foreign = '{"$ref": "file:///nowhere.json"}';
    const sub = tarGzip(chartFiles({ 'values.schema.json': foreign }, 'sub'));
    const own =
      '{"$schema": "http://json-schema.org/schema#", "$ref": "#/$defs/a", "$defs": {"a": {"required": ["x"]}}}';
    const files = { 'values.schema.json': own, 'charts/sub.tgz': sub };
    await expectError('RENDER_FAILED', "missing property 'x'", () => render(files));
    expect((await render(files, { values: { x: 1 } })).warnings.length).toBe(1);
  });

  it.each(['draft-04', 'draft-06', 'draft-07', 'draft/2019-09', 'draft/2020-12'])(
    'is none where it only names %s, which Helm has built in',
    async (draft) => {
      const schema = { $schema: `http://json-schema.org/${draft}/schema#`, required: ['x'] };
      const files = { 'values.schema.json': `\uFEFF${JSON.stringify(schema)}` };
      await expectError('RENDER_FAILED', "missing property 'x'", () => render(files));
    },
  );
});

describe('a chart that would go on for ever', () => {
  it('is ended after a time', async () => {
    const template = '{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}';
    await expectError('RENDER_LIMIT', 'it did not end within 1.5 s', () =>
      render({ 'templates/a.yaml': template }, { timeoutMs: 1500 }),
    );
    await expectNothingLeft();
  });

  it.each([
    ['a list', '{{ range until 1000000000 }}{{ end }}'],
    ['a text', 'a: {{ repeat 2000000000 "0123456789" }}'],
    ['output', '{{ range until 1000000 }}{{ repeat 1000000 "x" }}{{ end }}'],
  ])('is ended where it wants too much memory: %s', async (_what, template) => {
    await expectError('RENDER_LIMIT', 'it needs more than 1610612736 bytes of memory', () =>
      render({ 'templates/a.yaml': template }, { maxMemoryBytes: 1.5 * 1024 ** 3 }),
    );
    await expectNothingLeft();
  });

  it('is ended where it calls itself, with the reason of the last call', async () => {
    const template = '{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}';
    const error = await expectError('RENDER_FAILED', 'nested reference name: a', () =>
      render({ 'templates/a.yaml': template }),
    );
    expect(error.message.length).toBeLessThan(2200);
  });

  it('is ended where it gives too much', async () => {
    const template = 'a: {{ repeat 300000 "x" }}';
    await expectError('RENDER_LIMIT', 'it gives more than 200000 bytes', () =>
      render({ 'templates/a.yaml': template }, { maxOutputBytes: 200_000 }),
    );
    const { text } = await render({ 'templates/a.yaml': template }, { maxOutputBytes: 400_000 });
    expect(
      createHash('sha256')
        .update(text.split('a: ')[1] ?? '')
        .digest('hex'),
    ).toBe(
      createHash('sha256')
        .update(`${'x'.repeat(300_000)}\n`)
        .digest('hex'),
    );
  });

  it('is ended when the caller wants no more', async () => {
    const template = '{{ range until 1000000 }}{{ range until 1000000 }}{{ end }}{{ end }}';
    const controller = new AbortController();
    const rendering = expectError('ABORTED', 'interrupted', () =>
      render({ 'templates/a.yaml': template }, { signal: controller.signal }),
    );
    while (!children().some((name) => name.includes('helm'))) await sleep(20);
    controller.abort();
    await rendering;
    await expectNothingLeft();
    await expectError('ABORTED', 'interrupted', () => render({}, { signal: controller.signal }));
  });

  it('has bounded values', async () => {
    let bomb: unknown = 'x'.repeat(1000);
    for (let depth = 0; depth < 12; depth += 1) bomb = Array.from({ length: 10 }, () => bomb);
    await expectError('RENDER_FAILED', 'its values have more than', () => render({}, { values: { bomb } }));
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    await expectError('RENDER_FAILED', 'refer to themselves', () => render({}, { values: circle }));
  });
});

describe('Helm', () => {
  it('sees the files that were read, and no others that an archive could hold for it', async () => {
    const script = join(await folderOutside(), 'helm');
    await writeFile(script, '#!/bin/sh\ntar -tzf chart.tgz\n', { mode: 0o755 });
    const inner = tarGzip(chartFiles({ 'templates/b.yaml': 'b: c' }, 'inner'));
    const files = {
      'templates/a.yaml': 'a: b',
      'charts/inner.tgz': inner,
      'charts/_off.tgz': 'none',
      'charts/README.md': '',
    };
    const { text } = await render(files, { program: { path: script, version: 'v4.1.4', isolation: [] } });
    expect(text.trim().split('\n').sort()).toEqual([
      'chart/Chart.yaml',
      'chart/charts/0/Chart.yaml',
      'chart/charts/0/templates/b.yaml',
      'chart/templates/a.yaml',
    ]);
  });

  it('is bounded by the system too, which holds where this process is killed', async () => {
    const script = join(await folderOutside(), 'helm');
    await writeFile(script, '#!/bin/sh\nulimit -c; ulimit -v; ulimit -t\n', { mode: 0o755 });
    const program = { path: script, version: 'v4.1.4', isolation: [] };
    const { text } = await render({}, { program, timeoutMs: 7000, maxMemoryBytes: 2 ** 30 });
    expect(text).toBe(`0\n${2 ** 20}\n${7 * availableParallelism()}\n`);
  });

  it('that is killed leaves nothing, and is said to be', async () => {
    const script = join(await folderOutside(), 'helm');
    await writeFile(script, '#!/bin/sh\nkill -KILL $$\n', { mode: 0o755 });
    const program = { path: script, version: 'v4.1.4', isolation: [] };
    await expectError('RENDER_LIMIT', 'Helm was ended by SIGKILL', () => render({}, { program }));
    await expectNothingLeft();
  });
});
