import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { diffDocument, formatDiff } from '../../report/bundle-difference.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { readKeyTrust, readTrust, type TrustArguments, trustOptionsFor } from '../trust-options.ts';

const options = {
  ...trustOptionsFor({ signed: 'what', dated: 'what comes where it is older' }),
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type DiffArguments = GlobalArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly from: string; readonly to: string };

const outline = 'a bundle, or a bundle.json that was taken out of one';

export function diffCommand(terminal: Terminal): CommandModule<GlobalArguments, DiffArguments> {
  return {
    command: 'diff <from> <to>',
    describe: 'Show what changes from one bundle to another',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('from', { type: 'string', demandOption: true, describe: `What is there: ${outline}` })
        .positional('to', { type: 'string', demandOption: true, describe: `What comes: ${outline}` })
        .options(options)
        .example('$0 diff bundles/content-1f bundles/content-2e', 'Images, charts and bytes that are new'),
    handler: (args) => diff(args, terminal),
  };
}

async function diff(args: DiffArguments, terminal: Terminal): Promise<void> {
  const { from, to, output } = args;
  const { readBundleDocument } = await import('../../bundle/read-document.ts');
  const { compareBundles } = await import('../../delta/compare-bundles.ts');
  const one = await readBundleDocument(from, { trust: await readKeyTrust(args) });
  const other = await readBundleDocument(to, { trust: await readTrust(args) });
  await writeResult(terminal, output, diffDocument(one, other, compareBundles(one, other)), formatDiff);
}
