import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatMadeIso } from '../../../report/iso-summaries.ts';
import { type GlobalArguments } from '../../global-options.ts';
import { withProgress } from '../../progress/with-progress.ts';
import { writeResult } from '../../result.ts';
import type { Terminal } from '../../terminal.ts';
import { bundleBytes } from './bundle-bytes.ts';
import { bundlesPositional, findXorriso, isoContent, madeIsoDocument, sharesOf, writeOptions } from './iso-options.ts';

const options = {
  iso: { type: 'string', requiresArg: true, demandOption: true, describe: 'The installer ISO; it stays as it is' },
  ...writeOptions,
  'content-key': {
    type: 'string',
    requiresArg: true,
    describe: 'Write this public key into .edge_custom_config.yaml: the host accepts only what its private key signed',
  },
  'cluster-definition': { type: 'string', requiresArg: true, describe: 'The cluster definition, spc.tgz' },
  replace: {
    type: 'boolean',
    default: false,
    describe: 'Put it in the place of what the ISO has under the same names',
  },
} as const satisfies Readonly<Record<string, Options>>;

type EmbedArguments = GlobalArguments & InferredOptionTypes<typeof options> & { readonly bundles: readonly string[] };

export function isoEmbedCommand(terminal: Terminal): CommandModule<GlobalArguments, EmbedArguments> {
  return {
    command: 'embed <bundles..>',
    describe: 'Add bundles to a copy of an installer ISO, which boots as before',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundles', bundlesPositional)
        .options(options)
        .example(
          '$0 iso embed bundles/content-1f --iso installer.iso --out edge.iso --content-key key.pub',
          'The bundle in /opt/spectrocloud/content of edge.iso',
        ),
    handler: (args) => embed(args, terminal),
  };
}

function embed(args: EmbedArguments, terminal: Terminal): Promise<void> {
  return withProgress(terminal, args, async (progress) => {
    const { embedIso } = await import('../../../iso/embed-iso.ts');
    const { signal } = terminal;
    const content = await isoContent(args);
    const bytes = await bundleBytes(args.bundles);
    const xorriso = await findXorriso(args.xorriso, terminal);
    progress.expect(bytes);
    const made = await embedIso({
      ...content,
      ...{ xorriso, signal, iso: args.iso, out: args.out, force: args.force, replace: args.replace },
      publicKey: args['content-key'],
      clusterDefinition: args['cluster-definition'],
      onWritten: sharesOf(bytes, (written) => progress.advance(written)),
    });
    progress.end();
    await writeResult(terminal, args.output, madeIsoDocument(made), formatMadeIso);
  });
}
