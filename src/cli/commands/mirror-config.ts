import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { LeftOutImage } from '../../bundle/left-out.ts';
import { formatMirrorConfig } from '../../report/host-summaries.ts';
import { bundleArgument, withBundle } from '../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { mirrorOptions, readMirrors } from '../mirror-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { readTextFile } from '../text-file.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';
import { usageError } from '../usage.ts';

const formats = ['containerd', 'k3s', 'rke2', 'user-data', 'namespaces'] as const;

const options = {
  ...mirrorOptions,
  insecure: { type: 'boolean', default: false, describe: 'Let hosts take any certificate of the mirrors' },
  format: { choices: [...formats, 'all'], default: 'all', requiresArg: true, describe: 'For what' },
  resolution: {
    type: 'string',
    requiresArg: true,
    describe: "JSON of 'resolve' or 'build': what else was left out, besides what the bundle says",
  },
  out: {
    type: 'string',
    requiresArg: true,
    default: 'mirror-config',
    describe: 'The folder that the files go into, in place of those of an earlier run',
  },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type MirrorConfigArguments = GlobalArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly bundle: string };

export function mirrorConfigCommand(terminal: Terminal): CommandModule<GlobalArguments, MirrorConfigArguments> {
  return {
    command: 'mirror-config <bundle>',
    describe: "Write what makes hosts find a bundle's images by their original names",
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .options({ ...options, ...trustOptions })
        .example('$0 mirror-config bundles/content-1f --harbor https://10.0.0.5:30003 --ca-cert ca.pem', 'After load')
        .example(
          '$0 mirror-config bundles/content-1f --serve http://127.0.0.1:5000 --format containerd',
          'Before there is a Harbor',
        ),
    handler: (args) => withProgress(terminal, args, (progress) => writeConfig(args, terminal, progress)),
  };
}

async function writeConfig(args: MirrorConfigArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { format, out, insecure } = args;
  const { mirrors, ca } = await readMirrors(args);
  if (mirrors.length === 0 && format !== 'namespaces') {
    throw usageError('no mirror is given', 'Give --harbor URL, --registry URL or --serve URL.');
  }
  const alsoLeftOut = await readResolution(args);
  const { mirrorConfig } = await import('../../mirror-config/mirror-config.ts');
  const { writeMirrorConfig } = await import('../../mirror-config/write-mirror-config.ts');
  const { readLeftOut } = await import('../../bundle/left-out.ts');
  const wanted = format === 'all' ? formats : [format];
  const { signal } = terminal;
  const [document, recorded] = await withBundle(args.bundle, args, async (bundle) => [
    bundle.document,
    wanted.includes('namespaces') ? await readLeftOut(bundle, { signal }) : [],
  ]);
  const leftOut = [...recorded, ...alsoLeftOut];
  const { files, registries, namespaces } = mirrorConfig(document, { mirrors, ca, insecure, formats: wanted, leftOut });
  if (insecure) progress.warn('--insecure: hosts will take any certificate, and so whatever answers, for the mirror');
  const unknown = leftOut.filter(({ namespaces: its }) => its.length === 0).map(({ reference }) => reference);
  for (const reference of new Set(unknown)) {
    progress.warn(
      `${reference} was left out, and its namespace is not known: label it with stylus.io/imageswap=disable`,
    );
  }
  await writeMirrorConfig(out, files, { signal });
  progress.end();
  const result = { out, files: [...files.keys()], registries: [...registries], namespaces: [...namespaces] };
  await writeResult(terminal, args.output, result, formatMirrorConfig);
}

async function readResolution({ resolution }: MirrorConfigArguments): Promise<readonly LeftOutImage[]> {
  if (resolution === undefined) return [];
  const { parseLeftOut } = await import('../../bundle/left-out.ts');
  return parseLeftOut(await readTextFile(resolution, 'the resolution'), `'${resolution}'`);
}
