import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { makeCredentialHelpers } from '../support/credential-helper.ts';
import { googleKey, identityToken, passwords } from './secret-values.ts';

/** What the program is given, so that it finds a login for `source.test`. */
export interface GivenLogin {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** The places where a login may come from, each with another user; `given` is a folder for files, with one for each password. */
export const loginSources: readonly (readonly [
  name: string,
  user: string,
  prepare: (given: string) => Promise<GivenLogin>,
])[] = [
  [
    'from a file',
    'file-user',
    (given) => Promise.resolve({ args: ['--username', 'file-user', '--password-file', join(given, 'file-user')] }),
  ],
  [
    'from the environment',
    'env-user',
    () => {
      const env = { EDGE_BUNDLE_USERNAME: 'env-user', EDGE_BUNDLE_PASSWORD: passwords['env-user'] };
      return Promise.resolve({ args: [], env });
    },
  ],
  [
    'from standard input',
    'stdin-user',
    () => {
      const args = ['--username', 'stdin-user', '--password-stdin'];
      return Promise.resolve({ args, input: `${passwords['stdin-user']}\n` });
    },
  ],
  [
    'from a credentials file',
    'cred-user',
    async (given) => {
      const path = join(given, 'credentials.json');
      const entry = { endpoint: 'source.test', username: 'cred-user', password: passwords['cred-user'] };
      await writeFile(path, JSON.stringify({ image: [entry] }));
      return { args: ['--cred-file', path] };
    },
  ],
  [
    'from a credentials file, as a key of Google',
    '_json_key',
    async (given) => {
      const path = join(given, 'google.json');
      const entry = { endpoint: 'source.test', username: '_json_key', password: googleKey };
      await writeFile(path, JSON.stringify({ image: [entry] }));
      return { args: ['--cred-file', path] };
    },
  ],
  [
    "from Docker's configuration",
    'docker-user',
    async (given) => {
      const auth = Buffer.from(`docker-user:${passwords['docker-user']}`).toString('base64');
      return { args: [], env: await dockerConfig(given, 'docker', { auths: { 'source.test': { auth } } }) };
    },
  ],
  [
    'as an identity token',
    'token-user',
    async (given) => {
      const auths = { 'source.test': { identitytoken: identityToken } };
      return { args: [], env: await dockerConfig(given, 'identity', { auths }) };
    },
  ],
  [
    'from a credential helper',
    'helper-user',
    async (given) => {
      const helpers = await makeCredentialHelpers(given);
      const answer = { Username: 'helper-user', Secret: passwords['helper-user'] };
      await writeFile(join(given, 'helper.json'), JSON.stringify(answer));
      // It ends too soon to be seen for certain: it writes down itself what others could see of it.
      const noteCommand = `tr '\\0' '\\n' < /proc/$$/cmdline >> '${join(given, 'vault.record')}'`;
      await helpers.add('vault', `${noteCommand}; cat > /dev/null; cat '${join(given, 'helper.json')}'`);
      const { DOCKER_CONFIG } = await dockerConfig(given, 'helper', { credHelpers: { 'source.test': 'vault' } });
      const PATH = `${helpers.environment.PATH ?? ''}:${process.env.PATH ?? ''}`;
      return { args: [], env: { DOCKER_CONFIG, PATH } };
    },
  ],
];

/** Docker's configuration, in a folder of its own. @returns the environment that names it */
async function dockerConfig(given: string, name: string, config: object): Promise<{ readonly DOCKER_CONFIG: string }> {
  const path = join(given, name);
  await mkdir(path);
  await writeFile(join(path, 'config.json'), JSON.stringify(config));
  return { DOCKER_CONFIG: path };
}
