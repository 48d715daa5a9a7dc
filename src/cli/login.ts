import type { CredentialSource, PasswordCredentials } from '../oci-client/credentials.ts';
import { readStandardInput, type Terminal } from './terminal.ts';
import { readTextFile } from './text-file.ts';
import { usageError } from './usage.ts';

/** As the name of a file. */
const standardInput = '-';

interface LoginArguments {
  readonly username?: string | undefined;
  readonly 'password-file'?: string | undefined;
  readonly 'password-stdin'?: boolean | undefined;
  readonly 'cred-file'?: string | undefined;
}

/**
 * Where logins come from, first to last: `--username` or its variable, `--cred-file`, and what Docker's and Podman's tools
 * know.
 */
export async function findCredentials(
  args: LoginArguments,
  registries: readonly string[],
  terminal: Terminal,
): Promise<CredentialSource> {
  const { CredentialChain } = await import('../oci-client/credentials.ts');
  const { credentialsFromEnvironment } = await import('../oci-client/docker-config.ts');
  const sources: CredentialSource[] = [];
  const login = await readLogin(args, registries, terminal);
  if (login !== undefined) sources.push(login);
  if (args['cred-file'] !== undefined) {
    const { CredentialsFile } = await import('../oci-client/credentials-file.ts');
    sources.push(
      args['cred-file'] === standardInput
        ? new CredentialsFile(standardInput, () => readStandardInput(terminal))
        : new CredentialsFile(args['cred-file']),
    );
  }
  return new CredentialChain([...sources, credentialsFromEnvironment(terminal.environment)]);
}

async function readLogin(
  args: LoginArguments,
  registries: readonly string[],
  terminal: Terminal,
): Promise<CredentialSource | undefined> {
  const username = readUsername(args, terminal);
  if (username === undefined) return undefined;
  const [registry, ...others] = new Set(registries);
  if (registry === undefined) return undefined;
  if (others.length > 0) {
    throw usageError(
      `the user '${username}' can log in to one registry, and the images come from ${others.length + 1}: ` +
        [registry, ...others].join(', '),
      "Give the logins with --cred-file, or log in with 'edge-bundle login'.",
    );
  }
  const credentials = await withPassword(username, args, terminal);
  const { FixedCredentials } = await import('../oci-client/credentials.ts');
  return new FixedCredentials(registry, credentials);
}

/** The user that `--username` or its variable names. */
export function readUsername(args: LoginArguments, terminal: Terminal): string | undefined {
  const username = args.username ?? variable(terminal, 'EDGE_BUNDLE_USERNAME');
  const isPasswordGiven = args['password-file'] !== undefined || args['password-stdin'] === true;
  if (username === undefined && isPasswordGiven) {
    throw usageError('a password is given, and no user', 'Give --username.');
  }
  return username;
}

/** The user with the password from its file, standard input or its variable. */
export async function withPassword(
  username: string,
  args: LoginArguments,
  terminal: Terminal,
): Promise<PasswordCredentials> {
  const password = await readPassword(args, terminal);
  if (password) return { username, password };
  throw usageError(
    `the user '${username}' is given, and ${password === '' ? 'an empty' : 'no'} password`,
    'Give --password-file, --password-stdin or EDGE_BUNDLE_PASSWORD.',
  );
}

async function readPassword(args: LoginArguments, terminal: Terminal): Promise<string | undefined> {
  const file = args['password-file'];
  if (args['password-stdin'] === true) {
    if (file !== undefined) throw usageError('--password-file and --password-stdin exclude each other');
    if (args['cred-file'] === standardInput) throw usageError('--password-stdin and --cred-file - exclude each other');
    return withoutLineEnd(await readStandardInput(terminal));
  }
  if (file !== undefined) return withoutLineEnd(await readTextFile(file, 'the password'));
  return variable(terminal, 'EDGE_BUNDLE_PASSWORD');
}

/** Pipelines set variables that they have no value for to nothing. */
function variable({ environment }: Terminal, name: string): string | undefined {
  return environment[name] === '' ? undefined : environment[name];
}

function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}
