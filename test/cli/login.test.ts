import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runCli, runInProcess } from './run-cli.ts';

const password = 'c0rrect horse';
const auth = Buffer.from(`admin:${password}`).toString('base64');

let server: ScriptedServer;
let folder: string;
let environment: Record<string, string>;

beforeAll(async () => {
  server = await startScriptedServer({
    'GET /v2/': ({ headers }, response) => {
      const isKnown = headers.authorization === `Basic ${auth}`;
      response.writeHead(isKnown ? 200 : 401, isKnown ? {} : { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    },
  });
});
beforeEach(async () => {
  folder = await temporaryFolder();
  environment = { DOCKER_CONFIG: folder };
});
afterAll(async () => server.stop());

function readConfig(): Promise<string> {
  return readFile(join(folder, 'config.json'), 'utf8');
}

describe('edge-bundle login', () => {
  it('keeps a login whose password comes on stdin, and logout forgets it', async () => {
    const args = ['login', server.host, '--plain-http', '--username', 'admin', '--password-stdin'];
    const login = await runCli(args, { environment, stdin: `${password}\n` });
    expect(login).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `logged in to ${server.host} as admin: kept in ${join(folder, 'config.json')}\n`,
    });
    expect(JSON.parse(await readConfig())).toEqual({ auths: { [server.host]: { auth } } });
    expect((await stat(join(folder, 'config.json'))).mode & 0o077).toBe(0);
    const logout = await runCli(['logout', server.host], { environment });
    expect(logout).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: `logged out from ${server.host}: removed from ${join(folder, 'config.json')}\n`,
    });
    expect(JSON.parse(await readConfig())).toEqual({ auths: {} });
    expect(await runInProcess(['logout', server.host], { environment })).toMatchObject({
      exitCode: 0,
      stderr: `there is no login for ${server.host}\n`,
    });
  });

  it('takes the password from a file, and user and password from variables', async () => {
    const file = join(folder, 'password');
    await writeFile(file, `${password}\n`);
    const args = ['login', server.host, `--plain-http=${server.host}`];
    const fromFile = await runInProcess([...args, '--username', 'admin', '--password-file', file], { environment });
    expect(fromFile.exitCode).toBe(0);
    const variables = { ...environment, EDGE_BUNDLE_USERNAME: 'admin', EDGE_BUNDLE_PASSWORD: password };
    expect((await runInProcess(args, { environment: variables })).exitCode).toBe(0);
  });

  it('keeps nothing where the registry refuses it', async () => {
    const args = ['login', server.host, '--plain-http', '--username', 'admin', '--password-stdin', '--log', 'json'];
    const { exitCode, stderr } = await runInProcess(args, { environment, stdin: 'wr0ng horse' });
    expect(exitCode).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'AUTH_FAILED' });
    expect(stderr).not.toContain('wr0ng horse');
    await expect(stat(join(folder, 'config.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('warns of another login that comes first', async () => {
    await mkdir(join(folder, 'containers'));
    const other = { auths: { [server.host]: { auth: Buffer.from('other:w0rd').toString('base64') } } };
    await writeFile(join(folder, 'containers', 'auth.json'), JSON.stringify(other));
    const { stderr } = await runInProcess(
      ['login', server.host, '--plain-http', '--username', 'admin', '--password-stdin'],
      { environment: { ...environment, XDG_RUNTIME_DIR: folder }, stdin: password },
    );
    expect(stderr).toContain(`warning: another login for ${server.host} comes before that`);
  });

  it.each([
    [['login', 'a.example'], /^error: no user is given\nhint: Give --username/],
    [['login', 'a.example', '--username', 'u'], /^error: the user 'u' is given, and no password/],
    [['login', 'a.example', '--username', 'u', '--password', 'x'], /^error: unknown argument: password/],
    [['login', '--username', 'u'], /^error: an argument is missing/],
    [['logout'], /^error: an argument is missing/],
  ])('%j exits with 2', async (args, message) => {
    const { exitCode, stderr } = await runInProcess(args, { environment });
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(2);
  });

  it('wants a registry and no address', async () => {
    const args = ['login', 'https://a.example/v2', '--username', 'u', '--password-stdin'];
    expect(await runInProcess(args, { environment, stdin: password })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('is not a registry: expected HOST or HOST:PORT') as string,
    });
  });
});
