import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatExtract } from '../../report/summaries.ts';
import { bundleArgument, withBundle } from '../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';

const options = {
  out: { type: 'string', requiresArg: true, demandOption: true, describe: 'The folder that the files are put into' },
  force: { type: 'boolean', default: false, describe: 'Replace files that are there' },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type ExtractArguments = GlobalArguments &
  InferredOptionTypes<typeof options> &
  TrustArguments & { readonly bundle: string; readonly names: readonly string[] | undefined };

export function extractCommand(terminal: Terminal): CommandModule<GlobalArguments, ExtractArguments> {
  return {
    command: 'extract <bundle> [names..]',
    describe: 'Take files out of a bundle that travel with its images',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .positional('names', { type: 'string', array: true, describe: 'Which files (default: all)' })
        .options({ ...options, ...trustOptions })
        .example('$0 extract bundles/content-1f --out /tmp/files', 'All of them')
        .example('$0 extract store.tar.zst spc.tgz --out /tmp/files', 'One of them'),
    handler: (args) => extract(args, terminal),
  };
}

async function extract(args: ExtractArguments, terminal: Terminal): Promise<void> {
  const { extractFiles } = await import('../../bundle/extract-files.ts');
  const { out, force, names, output } = args;
  const files = await withBundle(args.bundle, args, (bundle) =>
    extractFiles({ bundle, out, force, names, signal: terminal.signal }),
  );
  const document = { files: files.map(({ name, path, bytes, executable }) => ({ name, path, bytes, executable })) };
  await writeResult(terminal, output, document, formatExtract);
}
