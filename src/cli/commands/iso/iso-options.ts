import type { InferredOptionTypes, Options } from 'yargs';

import type { MadeIso, MakeIsoOptions } from '../../../iso/make-iso.ts';
import type { Xorriso } from '../../../iso/xorriso.ts';
import { formatMadeIso } from '../../../report/iso-summaries.ts';
import { type GlobalArguments, outputOption } from '../../global-options.ts';
import { withProgress } from '../../progress/with-progress.ts';
import { writeResult } from '../../result.ts';
import type { Terminal } from '../../terminal.ts';
import { readTrust, trustOptions } from '../../trust-options.ts';
import { partSize } from '../../usage.ts';

export const bundlesPositional = {
  type: 'string',
  array: true,
  demandOption: true,
  describe: 'The bundles: a file, one of its parts, or the folder that it is alone in',
} as const;

export const xorrisoOption = {
  type: 'string',
  requiresArg: true,
  default: 'xorriso',
  describe: 'The program that does the work with ISOs',
} as const satisfies Options;

/** For commands that write an ISO. */
export const writeOptions = {
  out: { type: 'string', requiresArg: true, demandOption: true, describe: 'The ISO to write' },
  force: { type: 'boolean', default: false, describe: 'Write over the file of --out' },
  'part-size': {
    requiresArg: true,
    default: '3000000000',
    coerce: partSize('part-size'),
    describe: 'What each part of a bundle has; bundles in parts stay as they are',
  },
  loader: { type: 'string', requiresArg: true, describe: "The folder that 'loader package' made" },
  'first-boot-config': {
    type: 'string',
    requiresArg: true,
    describe: "The first boot's configuration, first-boot.yaml",
  },
  xorriso: xorrisoOption,
  output: outputOption,
  ...trustOptions,
} as const satisfies Readonly<Record<string, Options>>;

export type WriteArguments = GlobalArguments &
  InferredOptionTypes<typeof writeOptions> & {
    readonly bundles: readonly string[];
    readonly 'content-key'?: string | undefined;
  };

/** Makes an ISO with the options that all of them have, and tells what came of it. */
export function writeIso(
  args: WriteArguments,
  terminal: Terminal,
  make: (options: MakeIsoOptions) => Promise<MadeIso>,
): Promise<void> {
  return withProgress(terminal, args, async (progress) => {
    const { image, bundles } = await make({
      ...{ bundles: args.bundles, out: args.out, force: args.force, signal: terminal.signal },
      trust: await readTrust({ ...args, 'minimum-date': await leastDate(args) }),
      xorriso: await findXorriso(args.xorriso, terminal),
      loader: args.loader,
      firstBootConfig: args['first-boot-config'],
      partBytes: args['part-size'],
      publicKey: args['content-key'],
      onStart: (bytes) => progress.expect(bytes),
      onProgress: (bytes) => progress.advance(bytes),
    });
    progress.end();
    const { path, bytes, label } = image;
    const document = { iso: { path, bytes, label }, bundles: bundles.map((bundle) => ({ ...bundle })) };
    await writeResult(terminal, args.output, document, formatMadeIso);
  });
}

/**
 * What is asked for here, or by the first boot that the ISO is for. A mistake in its configuration is told here too, where somebody
 * can mend it.
 */
async function leastDate(args: WriteArguments): Promise<number | undefined> {
  const { 'minimum-date': asked, 'first-boot-config': path } = args;
  if (path === undefined) return asked;
  const { readFirstBootConfig } = await import('../../../first-boot/read-config.ts');
  const { minimumDate } = await readFirstBootConfig(path);
  return minimumDate === undefined ? asked : Math.max(asked ?? 0, Date.parse(minimumDate) / 1000);
}

export async function findXorriso(program: string, { signal }: Terminal): Promise<Xorriso> {
  const { Xorriso } = await import('../../../iso/xorriso.ts');
  return Xorriso.find(program, { signal });
}
