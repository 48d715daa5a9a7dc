import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { temporaryFolder } from '../support/temporary-folder.ts';
import { runCli, runInProcess } from './run-cli.ts';

const commands = ['resolve', 'lint', 'build', 'inspect', 'verify', 'load', 'serve', 'sign', 'cache', 'login', 'logout'];

describe('edge-bundle --help', () => {
  it('lists every command and the exit codes', async () => {
    const { exitCode, stdout, stderr } = await runCli(['--help']);
    expect(exitCode).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^ +edge-bundle ${command} [<[]`, 'm'));
    expect(stdout).toMatch(/Exit codes: 0 done, 1 failed, 2 usage, 3 .*, 4 .*, 75 /);
    expect(stderr).toBe('');
  });

  it.each(commands)('has an example for %s', async (command) => {
    const { exitCode, stdout } = await runCli([command, '--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(new RegExp(`Examples:\\n +edge-bundle ${command} \\S`));
  });

  it('loads nothing that only a command needs', async () => {
    const folder = await temporaryFolder();
    await runCli(['--help'], { environment: { NODE_V8_COVERAGE: folder } });
    const loaded = (
      await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file), 'utf8')))
    ).join();
    expect(loaded).toMatch(/node_modules\/yargs\//);
    expect(loaded).not.toMatch(/node_modules\/(undici|zod|zstd-napi|yaml|js-yaml|tar|p-limit|log-update)\//);
  });

  it('tells the version of the package', async () => {
    const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
    const { stdout } = await runCli(['--version']);
    expect(stdout).toBe(`${/"version": "([^"]+)"/.exec(text)?.[1] ?? ''}\n`);
  });
});

describe('a wrong command line', () => {
  it.each([
    [[], /^error: a command is missing\nhint: 'edge-bundle --help'/],
    [['bild'], /^error: unknown command: bild\n/],
    [['build'], /^error: no profile is given\nhint: Name a file, or read it from Palette/],
    [['inspect'], /^error: an argument is missing\nhint: 'edge-bundle inspect --help'/],
    [['build', 'a.txt', '--frob'], /^error: unknown argument: frob\nhint: 'edge-bundle build --help'/],
    [['build', 'a.txt', '--password', 'x'], /^error: unknown argument: password\n/],
    [
      ['build', 'a.txt', '--concurrency', '0'],
      /^error: --concurrency: expected a whole number of at least 1, '0' came/,
    ],
    [['build', 'a.txt', '--arch', 'sparc'], /^error: --arch: "sparc" is not a platform \(Write ARCH.*amd64/],
    [['build', 'a.txt', '--out'], /^error: --out needs a value\nhint: 'edge-bundle build --help'/],
    [['build', 'a.txt', '--stop-after', '30d'], /^error: --stop-after: '30d' is more than 24 days\n/],
    [['build', 'a.txt', '--timeout', '3000000'], /^error: --timeout: expected .* from 1 to 2073600, '3000000' came/],
    [['build', 'a.txt', '--out', 'x', '--out', 'y'], /^error: --out is given more than once/],
    [['inspect', 'a', 'b'], /^error: unknown argument: b\n/],
    [['inspect', 'a', '--output', 'xml'], /^error: invalid values: .*"table", "json", "tree"/],
    [['load', 'a'], /^error: no registry is given\nhint: Give --harbor URL or --registry URL/],
    [['load', 'a', '--registry', 'b', '--harbor', 'c'], /^error: --harbor and --registry exclude each other/],
    [['load', 'a', '--harbor', 'https://host/project'], /^error: --harbor: expected https:\/\/HOST\[:PORT\]/],
    [['serve', 'a', '--listen', '5000'], /^error: --listen: expected ADDRESS:PORT, '5000' came/],
    [['serve', 'a', '--tls-cert', 'x'], /^error: --tls-cert and --tls-key belong together/],
  ])('%j exits with 2 and one message on stderr', async (args, message) => {
    const { exitCode, stdout, stderr } = await runInProcess(args);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).not.toContain('Options:');
  });
});

describe('the process', () => {
  it('exits with the code of a wrong command line', async () => {
    const { exitCode, stdout, stderr } = await runCli(['load', '--plain-http', 'bundle.tar.zst', '--password', 'x']);
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      "error: unknown argument: password\nhint: 'edge-bundle load --help' shows what can be given.\n",
    );
    expect(stdout).toBe('');
  });
});

describe('--plain-http', () => {
  it.each([
    ['alone before the bundle', ['load', '--plain-http', '/tmp/no-such-bundle', '--registry', '127.0.0.1:1']],
    [
      'with a host, twice',
      ['load', '--plain-http=a', '--plain-http=b:1', '/tmp/no-such-bundle', '--registry', '127.0.0.1:1'],
    ],
    ['last', ['load', '/tmp/no-such-bundle', '--registry', '127.0.0.1:1', '--plain-http']],
  ])('%s leaves the bundle alone', async (_where, args) => {
    const { exitCode, stderr } = await runInProcess(args);
    expect(stderr).toMatch(/^error: .*'\/tmp\/no-such-bundle'/);
    expect(exitCode).toBe(1);
  });
});

describe('errors', () => {
  it('are one JSON line with --log json', async () => {
    const { exitCode, stderr } = await runCli(['build', '/nowhere/profile.json', '--log', 'json', '--output', 'json']);
    expect(exitCode).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({
      level: 'error',
      code: 'FILE_FAILED',
      message: expect.stringContaining('/nowhere/profile.json') as string,
      failures: [],
    });
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('list several failures one a line', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'profile.yaml');
    const pack = (name: string): string =>
      `{name: ${name}, type: oci, layer: os, values: "pack: {content: {images: [{image: Upper/${name}}]}}"}`;
    await writeFile(
      file,
      `metadata: {name: p}\nspec: {template: {type: add-on, packs: [${pack('a')}, ${pack('b')}]}}\n`,
    );
    const { exitCode, stdout, stderr } = await runCli(['build', file, '--out', join(folder, 'out')]);
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toBe('error: the profiles cannot be resolved: 2 problems');
    expect(lines.filter((line) => /^ {2}profile 'p', pack '[ab]', .*upper-case/.test(line))).toHaveLength(2);
    expect(exitCode).toBe(1);
    expect(stdout).toBe('');
    expect(await readdir(folder)).toEqual(['profile.yaml']);
  });
});
