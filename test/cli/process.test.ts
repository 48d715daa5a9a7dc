import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { runCommandLine } from '../../src/cli/command-line.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { startScriptedServer } from '../support/scripted-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { startCli } from './run-cli.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const loader = import.meta.resolve('tsx');

async function imageList(reference: string): Promise<string> {
  const folder = await temporaryFolder();
  await chmod(folder, 0o755);
  const file = join(folder, 'images.txt');
  await writeFile(file, `${reference}\n`);
  return file;
}

describe('a user whom the system does not know', () => {
  const isPossible = process.getuid?.() === 0;

  it.runIf(isPossible)('without HOME, as in containers of CI servers, needs no home', async () => {
    const server = await startScriptedServer({});
    try {
      const file = await imageList(`${server.host}/team/app:1`);
      const run = async (args: readonly string[]): Promise<{ exitCode: number | null; stderr: string }> => {
        const child = spawn(process.execPath, ['--import', loader, main, ...args], {
          env: { PATH: process.env.PATH ?? '' },
          uid: 54_321,
          gid: 54_321,
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')]);
        return { exitCode: child.exitCode, stderr };
      };
      const build = await run(['build', file, '--plain-http', '--out', '/nowhere']);
      expect(build).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('answered 404') as string });
      const cache = await run(['cache', 'ls']);
      expect(cache).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--cache-dir') as string });
    } finally {
      await server.stop();
    }
  });
});

describe('standard output', () => {
  it.runIf(existsSync('/dev/full'))('that is full is an error like any other', async () => {
    const file = await imageList('docker.io/library/nginx:1.27');
    const full = await open('/dev/full', 'w');
    const child = spawn(process.execPath, ['--import', loader, main, 'resolve', file], {
      env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent' },
      stdio: ['ignore', full.fd, 'pipe'],
    });
    const [stderr] = await Promise.all([text(child.stderr as NodeJS.ReadableStream), once(child, 'close')]);
    await full.close();
    expect(stderr).toMatch(/^error: cannot write the result to standard output: no space left on the device\nhint: /);
    expect(child.exitCode).toBe(1);
  });

  it('that nobody reads any more is no error', async () => {
    const file = await imageList('docker.io/library/nginx:1.27');
    const running = startCli(['resolve', file]);
    running.process.stdout.destroy();
    expect(await running.result()).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('an interrupt', () => {
  it('ends the wait for a password on standard input', async () => {
    const controller = new AbortController();
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const isRead = new Promise<void>((resolve) => {
      stdin.on('newListener', (event) => {
        if (event === 'readable' || event === 'data') resolve();
      });
    });
    stdin.write('half a passw');
    const ended = runCommandLine(['login', '127.0.0.1:1', '--username', 'admin', '--password-stdin'], {
      ...{ stdin, stdout, stderr },
      environment: { HOME: '/nonexistent' },
      signal: controller.signal,
    });
    await isRead;
    controller.abort(new EdgeBundleError('ABORTED', 'interrupted by SIGINT'));
    expect(await ended).toBe(1);
    stderr.end();
    expect(await text(stderr)).toBe('error: interrupted by SIGINT\n');
    expect(stdin.destroyed, 'or it would keep the process').toBe(true);
  });
});
