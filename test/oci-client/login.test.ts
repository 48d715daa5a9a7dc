import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { credentialsFromEnvironment } from '../../src/oci-client/docker-config.ts';
import { login, type LoginOptions, logout } from '../../src/oci-client/login.ts';
import { type CredentialHelpers, keepingHelper, makeCredentialHelpers } from '../support/credential-helper.ts';
import { expectError } from '../support/expect-error.ts';
import { type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const credentials = { username: 'robot', password: 'the right w0rd' };
const basic = `Basic ${Buffer.from('robot:the right w0rd').toString('base64')}`;

let server: ScriptedServer;
let folder: string;
let path: string;
let helpers: CredentialHelpers;
let options: LoginOptions;

beforeAll(async () => {
  server = await startScriptedServer({
    'GET /v2/': ({ headers }, response) => {
      const isKnown = headers.authorization === basic;
      response.writeHead(isKnown ? 200 : 401, isKnown ? {} : { 'WWW-Authenticate': 'Basic realm="x"' }).end();
    },
  });
});
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, '.docker', 'config.json');
  helpers = await makeCredentialHelpers(folder);
  options = { environment: helpers.environment, transport: { plainHttp: 'all', retries: 0 } };
});
afterAll(async () => server.stop());

async function writeConfig(content: object): Promise<void> {
  await mkdir(join(folder, '.docker'), { recursive: true });
  await writeFile(path, JSON.stringify(content), { mode: 0o644 });
}

async function readConfig(): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}

describe('login', () => {
  it('keeps what works where Docker looks for it, for its owner only', async () => {
    expect(await login(server.host, credentials, options)).toEqual({ place: path, isHidden: false });
    expect(await readConfig()).toEqual({ auths: { [server.host]: { auth: basic.replace('Basic ', '') } } });
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('600');
    expect(await credentialsFromEnvironment(options.environment).find(server.host)).toEqual(credentials);
  });

  it('leaves everything else in the file as it is, and other names of the registry out', async () => {
    const others = { 'ghcr.io': { auth: 'eDp5' }, [`${server.host}/team`]: { auth: 'eDp5' } };
    const rest = { HttpHeaders: { A: 'b' }, psFormat: 'table', plugins: { x: { y: '1' } } };
    await writeConfig({ ...rest, auths: { [`http://${server.host}/v1/`]: { auth: 'eDp5' }, ...others } });
    await login(server.host, credentials, options);
    expect(await readConfig()).toEqual({
      ...rest,
      auths: { ...others, [server.host]: { auth: basic.replace('Basic ', '') } },
    });
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe('600');
  });

  it('keeps nothing that the registry refuses', async () => {
    await expectError('AUTH_FAILED', '401', () =>
      login(server.host, { ...credentials, password: 'wrong w0rd' }, options),
    );
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('writes through a link', async () => {
    await writeConfig({});
    const link = join(folder, 'link.json');
    await symlink(path, link);
    const environment = { ...options.environment, REGISTRY_AUTH_FILE: link };
    expect(await login(server.host, credentials, { ...options, environment })).toMatchObject({ place: path });
    expect(await readConfig()).toHaveProperty(['auths', server.host]);
    expect(await credentialsFromEnvironment(environment).find(server.host)).toEqual(credentials);
  });

  it('gives the secret to the helper that the file names, and leaves an empty entry', async () => {
    await helpers.add('vault', keepingHelper(join(folder, 'vault')));
    await writeConfig({ credsStore: 'vault' });
    expect(await login(server.host, credentials, options)).toEqual({
      place: 'docker-credential-vault',
      isHidden: false,
    });
    expect(await readConfig()).toEqual({ credsStore: 'vault', auths: { [server.host]: {} } });
    expect(await credentialsFromEnvironment(options.environment).find(server.host)).toEqual(credentials);
    expect(await logout(server.host, options)).toBe('docker-credential-vault');
    expect(await credentialsFromEnvironment(options.environment).find(server.host)).toBeUndefined();
    expect(await readConfig()).toEqual({ credsStore: 'vault', auths: {} });
  });

  it('says what a helper says that does not take it, and changes nothing', async () => {
    await helpers.add('vault', `cat > /dev/null; echo 'the vault is sealed'; exit 1`);
    await writeConfig({ credHelpers: { [server.host]: 'vault' } });
    await expectError('CREDENTIALS_INVALID', 'the vault is sealed', () => login(server.host, credentials, options));
    expect(await readConfig()).toEqual({ credHelpers: { [server.host]: 'vault' } });
  });

  it('tells of another login that comes first', async () => {
    const runtime = join(folder, 'runtime');
    await mkdir(join(runtime, 'containers'), { recursive: true });
    const other = { auths: { [server.host]: { auth: Buffer.from('old:word').toString('base64') } } };
    await writeFile(join(runtime, 'containers', 'auth.json'), JSON.stringify(other));
    const environment = { ...options.environment, XDG_RUNTIME_DIR: runtime };
    expect(await login(server.host, credentials, { ...options, environment })).toEqual({ place: path, isHidden: true });
  });

  it('and others at the same time lose nothing', async () => {
    await writeConfig({ auths: { 'ghcr.io': { auth: 'eDp5' } } });
    const hosts = [server.host, server.host.replace('127.0.0.1', 'localhost')];
    await Promise.all(hosts.map((host) => login(host, credentials, options)));
    expect(Object.keys(((await readConfig()) as { auths: object }).auths).sort()).toEqual(['ghcr.io', ...hosts].sort());
  });

  it('does not touch a file that it cannot read', async () => {
    await writeConfig({});
    await writeFile(path, '{"auths": {');
    await expectError('CREDENTIALS_INVALID', path, () => login(server.host, credentials, options));
    expect(await readFile(path, 'utf8')).toBe('{"auths": {');
  });
});

describe('logout', () => {
  it('forgets all names of the registry, and no login for a part of it', async () => {
    const part = { 'docker.io/team': { auth: 'eDp5' } };
    await writeConfig({
      auths: { 'https://index.docker.io/v1/': { auth: 'eDp5' }, 'docker.io': { auth: 'eDp5' }, ...part },
    });
    expect(await logout('index.docker.io', options)).toBe(path);
    expect(await readConfig()).toEqual({ auths: part });
  });

  it('says where there is nothing to forget', async () => {
    expect(await logout('ghcr.io', options)).toBeUndefined();
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
