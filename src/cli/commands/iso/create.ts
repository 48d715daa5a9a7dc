import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatMadeIso } from '../../../report/iso-summaries.ts';
import { type GlobalArguments } from '../../global-options.ts';
import { withProgress } from '../../progress/with-progress.ts';
import { writeResult } from '../../result.ts';
import { readSourceDateEpoch } from '../../source-date-epoch.ts';
import type { Terminal } from '../../terminal.ts';
import { bundlesPositional, findXorriso, isoContent, madeIsoDocument, sharesOf, writeOptions } from './iso-options.ts';
import { bundleBytes } from './bundle-bytes.ts';

const options = {
  ...writeOptions,
  label: { type: 'string', requiresArg: true, default: 'EDGE_CONTENT', describe: "The volume's label" },
  'content-key': {
    type: 'string',
    requiresArg: true,
    describe: 'Put this public key on the ISO, with which hosts check the signatures',
  },
  'mirror-config': { type: 'string', requiresArg: true, describe: "The folder that 'mirror-config' wrote" },
} as const satisfies Readonly<Record<string, Options>>;

type CreateArguments = GlobalArguments & InferredOptionTypes<typeof options> & { readonly bundles: readonly string[] };

export function isoCreateCommand(terminal: Terminal): CommandModule<GlobalArguments, CreateArguments> {
  return {
    command: 'create <bundles..>',
    describe: 'Make an ISO with bundles and all that is needed to load them, to go beside the installer',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundles', bundlesPositional)
        .options(options)
        .example('$0 iso create bundles/content-1f --out content.iso', 'An ISO with the label EDGE_CONTENT'),
    handler: (args) => create(args, terminal),
  };
}

function create(args: CreateArguments, terminal: Terminal): Promise<void> {
  return withProgress(terminal, args, async (progress) => {
    const { createIso } = await import('../../../iso/create-iso.ts');
    const { signal } = terminal;
    const content = await isoContent(args);
    const bytes = await bundleBytes(args.bundles);
    const xorriso = await findXorriso(args.xorriso, terminal);
    progress.expect(bytes);
    const made = await createIso({
      ...content,
      ...{ xorriso, signal, out: args.out, force: args.force, label: args.label },
      publicKey: args['content-key'],
      mirrorConfig: args['mirror-config'],
      sourceDateEpoch: readSourceDateEpoch(terminal),
      onWritten: sharesOf(bytes, (written) => progress.advance(written)),
    });
    progress.end();
    await writeResult(terminal, args.output, madeIsoDocument(made), formatMadeIso);
  });
}
