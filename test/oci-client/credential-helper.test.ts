import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { CredentialHelper } from '../../src/oci-client/credential-helper.ts';
import { credentialsFromEnvironment, dockerConfigFile } from '../../src/oci-client/docker-config.ts';
import { redact } from '../../src/redaction.ts';
import { type CredentialHelpers, makeCredentialHelpers } from '../support/credential-helper.ts';
import { expectError } from '../support/expect-error.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
let helpers: CredentialHelpers;
let files = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  helpers = await makeCredentialHelpers(folder);
  await helpers.add(
    'echo',
    `read server; echo "{\\"ServerURL\\":\\"$server\\",\\"Username\\":\\"for $server\\",\\"Secret\\":\\"s3cret-$1\\"}"`,
  );
  await helpers.add('token', `echo '{"Username":"<token>","Secret":"identity-token-9"}'`);
  await helpers.add('none', `echo 'credentials not found in native keychain'; exit 1`);
  await helpers.add('blank', `echo '{"Username":"","Secret":""}'`);
  await helpers.add(
    'count',
    `echo x >> '${folder}/count'; echo "{\\"Username\\":\\"user\\",\\"Secret\\":\\"secret-$(wc -l < '${folder}/count')\\"}"`,
  );
});

async function configFile(content: object): Promise<string> {
  const path = join(folder, `${(files += 1)}.json`);
  await writeFile(path, JSON.stringify(content));
  return path;
}

async function source(content: object) {
  return dockerConfigFile(await configFile(content), { environment: helpers.environment });
}

describe('a credential helper', () => {
  it('is asked for the registry that it is named for, before auths; the server is on its stdin', async () => {
    const config = await source({
      auths: { 'ghcr.io': { username: 'file', password: 'pa55-word' } },
      credHelpers: { 'ghcr.io': 'echo', 'https://index.docker.io/v1/': 'echo' },
    });
    expect(await config.find('ghcr.io')).toEqual({ username: 'for ghcr.io', password: 's3cret-get' });
    expect(await config.find('docker.io')).toMatchObject({ username: 'for https://index.docker.io/v1/' });
    expect(await config.find('quay.io')).toBeUndefined();
  });

  it('that is the store is asked for every other registry; what it has not, auths may have', async () => {
    const config = await source({
      auths: { 'quay.io': { username: 'file', password: 'pa55-word' } },
      credHelpers: { 'quay.io': 'none' },
      credsStore: 'echo',
    });
    expect(await config.find('quay.io')).toEqual({ username: 'file', password: 'pa55-word' });
    expect(await config.find('harbor.example:30003')).toMatchObject({ username: 'for harbor.example:30003' });
  });

  it('may hold an identity token', async () => {
    expect(await (await source({ credsStore: 'token' })).find('ghcr.io')).toEqual({
      identityToken: 'identity-token-9',
    });
  });

  it.each(['none', 'blank'])("that says so ('%s') has no login", async (credsStore) => {
    expect(await (await source({ credsStore })).find('ghcr.io')).toBeUndefined();
  });

  it('is run once for each registry, and again where its answer does not work any more', async () => {
    const config = await source({ credsStore: 'count' });
    const found = await Promise.all([1, 2, 3].map(() => config.find('ghcr.io')));
    expect(found).toEqual(Array(3).fill({ username: 'user', password: 'secret-1' }));
    expect(await config.find('ghcr.io', { isFresh: true })).toEqual({ username: 'user', password: 'secret-2' });
    expect(await config.find('ghcr.io')).toEqual({ username: 'user', password: 'secret-2' });
  });

  it('makes its secret unprintable', async () => {
    await helpers.add('secret', `echo '{"Username":"user","Secret":"whispered-word"}'`);
    await (await source({ credsStore: 'secret' })).find('ghcr.io');
    expect(redact('the whispered-word')).toBe('the [redacted]');
  });

  it('is found in the PATH of the environment', async () => {
    const REGISTRY_AUTH_FILE = await configFile({ credsStore: 'echo' });
    const found = await credentialsFromEnvironment({ ...helpers.environment, REGISTRY_AUTH_FILE }).find('ghcr.io');
    expect(found).toMatchObject({ username: 'for ghcr.io' });
  });
});

describe('a credential helper that is not installed', () => {
  it('is an error where a login has been left to it', async () => {
    const error = await expectError('CREDENTIALS_INVALID', 'docker-credential-absent', async () =>
      (await source({ credHelpers: { 'ghcr.io': 'absent' } })).find('ghcr.io'),
    );
    expect(error.message).toContain('not in PATH');
    await expectError('CREDENTIALS_INVALID', 'docker-credential-absent', async () =>
      (await source({ auths: { 'https://index.docker.io/v1/': {} }, credsStore: 'absent' })).find('docker.io'),
    );
  });

  it('is no matter elsewhere: the config came from another machine', async () => {
    const config = await source({ auths: { 'docker.io': {} }, credsStore: 'absent' });
    expect(await config.find('ghcr.io')).toBeUndefined();
  });
});

describe('a credential helper that fails', () => {
  it.each([
    ['with its own words', `echo 'the keyring is locked' >&2; exit 3`, 'the keyring is locked (exit code 3)'],
    ['without a word', 'exit 4', 'exit code 4'],
    ['by a signal', 'kill -9 $$', 'SIGKILL'],
    ['with something else than JSON', 'echo loud-secret', 'not {"Username", "Secret"} in JSON'],
    ['with an answer and an exit code', `echo '{"Username":"u","Secret":"loud-secret"}'; exit 1`, 'exit code 1'],
    ['with endless output', 'exec cat /dev/zero', 'more than 1048576 bytes'],
  ])('%s is reported, without a secret', async (_how, script, reason) => {
    await helpers.add('failing', script);
    const error = await expectError('CREDENTIALS_INVALID', reason, async () =>
      (await source({ credsStore: 'failing' })).find('ghcr.io'),
    );
    expect(error.message).toContain("'docker-credential-failing get' failed for ghcr.io");
    expect(`${error.message} ${String(error.stack)} ${String(error.cause)}`).not.toContain('loud-secret');
  });

  it('by not ending is stopped, also where something it has started holds its output', async () => {
    await helpers.add('hanging', 'sleep 300 & wait');
    const helper = new CredentialHelper('hanging', { ...helpers, timeoutMs: 200 });
    await expectError('TIMEOUT', 'did not end within 0.2 s', () => helper.get('ghcr.io'));
  });

  it('is asked again the next time', async () => {
    await helpers.add('late', 'exit 1');
    const config = await source({ credsStore: 'late' });
    await expectError('CREDENTIALS_INVALID', 'late', () => config.find('ghcr.io'));
    await helpers.add('late', `echo '{"Username":"user","Secret":"at-last"}'`);
    expect(await config.find('ghcr.io')).toMatchObject({ password: 'at-last' });
  });
});

describe('the name of a credential helper', () => {
  it.each(['../evil', '/bin/sh', 'a/b', '', '-x', 'a b', 'a;touch x', '$(touch x)'])('is not %j', async (name) => {
    await expectError(
      'CREDENTIALS_INVALID',
      'not the name of a credential helper',
      () => new CredentialHelper(name, helpers),
    );
  });

  it('and what it is given are not seen by a shell', async () => {
    const server = "x'; touch pwned; $(touch pwned) `touch pwned`";
    await helpers.add('args', `echo "$#:$1" > '${folder}/args'; cat > '${folder}/stdin'; exit 1`);
    await expectError('CREDENTIALS_INVALID', 'exit code 1', () => new CredentialHelper('args', helpers).get(server));
    expect(await readFile(join(folder, 'args'), 'utf8')).toBe('1:get\n');
    expect(await readFile(join(folder, 'stdin'), 'utf8')).toBe(server);
  });
});
