import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatInspect } from '../../report/summaries.ts';
import { bundleArgument, withBundle } from '../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { writeResult } from '../result.ts';
import { type Terminal, writeText } from '../terminal.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';

const options = {
  output: { ...outputOption, choices: ['table', 'json', 'tree'] },
} as const satisfies Readonly<Record<string, Options>>;

type InspectArguments = GlobalArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly bundle: string };

export function inspectCommand(terminal: Terminal): CommandModule<GlobalArguments, InspectArguments> {
  return {
    command: 'inspect <bundle>',
    describe: 'Show what is in a bundle',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .options({ ...options, ...trustOptions })
        .example('$0 inspect bundles/content-1f', 'The images, their sizes and the packs that asked for them')
        .example('$0 inspect store.tar.zst --output tree', 'Down to each layer'),
    handler: (args) => inspect(args, terminal),
  };
}

async function inspect(args: InspectArguments, terminal: Terminal): Promise<void> {
  const { bundleTree, inspectDocument, readBundleGraphs } = await import('../../report/bundle-contents.ts');
  const { formatTree } = await import('../../report/tree.ts');
  const { output } = args;
  await withBundle(args.bundle, args, async (bundle) => {
    const [path = args.bundle] = bundle.paths;
    const graphs = await readBundleGraphs(bundle, { signal: terminal.signal });
    if (output === 'tree') await writeText(terminal.stdout, formatTree(bundleTree(path, graphs)));
    else await writeResult(terminal, output, inspectDocument(path, bundle, graphs), formatInspect);
  });
}
