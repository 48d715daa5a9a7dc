import type { Argv, CommandModule } from 'yargs';

import type { GlobalArguments } from '../global-options.ts';
import type { Terminal } from '../terminal.ts';
import { isoCreateCommand } from './iso/create.ts';
import { isoEmbedCommand } from './iso/embed.ts';
import { isoInspectCommand } from './iso/inspect.ts';
import { isoPartsCommand } from './iso/parts.ts';

/** Makes the parser call a command's handler only after it is done with the command line. */
export type Later = <T, U>(command: CommandModule<T, U>) => CommandModule<T, U>;

export function isoCommand(terminal: Terminal, later: Later): CommandModule<GlobalArguments, GlobalArguments> {
  return {
    command: 'iso',
    describe: 'Put bundles on the installer ISO, or on one beside it',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .command(later(isoPartsCommand(terminal)))
        .command(later(isoCreateCommand(terminal)))
        .command(later(isoEmbedCommand(terminal)))
        .command(later(isoInspectCommand(terminal)))
        .demandCommand(1, 'an action is missing'),
    handler: () => undefined,
  };
}
