import { join } from 'node:path';

import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { LeftOutImage } from '../../bundle/left-out.ts';
import { formatMirrorConfig } from '../../report/host-summaries.ts';
import type { Mirror } from '../../mirror-config/mirror.ts';
import { bundleArgument, withBundle } from '../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { parseRegistryUrl, parseTarget, targetOptions } from '../registry-target.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { readTextFile } from '../text-file.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';
import { usageError } from '../usage.ts';

const formats = ['containerd', 'k3s', 'rke2', 'user-data', 'namespaces'] as const;

const options = {
  harbor: targetOptions.harbor,
  registry: targetOptions.registry,
  project: targetOptions.project,
  serve: {
    group: 'Target:',
    type: 'string',
    requiresArg: true,
    describe: "URL of 'edge-bundle serve' over the bundle; with --harbor, asked after it",
  },
  'ca-cert': { type: 'string', requiresArg: true, describe: 'The CAs that the mirrors are trusted by, PEM' },
  insecure: { type: 'boolean', default: false, describe: 'Let hosts take any certificate of the mirrors' },
  format: { choices: [...formats, 'all'], default: 'all', requiresArg: true, describe: 'For what' },
  resolution: {
    type: 'string',
    requiresArg: true,
    describe: "JSON of 'resolve' or 'build': what else was left out, besides what the bundle says",
  },
  out: { type: 'string', requiresArg: true, default: 'mirror-config', describe: 'The folder that the files go into' },
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
  const mirrors = await readMirrors(args);
  const [ca, alsoLeftOut] = [await readCa(args), await readResolution(args)];
  const { mirrorConfig } = await import('../../mirror-config/mirror-config.ts');
  const { writeFileAtomic } = await import('../../files/atomic-file.ts');
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
  for (const [path, text] of files) await writeFileAtomic(join(out, path), text);
  progress.end();
  const result = { out, files: [...files.keys()], registries: [...registries], namespaces: [...namespaces] };
  await writeResult(terminal, args.output, result, formatMirrorConfig);
}

async function readMirrors(args: MirrorConfigArguments): Promise<readonly Mirror[]> {
  const { loadedMirror, servedMirror } = await import('../../mirror-config/mirror.ts');
  const { isRepositoryName, parseRegistry } = await import('../../oci-client/reference.ts');
  const urlOf = ({ registry, isPlainHttp }: { readonly registry: string; readonly isPlainHttp: boolean }): string => {
    return `${isPlainHttp ? 'http' : 'https'}://${parseRegistry(registry)}`;
  };
  const target = parseTarget(args);
  if (!isRepositoryName(args.project)) throw usageError(`--project: '${args.project}' is no name of a project`);
  const mirrors = [
    ...(target === undefined ? [] : [loadedMirror(urlOf(target), args.project)]),
    ...(args.serve === undefined ? [] : [servedMirror(urlOf(parseRegistryUrl('serve', args.serve)))]),
  ];
  if (mirrors.length > 0 || args.format === 'namespaces') return mirrors;
  throw usageError('no mirror is given', 'Give --harbor URL, --registry URL or --serve URL.');
}

async function readCa(args: MirrorConfigArguments): Promise<string | undefined> {
  const path = args['ca-cert'];
  if (path === undefined) return undefined;
  const { createTlsContext } = await import('../../oci-client/tls-context.ts');
  const text = await readTextFile(path, 'the CA certificate');
  createTlsContext({ ca: [text], clientCertificates: [] });
  return text;
}

async function readResolution({ resolution }: MirrorConfigArguments): Promise<readonly LeftOutImage[]> {
  if (resolution === undefined) return [];
  const { parseLeftOut } = await import('../../bundle/left-out.ts');
  return parseLeftOut(await readTextFile(resolution, 'the resolution'), `'${resolution}'`);
}
