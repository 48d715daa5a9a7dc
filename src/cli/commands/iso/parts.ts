import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatParts } from '../../../report/iso-summaries.ts';
import { bundleArgument } from '../../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../../global-options.ts';
import { withProgress } from '../../progress/with-progress.ts';
import { writeResult } from '../../result.ts';
import type { Terminal } from '../../terminal.ts';
import { readTrust, trustOptions } from '../../trust-options.ts';
import { partSize } from '../../usage.ts';

const options = {
  size: {
    requiresArg: true,
    default: '3000000000',
    coerce: partSize('size'),
    describe: 'What each part has, but for the last: as the installer has them; 3GB, 500M, 1Gi',
  },
  out: { type: 'string', requiresArg: true, describe: "The folder for the parts (default: the bundle's)" },
  output: outputOption,
  ...trustOptions,
} as const satisfies Readonly<Record<string, Options>>;

type PartsArguments = GlobalArguments & InferredOptionTypes<typeof options> & { readonly bundle: string };

export function isoPartsCommand(terminal: Terminal): CommandModule<GlobalArguments, PartsArguments> {
  return {
    command: 'parts <bundle>',
    describe: 'Cut a bundle into parts as split does, with a list of their checksums',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .options(options)
        .example('$0 iso parts bundles/content-1f --out /srv/content', 'Parts of 3,000,000,000 bytes and their list'),
    handler: (args) => cutIntoParts(args, terminal),
  };
}

function cutIntoParts(args: PartsArguments, terminal: Terminal): Promise<void> {
  return withProgress(terminal, args, async (progress) => {
    const { BundleReader } = await import('../../../bundle/bundle-reader.ts');
    const { writeParts } = await import('../../../bundle/write-parts.ts');
    const trust = await readTrust(args);
    const bundle = await BundleReader.open(args.bundle, { trust });
    progress.expect(bundle.bytes);
    await bundle.close();
    const { id, bytes, paths, list } = await writeParts(args.bundle, {
      ...{ trust, partBytes: args.size, out: args.out, signal: terminal.signal },
      onProgress: (written) => progress.advance(written),
    });
    progress.end();
    await writeResult(terminal, args.output, { id, bytes, parts: [...paths], list }, formatParts);
  });
}
