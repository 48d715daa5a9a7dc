import type { InferredOptionTypes, Options } from 'yargs';

/** What every command takes. */
export const globalOptions = {
  log: {
    type: 'string',
    choices: ['text', 'json'],
    default: 'text',
    describe: 'How progress and errors are written to standard error',
  },
  quiet: { type: 'boolean', default: false, describe: 'Write nothing but errors to standard error' },
} as const satisfies Readonly<Record<string, Options>>;

export type GlobalArguments = InferredOptionTypes<typeof globalOptions>;

/** For commands that have a result. */
export const outputOption = {
  type: 'string',
  choices: ['table', 'json'],
  default: 'table',
  describe: 'How the result is written to standard output',
} as const satisfies Options;

/** For commands whose result is a list of checks. */
export const checksOutputOption = {
  ...outputOption,
  choices: ['table', 'json', 'junit'],
  describe: 'How the result is written to standard output; junit: XML for CI servers',
} as const satisfies Options;

export const concurrencyDefault = 4;
