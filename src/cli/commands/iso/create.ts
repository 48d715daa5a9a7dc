import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { CreateIsoOptions } from '../../../iso/create-iso.ts';
import { type GlobalArguments } from '../../global-options.ts';
import { mirrorOptions, readMirrors } from '../../mirror-options.ts';
import { readSourceDateEpoch } from '../../source-date-epoch.ts';
import type { Terminal } from '../../terminal.ts';
import { usageError } from '../../usage.ts';
import { bundlesPositional, writeIso, writeOptions } from './iso-options.ts';

const mirrorGroup = 'Configuration of hosts, so that they find the images of the bundles in a registry:';

const options = {
  ...writeOptions,
  label: { type: 'string', requiresArg: true, default: 'EDGE_CONTENT', describe: "The volume's label" },
  'content-key': {
    type: 'string',
    requiresArg: true,
    describe: 'Put this public key on the ISO, with which hosts check the signatures',
  },
  'mirror-config': {
    group: mirrorGroup,
    type: 'string',
    requiresArg: true,
    describe: "The folder that 'mirror-config' wrote; or let it be made here, with the options below",
  },
  harbor: { ...mirrorOptions.harbor, group: mirrorGroup },
  registry: { ...mirrorOptions.registry, group: mirrorGroup },
  project: { ...mirrorOptions.project, group: mirrorGroup },
  serve: { ...mirrorOptions.serve, group: mirrorGroup },
  'ca-cert': { ...mirrorOptions['ca-cert'], group: mirrorGroup },
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
        .example('$0 iso create bundles/content-1f --out content.iso', 'An ISO with the label EDGE_CONTENT')
        .example(
          '$0 iso create bundles/content-1f --out content.iso --harbor https://10.0.0.5:30003 --ca-cert ca.pem',
          'With the configuration with which hosts find the images there',
        ),
    handler: (args) => create(args, terminal),
  };
}

function create(args: CreateArguments, terminal: Terminal): Promise<void> {
  return writeIso(args, terminal, async (common) => {
    const { createIso } = await import('../../../iso/create-iso.ts');
    const [mirrorConfig, sourceDateEpoch] = [await readMirrorConfig(args), readSourceDateEpoch(terminal)];
    return createIso({ ...common, label: args.label, mirrorConfig, sourceDateEpoch });
  });
}

async function readMirrorConfig(args: CreateArguments): Promise<CreateIsoOptions['mirrorConfig']> {
  const { 'mirror-config': folder } = args;
  const options = await readMirrors(args);
  if (options.mirrors.length === 0 && options.ca !== undefined) {
    throw usageError('--ca-cert goes with --harbor, --registry or --serve only');
  }
  if (options.mirrors.length === 0) return folder;
  if (folder === undefined) return options;
  throw usageError('--mirror-config excludes --harbor, --registry and --serve', 'Give the folder, or the mirrors.');
}
