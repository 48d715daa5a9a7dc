import type { Argv, CommandModule, InferredOptionTypes } from 'yargs';

import type { GlobalArguments } from '../global-options.ts';
import { readUsername, withPassword } from '../login.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readTransportOptions, registryOptions } from '../registry-options.ts';
import type { Terminal } from '../terminal.ts';
import { usageError } from '../usage.ts';

const options = {
  username: registryOptions.username,
  'password-file': registryOptions['password-file'],
  'password-stdin': registryOptions['password-stdin'],
  'plain-http': registryOptions['plain-http'],
  insecure: registryOptions.insecure,
  'ca-cert': registryOptions['ca-cert'],
  timeout: registryOptions.timeout,
} as const;

type LoginArguments = GlobalArguments & InferredOptionTypes<typeof options> & { readonly registry: string };

export function loginCommand(terminal: Terminal): CommandModule<GlobalArguments, LoginArguments> {
  return {
    command: 'login <registry>',
    describe: 'Try a login and keep it where Docker keeps its own',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('registry', {
          type: 'string',
          demandOption: true,
          describe: 'HOST[:PORT], docker.io for Docker Hub',
        })
        .options(options)
        .example('$0 login harbor.example:30003 --username admin --password-file pw', 'Log in to a registry'),
    handler: (args) => withProgress(terminal, args, (progress) => logIn(args, terminal, progress)),
  };
}

async function logIn(args: LoginArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { login } = await import('../../oci-client/login.ts');
  const username = readUsername(args, terminal);
  if (username === undefined) throw usageError('no user is given', 'Give --username or EDGE_BUNDLE_USERNAME.');
  const credentials = await withPassword(username, args, terminal);
  const { registry } = args;
  const { place, isHidden } = await login(registry, credentials, {
    environment: terminal.environment,
    transport: await readTransportOptions(args, terminal),
    signal: terminal.signal,
  });
  progress.note('logged-in', `logged in to ${registry} as ${username}: kept in ${place}`, {
    registry,
    username,
    place,
  });
  if (isHidden) progress.warn(`another login for ${registry} comes before that: see docs/registries.md`);
}
