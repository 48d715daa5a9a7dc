import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { IsoInspection } from '../../../iso/inspect-iso.ts';
import type { IsoInspectDocument } from '../../../report/documents.ts';
import { formatIsoInspect } from '../../../report/iso-summaries.ts';
import { countOf } from '../../../report/units.ts';
import { type GlobalArguments, outputOption } from '../../global-options.ts';
import { withProgress } from '../../progress/with-progress.ts';
import { writeResult } from '../../result.ts';
import type { Terminal } from '../../terminal.ts';
import { readTrust, trustOptions } from '../../trust-options.ts';
import { findXorriso, xorrisoOption } from './iso-options.ts';

const options = {
  ...trustOptions,
  xorriso: xorrisoOption,
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type InspectArguments = GlobalArguments & InferredOptionTypes<typeof options> & { readonly iso: string };

export function isoInspectCommand(terminal: Terminal): CommandModule<GlobalArguments, InspectArguments> {
  return {
    command: 'inspect <iso>',
    describe: 'Show what is on an ISO, and verify all of it',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('iso', { type: 'string', demandOption: true, describe: 'An ISO with bundles' })
        .options(options)
        .example('$0 iso inspect edge.iso --public-key key.pub', 'Every byte of its bundles, and who signed them'),
    handler: (args) => inspect(args, terminal),
  };
}

function inspect(args: InspectArguments, terminal: Terminal): Promise<void> {
  return withProgress(terminal, args, async (progress) => {
    const { inspectIso } = await import('../../../iso/inspect-iso.ts');
    const { combineFailures } = await import('../../../errors.ts');
    const trust = await readTrust(args);
    const inspection = await inspectIso(args.iso, {
      ...{ trust, signal: terminal.signal, xorriso: await findXorriso(args.xorriso, terminal) },
      onStart: (bytes) => progress.expect(bytes),
      onProgress: (bytes) => progress.advance(bytes),
    });
    progress.end();
    await writeResult(terminal, args.output, documentOf(inspection), formatIsoInspect);
    const { failures } = inspection;
    if (failures.length === 0) return;
    throw combineFailures(
      'NOT_VERIFIED',
      `'${args.iso}' is not as it was made: ${countOf(failures.length, 'problem')}`,
      failures,
    );
  });
}

function documentOf({ image, bundles, checksums, failures }: IsoInspection): IsoInspectDocument {
  const { path, bytes, label, files, bootRecords } = image;
  return {
    iso: { path, bytes, label, files: files.size, bootRecords: [...bootRecords] },
    bundles: bundles.map((bundle) => ({ ...bundle, signatures: [...bundle.signatures] })),
    ...(checksums === undefined ? {} : { checksums }),
    problems: failures.map(({ message }) => message),
  };
}
