import type { InferredOptionTypes, Options } from 'yargs';

import type { IsoContent, MadeIso } from '../../../iso/create-iso.ts';
import type { Xorriso } from '../../../iso/xorriso.ts';
import type { MadeIsoDocument } from '../../../report/documents.ts';
import { outputOption } from '../../global-options.ts';
import type { Terminal } from '../../terminal.ts';
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
} as const satisfies Readonly<Record<string, Options>>;

/** A mistake in the configuration of the first boot is told here, where somebody can mend it. */
export async function isoContent(
  args: InferredOptionTypes<typeof writeOptions> & { readonly bundles: readonly string[] },
): Promise<IsoContent> {
  const { bundles, loader, 'first-boot-config': firstBootConfig, 'part-size': partBytes } = args;
  if (firstBootConfig !== undefined) {
    const { readFirstBootConfig } = await import('../../../first-boot/read-config.ts');
    await readFirstBootConfig(firstBootConfig);
  }
  return { bundles, loader, firstBootConfig, partBytes };
}

export async function findXorriso(program: string, { signal }: Terminal): Promise<Xorriso> {
  const { Xorriso } = await import('../../../iso/xorriso.ts');
  return Xorriso.find(program, { signal });
}

/** Makes of shares of a whole the bytes that came since the last one. */
export function sharesOf(totalBytes: number, advance: (bytes: number) => void): (share: number) => void {
  let told = 0;
  return (share) => {
    const bytes = Math.floor(Math.min(1, share) * totalBytes);
    if (bytes > told) advance(bytes - told);
    told = Math.max(told, bytes);
  };
}

export function madeIsoDocument({ image, bundles }: MadeIso): MadeIsoDocument {
  const { path, bytes, label } = image;
  return { iso: { path, bytes, label }, bundles: bundles.map((bundle) => ({ ...bundle })) };
}
