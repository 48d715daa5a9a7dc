import { join } from 'node:path';

import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatLoaderPackage } from '../../report/host-summaries.ts';
import { cacheFolder } from '../cache-folder.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { writeResult } from '../result.ts';
import { readSourceDateEpoch } from '../source-date-epoch.ts';
import type { Terminal } from '../terminal.ts';

const options = {
  arch: { choices: ['amd64', 'arm64'], default: 'amd64', requiresArg: true, describe: "The host's architecture" },
  out: { type: 'string', requiresArg: true, default: 'bundles', describe: 'The folder that the package goes into' },
  archive: { choices: ['tar.zst', 'tar.gz'], requiresArg: true, describe: 'Make an archive of it, beside it' },
  'cache-dir': {
    type: 'string',
    requiresArg: true,
    describe: 'Where downloads are kept (or EDGE_BUNDLE_CACHE_DIR; default: ~/.cache/edge-bundle)',
  },
  'debian-mirror': { type: 'string', requiresArg: true, describe: 'Where Debian is (default: deb.debian.org)' },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

const actions = ['package'] as const;

type LoaderArguments = GlobalArguments &
  InferredOptionTypes<typeof options> & { readonly action: (typeof actions)[number] };

export function loaderCommand(terminal: Terminal): CommandModule<GlobalArguments, LoaderArguments> {
  return {
    command: 'loader <action>',
    describe: 'Make what runs on a host that has no Node.js',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('action', { choices: actions, demandOption: true, describe: 'Make a self-contained package' })
        .options(options)
        .example('$0 loader package --arch arm64 --archive tar.zst', 'A folder in bundles/, and an archive of it'),
    handler: (args) => withProgress(terminal, args, (progress) => makePackage(args, terminal, progress)),
  };
}

async function makePackage(args: LoaderArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { ComponentCache } = await import('../../packaging/component-cache.ts');
  const { packageLoader } = await import('../../packaging/package-loader.ts');
  const { signal } = terminal;
  const cache = new ComponentCache({
    folder: join(cacheFolder(args, terminal), 'loader'),
    debianMirror: args['debian-mirror'],
    onDownload: ({ name, version }) => progress.note('download', `downloading ${name} ${version}`, { name, version }),
    signal,
  });
  const made = await packageLoader({
    architecture: args.arch,
    out: args.out,
    cache,
    archive: args.archive,
    sourceDateEpoch: readSourceDateEpoch(terminal),
    signal,
  });
  progress.end();
  await writeResult(terminal, args.output, made, formatLoaderPackage);
}
