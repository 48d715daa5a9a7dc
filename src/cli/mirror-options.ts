import type { InferredOptionTypes, Options } from 'yargs';

import type { MirrorOptions } from '../mirror-config/mirror.ts';
import { parseRegistryUrl, parseTarget, targetOptions } from './registry-target.ts';
import { readTextFile } from './text-file.ts';
import { usageError } from './usage.ts';

/** For commands that make the configuration with which hosts find images in mirrors. */
export const mirrorOptions = {
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
} as const satisfies Readonly<Record<string, Options>>;

export type MirrorArguments = InferredOptionTypes<typeof mirrorOptions>;

/** The mirrors that the options name, none where they name none, and their CAs. */
export async function readMirrors(args: MirrorArguments): Promise<MirrorOptions> {
  const { loadedMirror, servedMirror } = await import('../mirror-config/mirror.ts');
  const { isRepositoryName, parseRegistry } = await import('../oci-client/reference.ts');
  const urlOf = ({ registry, isPlainHttp }: { readonly registry: string; readonly isPlainHttp: boolean }): string => {
    return `${isPlainHttp ? 'http' : 'https'}://${parseRegistry(registry)}`;
  };
  const target = parseTarget(args);
  if (!isRepositoryName(args.project)) throw usageError(`--project: '${args.project}' is no name of a project`);
  const mirrors = [
    ...(target === undefined ? [] : [loadedMirror(urlOf(target), args.project)]),
    ...(args.serve === undefined ? [] : [servedMirror(urlOf(parseRegistryUrl('serve', args.serve)))]),
  ];
  return { mirrors, ca: await readCa(args) };
}

async function readCa(args: MirrorArguments): Promise<string | undefined> {
  const path = args['ca-cert'];
  if (path === undefined) return undefined;
  const { createTlsContext } = await import('../oci-client/tls-context.ts');
  const text = await readTextFile(path, 'the CA certificate');
  createTlsContext({ ca: [text], clientCertificates: [] });
  return text;
}
