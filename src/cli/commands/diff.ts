import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { diffDocument, formatDiff } from '../../report/bundle-difference.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';

const options = { output: outputOption } as const satisfies Readonly<Record<string, Options>>;

type DiffArguments = GlobalArguments &
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

async function diff({ from, to, output }: DiffArguments, terminal: Terminal): Promise<void> {
  const { readBundleDocument } = await import('../../bundle/read-document.ts');
  const { compareBundles } = await import('../../delta/compare-bundles.ts');
  const [one, other] = [await readBundleDocument(from), await readBundleDocument(to)];
  await writeResult(terminal, output, diffDocument(one, other, compareBundles(one, other)), formatDiff);
}
