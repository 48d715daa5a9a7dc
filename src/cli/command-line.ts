import { readFileSync } from 'node:fs';

import yargs, { type Arguments, type Argv, type CommandModule } from 'yargs';

import { abortedError, isEdgeBundleError } from '../errors.ts';
import { buildCommand } from './commands/build.ts';
import { cacheCommand } from './commands/cache.ts';
import { diffCommand } from './commands/diff.ts';
import { extractCommand } from './commands/extract.ts';
import { firstBootCommand } from './commands/first-boot.ts';
import { inspectCommand } from './commands/inspect.ts';
import { isoCommand } from './commands/iso.ts';
import { lintCommand } from './commands/lint.ts';
import { loadCommand } from './commands/load.ts';
import { loaderCommand } from './commands/loader.ts';
import { loginCommand } from './commands/login.ts';
import { logoutCommand } from './commands/logout.ts';
import { mirrorConfigCommand } from './commands/mirror-config.ts';
import { mergeCommand } from './commands/merge.ts';
import { preflightCommand } from './commands/preflight.ts';
import { resolveCommand } from './commands/resolve.ts';
import { serveCommand } from './commands/serve.ts';
import { signCommand } from './commands/sign.ts';
import { verifyCommand } from './commands/verify.ts';
import { contentOptions } from './content-options.ts';
import { exitCodeOf, formatFailure } from './failure.ts';
import { globalOptions } from './global-options.ts';
import { completeOptionalValues } from './optional-values.ts';
import { profileOptions } from './profile-options.ts';
import { mirrorOptions, registryOptions } from './registry-options.ts';
import { signingOptions } from './signing-options.ts';
import { type Terminal, writeText } from './terminal.ts';
import { trustOptions } from './trust-options.ts';
import { usageError } from './usage.ts';

/** Runs one command and tells its exit code. Results go to stdout, everything else to stderr. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const task = await parse(completeOptionalValues(args), terminal);
    await task?.();
    return 0;
  } catch (cause) {
    // Where a signal ended everything, each thing that it ended is no news.
    const error =
      isEdgeBundleError(cause, 'ABORTED') && terminal.signal.aborted ? abortedError(terminal.signal) : cause;
    const log = wantsJsonLog(args) ? 'json' : 'text';
    const stack = terminal.environment.EDGE_BUNDLE_DEBUG === '1';
    // Where that cannot be written, the exit code is all that is left to tell.
    await writeText(terminal.stderr, formatFailure(error, { log, stack })).catch(() => undefined);
    return exitCodeOf(error);
  }
}

/**
 * What the command line asks for; undefined where that was done (`--help`). A command does not run inside of the parser, and
 * ends it: the parser would go on to write the whole help, in case the command fails, which takes a while.
 */
async function parse(args: readonly string[], terminal: Terminal): Promise<(() => unknown) | undefined> {
  let task: (() => unknown) | undefined;
  const later = <T, U>(command: CommandModule<T, U>): CommandModule<T, U> => ({
    ...command,
    handler: (given) => {
      task = () => command.handler(given);
      throw new Error('the command line was understood');
    },
  });
  try {
    await parser(args, terminal, later).parseAsync();
  } catch (error) {
    if (task === undefined) throw error;
  }
  return task;
}

function parser(
  args: readonly string[],
  terminal: Terminal,
  later: <T, U>(command: CommandModule<T, U>) => CommandModule<T, U>,
): Argv {
  return yargs(args)
    .scriptName('edge-bundle')
    .usage('$0 COMMAND\n\nCarries the images of a Kubernetes edge cluster across an air gap.')
    .options(globalOptions)
    .command(later(resolveCommand(terminal)))
    .command(later(lintCommand(terminal)))
    .command(later(buildCommand(terminal)))
    .command(later(inspectCommand(terminal)))
    .command(later(diffCommand(terminal)))
    .command(later(mergeCommand(terminal)))
    .command(later(extractCommand(terminal)))
    .command(later(verifyCommand(terminal)))
    .command(later(loadCommand(terminal)))
    .command(later(preflightCommand(terminal)))
    .command(later(firstBootCommand(terminal)))
    .command(later(serveCommand(terminal)))
    .command(later(mirrorConfigCommand(terminal)))
    .command(later(loaderCommand(terminal)))
    .command(isoCommand(terminal, later))
    .command(later(signCommand(terminal)))
    .command(later(cacheCommand(terminal)))
    .command(later(loginCommand(terminal)))
    .command(later(logoutCommand(terminal)))
    .demandCommand(1, 'a command is missing')
    .strict()
    .strictCommands()
    .check(eachOptionOnce)
    .version(packageVersion())
    .alias('help', 'h')
    .epilogue('Exit codes: 0 done, 1 failed, 2 usage, 3 content missing or not verified, 4 trust, 75 try again later.')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'greedy-arrays': false,
      'parse-positional-numbers': false,
    })
    .locale('en')
    .wrap(helpWidth(terminal))
    .exitProcess(false)
    .fail((message: string | null, error: unknown) => {
      // What a command throws comes without a message.
      throw message === null ? error : parserError(message, args);
    });
}

function parserError(message: string, args: readonly string[]): Error {
  const command = args.find((arg) => commandNames.includes(arg));
  const help = `edge-bundle ${command === undefined ? '' : `${command} `}--help`;
  return usageError(clearer(message, command !== undefined), `'${help}' shows what can be given.`);
}

function clearer(message: string, hasCommand: boolean): string {
  if (message.startsWith('Not enough non-option arguments')) return 'an argument is missing';
  const option = /^Not enough arguments following: (?<name>.+)$/.exec(message)?.groups?.name;
  if (option !== undefined) return `--${option} needs a value`;
  // The parser takes the second argument of a command that has one for a command.
  const text = hasCommand ? message.replace(/^Unknown command/, 'unknown argument') : message;
  return lowerFirst(text).replace(/\s*\n\s*/g, ' ');
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

const commandNames = [
  'resolve',
  'lint',
  'build',
  'inspect',
  'verify',
  'load',
  'preflight',
  'first-boot',
  'serve',
  'mirror-config',
  'loader',
  'iso',
  'sign',
  'diff',
  'merge',
  'extract',
  'cache',
  'login',
  'logout',
];

/** The parser makes a list of an option that is given twice, which no command expects. */
function eachOptionOnce(args: Arguments): true {
  const lists: readonly string[] = ['_', 'profiles', 'bundles', 'deltas', 'names', ...arrayOptions];
  const twice = Object.keys(args).find((name) => Array.isArray(args[name]) && !lists.includes(name));
  if (twice === undefined) return true;
  throw usageError(`--${twice} is given more than once`);
}

const arrayOptions = Object.entries({
  ...profileOptions,
  ...registryOptions,
  ...mirrorOptions,
  ...contentOptions,
  ...trustOptions,
  ...signingOptions,
  diff: { array: true },
}).flatMap(([name, option]) => ('array' in option ? [name] : []));

function helpWidth({ stdout }: Terminal): number {
  return Math.min(maxHelpWidth, stdout.columns ?? maxHelpWidth);
}

const maxHelpWidth = 120;

/** The parser may be what failed, so its result is not asked. */
function wantsJsonLog(args: readonly string[]): boolean {
  return args.some((arg, index) => arg === '--log=json' || (arg === '--log' && args[index + 1] === 'json'));
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
