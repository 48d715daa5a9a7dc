import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import { CredentialChain, FixedCredentials } from '../../src/oci-client/credentials.ts';
import { CredentialsFile } from '../../src/oci-client/credentials-file.ts';
import { credentialsFromEnvironment, dockerConfigFile } from '../../src/oci-client/docker-config.ts';
import { redact } from '../../src/redaction.ts';

let folder: string;
let files = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-credentials-'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function writeJson(content: unknown, path = join(folder, `${(files += 1)}.json`)): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

describe('a Docker config file', () => {
  it.each([
    ['docker.io', 'https://index.docker.io/v1/'],
    ['docker.io', 'docker.io'],
    ['ghcr.io', 'ghcr.io'],
    ['ghcr.io', 'https://ghcr.io'],
    ['harbor.example:30003', 'https://harbor.example:30003/v2/'],
    ['harbor.example:30003', 'http://Harbor.Example:30003'],
    ['quay.io', 'quay.io/v1/'],
  ])('has the login for %s under the key %s', async (registry, key) => {
    const path = await writeJson({ auths: { [key]: { auth: base64('user:pass:word') } } });
    expect(await dockerConfigFile(path).find(registry)).toEqual({ username: 'user', password: 'pass:word' });
  });

  it('may have user and password side by side, or an identity token, which comes first', async () => {
    const path = await writeJson({
      auths: {
        'a.example': { username: 'user', password: 'password one' },
        'b.example': { auth: base64('00000000-0000-0000-0000-000000000000:'), identitytoken: 'identity-token-1' },
      },
    });
    const source = dockerConfigFile(path);
    expect(await source.find('a.example')).toEqual({ username: 'user', password: 'password one' });
    expect(await source.find('b.example')).toEqual({ identityToken: 'identity-token-1' });
  });

  it('may fill a password up with NULs, as Docker does', async () => {
    const path = await writeJson({ auths: { 'a.example': { auth: base64('user:password two\0\0') } } });
    expect(await dockerConfigFile(path).find('a.example')).toEqual({ username: 'user', password: 'password two' });
  });

  it('knows nothing of other registries, nor of a whole registry by the login for a part of it', async () => {
    const path = await writeJson({ auths: { 'quay.io/team': { auth: base64('user:pa55-word') }, 'x y': {} } });
    expect(await dockerConfigFile(path).find('quay.io')).toBeUndefined();
    expect(await dockerConfigFile(path).find('ghcr.io')).toBeUndefined();
  });

  it('may have logins for parts of a registry, as Podman has them: the most exact one counts', async () => {
    const auth = (name: string) => ({ auth: base64(`${name}:pa55-word`) });
    const path = await writeJson({
      auths: {
        'quay.io': auth('all'),
        'quay.io/team': auth('team'),
        'quay.io/team/app/': auth('app'),
        'docker.io/library': auth('library'),
        'https://ghcr.io/org': auth('ghcr'),
      },
    });
    const source = dockerConfigFile(path);
    const user = async (registry: string, repository?: string) => await source.find(registry, { repository });
    expect(await user('quay.io', 'team/app')).toMatchObject({ username: 'app' });
    expect(await user('quay.io', 'team/application')).toMatchObject({ username: 'team' });
    expect(await user('quay.io', 'teams/app')).toMatchObject({ username: 'all' });
    expect(await user('quay.io')).toMatchObject({ username: 'all' });
    expect(await user('docker.io', 'library/nginx')).toMatchObject({ username: 'library' });
    expect(await user('docker.io', 'other/nginx')).toBeUndefined();
    expect(await user('ghcr.io', 'other/app')).toMatchObject({ username: 'ghcr' });
  });

  it('that is not there, or has no logins, holds none', async () => {
    expect(await dockerConfigFile(join(folder, 'absent.json')).find('ghcr.io')).toBeUndefined();
    expect(await dockerConfigFile(await writeJson({})).find('ghcr.io')).toBeUndefined();
  });

  it.each([
    ['no JSON', '{"auths": {"ghcr.io": {"auth": "c2VjcmV0LW9uZQ==', 'not JSON'],
    ['a list', '["c2VjcmV0LW9uZQ=="]', 'expected object'],
    ['a wrong type', '{"auths": {"ghcr.io": {"auth": ["c2VjcmV0LW9uZQ=="]}}}', 'auths.ghcr.io.auth'],
    ['what is not user:password', '{"auths": {"ghcr.io": {"auth": "c2VjcmV0LW9uZQ=="}}}', 'user:password'],
  ])('with %s gives an error with path and reason, and nothing of the content', async (_what, text, reason) => {
    const path = await writeJson(text);
    const error = await rejection(dockerConfigFile(path).find('ghcr.io'));
    expect(error.code).toBe('CREDENTIALS_INVALID');
    expect(error.message).toContain(path);
    expect(error.message).toContain(reason);
    expect(everything(error)).not.toMatch(/c2VjcmV0|secret/);
  });

  it('makes its secrets unprintable', async () => {
    const path = await writeJson({ auths: { 'a.example': { auth: base64('user:very-secret-password') } } });
    await dockerConfigFile(path).find('a.example');
    expect(redact(`password very-secret-password, ${base64('user:very-secret-password')}`)).toBe(
      'password [redacted], [redacted]',
    );
  });
});

describe('credentials from the environment', () => {
  const login = (name: string): unknown => ({ auths: { 'ghcr.io': { auth: base64(`${name}:pa55-word`) } } });

  it('come from config.json in the folder DOCKER_CONFIG', async () => {
    const DOCKER_CONFIG = join(folder, 'docker');
    await writeJson(login('docker'), join(DOCKER_CONFIG, 'config.json'));
    expect(await credentialsFromEnvironment({ DOCKER_CONFIG }).find('ghcr.io')).toMatchObject({ username: 'docker' });
  });

  it('come from Podman’s auth.json before that', async () => {
    const [DOCKER_CONFIG, XDG_RUNTIME_DIR] = [join(folder, 'docker2'), join(folder, 'runtime')];
    await writeJson(login('docker'), join(DOCKER_CONFIG, 'config.json'));
    await writeJson(login('podman'), join(XDG_RUNTIME_DIR, 'containers', 'auth.json'));
    const source = credentialsFromEnvironment({ DOCKER_CONFIG, XDG_RUNTIME_DIR });
    expect(await source.find('ghcr.io')).toMatchObject({ username: 'podman' });
  });

  it('come from REGISTRY_AUTH_FILE and no other file where that is set', async () => {
    const DOCKER_CONFIG = join(folder, 'docker3');
    await writeJson({ auths: { 'quay.io': { auth: base64('docker:pa55-word') } } }, join(DOCKER_CONFIG, 'config.json'));
    const REGISTRY_AUTH_FILE = await writeJson(login('file'));
    const source = credentialsFromEnvironment({ DOCKER_CONFIG, REGISTRY_AUTH_FILE });
    expect(await source.find('ghcr.io')).toMatchObject({ username: 'file' });
    expect(await source.find('quay.io')).toBeUndefined();
  });

  it('come from the text in DOCKER_AUTH_CONFIG first', async () => {
    const REGISTRY_AUTH_FILE = await writeJson(login('file'));
    const DOCKER_AUTH_CONFIG = JSON.stringify(login('variable'));
    const source = credentialsFromEnvironment({ DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE });
    expect(await source.find('ghcr.io')).toMatchObject({ username: 'variable' });
    const error = await rejection(credentialsFromEnvironment({ DOCKER_AUTH_CONFIG: '{"auths"' }).find('ghcr.io'));
    expect(error.code).toBe('CREDENTIALS_INVALID');
    expect(error.message).toContain('DOCKER_AUTH_CONFIG');
  });
});

describe('the credentials file of the vendor’s builder', () => {
  it('has a login for each endpoint, with image before helm', async () => {
    const path = await writeJson({
      image: [
        { endpoint: 'https://index.docker.io/v1/', username: 'hub', password: 'pa55-word' },
        { endpoint: 'harbor.example:30003', username: 'admin', password: 'pa55-word' },
      ],
      helm: [
        { endpoint: 'harbor.example:30003', username: 'other', password: 'pa55-word' },
        { endpoint: 'oci://charts.example/helm', username: 'charts', password: 'pa55-word' },
      ],
    });
    const source = new CredentialsFile(path);
    expect(await source.find('docker.io')).toEqual({ username: 'hub', password: 'pa55-word' });
    expect(await source.find('harbor.example:30003')).toMatchObject({ username: 'admin' });
    expect(await source.find('charts.example')).toMatchObject({ username: 'charts' });
    expect(await source.find('ghcr.io')).toBeUndefined();
  });

  it('may have a key of Google’s as the password, a JSON object', async () => {
    const key = { type: 'service_account', private_key: '-----BEGIN PRIVATE KEY-----\nabc' };
    const path = await writeJson({ image: [{ endpoint: 'gcr.io', username: '_json_key', password: key }] });
    const found = await new CredentialsFile(path).find('gcr.io');
    expect(found).toMatchObject({ username: '_json_key' });
    expect(JSON.parse(found !== undefined && 'password' in found ? found.password : '')).toEqual(key);
  });

  it.each([
    ['{"image":[{"endpoint":"a.example","username":"u","password":12345678}]}', 'image.0.password'],
    ['{"image":{"a.example":"sEcReT-12345678"}}', 'image'],
    ['{"image":[{"endpoint":"a.example","password":"sEcReT-12345678"}]}', 'image.0.username'],
    ['password: sEcReT-12345678', 'not JSON'],
  ])('that is malformed gives an error with path and reason, and nothing of the content: %s', async (text, reason) => {
    const path = await writeJson(text);
    const error = await rejection(new CredentialsFile(path).find('a.example'));
    expect(error.code).toBe('CREDENTIALS_INVALID');
    expect(error.message).toContain(path);
    expect(error.message).toContain(reason);
    expect(everything(error)).not.toContain('12345678');
  });

  it('that is not there is a failure: somebody named it', async () => {
    const path = join(folder, 'absent.json');
    const error = await rejection(new CredentialsFile(path).find('a.example'));
    expect(error.code).toBe('FILE_FAILED');
    expect(error.message).toContain(path);
  });
});

describe('a chain of credentials', () => {
  it('gives what the first one has that knows the registry', async () => {
    const chain = new CredentialChain([
      new FixedCredentials('Harbor.Example', { username: 'first', password: 'pa55-word' }),
      new FixedCredentials('harbor.example', { username: 'second', password: 'pa55-word' }),
      new FixedCredentials('index.docker.io', { username: 'third', password: 'pa55-word' }),
    ]);
    expect(await chain.find('harbor.example')).toMatchObject({ username: 'first' });
    expect(await chain.find('docker.io')).toMatchObject({ username: 'third' });
    expect(await chain.find('ghcr.io')).toBeUndefined();
  });
});

async function rejection(promise: Promise<unknown>): Promise<EdgeBundleError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof EdgeBundleError) return error;
  throw new Error('no EdgeBundleError came', { cause: error });
}

/** All that a log could print of it. */
function everything(error: EdgeBundleError): string {
  const cause = error.cause instanceof Error ? `${error.cause.message} ${error.cause.stack ?? ''}` : '';
  return `${error.message} ${error.hint ?? ''} ${error.stack ?? ''} ${cause}`;
}
