import type { InferredOptionTypes, Options } from 'yargs';

import type { TrafficOptions } from '../oci-client/traffic.ts';
import { bytesPerSecond, duration, wholeNumber } from './usage.ts';

const group = 'Transfers:';

/** How hard registries are tried, and how fast. */
export const transferOptions = {
  retries: {
    group,
    requiresArg: true,
    coerce: wholeNumber('retries', 0),
    describe: 'How often in a row to try again while nothing comes (default: 5)',
  },
  'give-up-after': {
    group,
    requiresArg: true,
    coerce: duration('give-up-after'),
    describe: 'Instead: for how long to try again while nothing comes (90s, 30m, 12h)',
  },
  'limit-rate': {
    group,
    requiresArg: true,
    coerce: bytesPerSecond('limit-rate'),
    describe: 'The most bytes a second, over everything together (500K, 2M, 1.5Mi)',
  },
  'max-connections-per-host': {
    group,
    requiresArg: true,
    coerce: wholeNumber('max-connections-per-host', 1),
    describe: 'The most contents to read from a host at once; with 1, no blob comes over several connections',
  },
} as const satisfies Readonly<Record<string, Options>>;

export type TransferArguments = InferredOptionTypes<typeof transferOptions>;

export function readTransferOptions(args: Partial<TransferArguments>): TrafficOptions {
  return {
    retries: args.retries,
    giveUpAfterMs: args['give-up-after'],
    maxBytesPerSecond: args['limit-rate'],
    maxConnectionsPerHost: args['max-connections-per-host'],
  };
}
