import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { type GlobalArguments } from '../../global-options.ts';
import type { Terminal } from '../../terminal.ts';
import { bundlesPositional, writeIso, writeOptions } from './iso-options.ts';

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
  return writeIso(args, terminal, async (common) => {
    const { embedIso } = await import('../../../iso/embed-iso.ts');
    const { iso, replace, 'cluster-definition': clusterDefinition } = args;
    return embedIso({ ...common, iso, replace, clusterDefinition });
  });
}
