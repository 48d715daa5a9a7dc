import type { Argv, CommandModule } from 'yargs';

import type { GlobalArguments } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import type { Terminal } from '../terminal.ts';

type LogoutArguments = GlobalArguments & { readonly registry: string };

export function logoutCommand(terminal: Terminal): CommandModule<GlobalArguments, LogoutArguments> {
  return {
    command: 'logout <registry>',
    describe: 'Forget a login that Docker or this program keeps',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('registry', {
          type: 'string',
          demandOption: true,
          describe: 'HOST[:PORT], docker.io for Docker Hub',
        })
        .example('$0 logout harbor.example:30003', 'Log out from a registry'),
    handler: (args) => withProgress(terminal, args, (progress) => logOut(args, terminal, progress)),
  };
}

async function logOut({ registry }: LogoutArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { logout } = await import('../../oci-client/login.ts');
  const place = await logout(registry, { environment: terminal.environment, signal: terminal.signal });
  if (place === undefined) progress.note('not-logged-in', `there is no login for ${registry}`, { registry });
  else progress.note('logged-out', `logged out from ${registry}: removed from ${place}`, { registry, place });
}
