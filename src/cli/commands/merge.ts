import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { BundleReader } from '../../bundle/bundle-reader.ts';
import { formatMerge } from '../../report/summaries.ts';
import { formatBytes } from '../../report/units.ts';
import { bundleArgument, withBundle, withBundles } from '../bundle-argument.ts';
import { concurrencyDefault, type GlobalArguments, outputOption } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { type TrustArguments, trustOptionsFor } from '../trust-options.ts';
import { partSize, wholeNumber } from '../usage.ts';

const options = {
  out: { type: 'string', requiresArg: true, default: 'bundles', describe: 'The folder that the bundle is made in' },
  concurrency: {
    requiresArg: true,
    default: concurrencyDefault,
    coerce: wholeNumber('concurrency', 1),
    describe: 'How many blobs are copied at once',
  },
  parts: {
    requiresArg: true,
    coerce: partSize('parts'),
    describe: 'Write the bundle in parts of so many bytes, with their checksums (3GB: as the installer has them)',
  },
  ...trustOptionsFor({ signed: 'what', dated: 'the last delta where it is older' }),
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type MergeArguments = GlobalArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly base: string; readonly deltas: readonly string[] };

export function mergeCommand(terminal: Terminal): CommandModule<GlobalArguments, MergeArguments> {
  return {
    command: 'merge <base> <deltas..>',
    describe: 'Make one full bundle of a bundle and the deltas on it',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('base', { ...bundleArgument, describe: `The full bundle: ${bundleArgument.describe}` })
        .positional('deltas', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Deltas, each built on the bundle before it',
        })
        .options(options)
        .example('$0 merge bundles/content-1f bundles/content-2e', 'As if the second had been built without a base'),
    handler: (args) => withProgress(terminal, args, (progress) => merge(args, terminal, progress)),
  };
}

async function merge(args: MergeArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { mergeBundles } = await import('../../delta/merge-bundles.ts');
  const { out, parts: partBytes, concurrency, output } = args;
  const result = await withChain(args, ([base, ...deltas]) =>
    mergeBundles({
      base,
      deltas,
      out,
      partBytes,
      concurrency,
      signal: terminal.signal,
      onEvent: (event) => {
        if (event.type === 'planned') {
          const { path, bytes, presentBytes } = event;
          progress.expect(bytes, presentBytes);
          if (presentBytes === 0) return;
          progress.note('resumed', `going on from ${formatBytes(presentBytes)} of an earlier run`, {
            path,
            presentBytes,
          });
        } else {
          if (event.type === 'restarted') progress.warn(`reading it again: ${event.reason.message}`);
          progress.copy(event);
        }
      },
    }),
  );
  progress.end();
  const { bundle, images, charts, blobs } = result;
  const document = { bundle: { path: bundle.path, id: bundle.id, bytes: bundle.bytes }, images, charts, blobs };
  await writeResult(terminal, output, document, formatMerge);
}

/** All have to be signed. The bundle that is made is of the last one's date, which names those before it by their digests. */
async function withChain<T>(
  args: MergeArguments,
  use: (bundles: readonly [BundleReader, ...BundleReader[]]) => Promise<T>,
): Promise<T> {
  const [last = '', ...earlier] = args.deltas.toReversed();
  return withBundles([args.base, ...earlier.toReversed()], { ...args, 'minimum-date': undefined }, (bundles) =>
    withBundle(last, args, (newest) => use([...bundles, newest])),
  );
}
