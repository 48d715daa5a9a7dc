import { readFile } from 'node:fs/promises';

import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { fileError } from '../../files/file-error.ts';
import { signatureList } from '../../report/signature-list.ts';
import { formatSign } from '../../report/summaries.ts';
import type { Signer } from '../../trust/signer.ts';
import { bundleArgument } from '../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import { writeResult } from '../result.ts';
import { readSigners, signingOptions } from '../signing-options.ts';
import type { Terminal } from '../terminal.ts';
import { readKeys } from '../trust-options.ts';
import { usageError } from '../usage.ts';

const options = {
  ...signingOptions,
  signature: {
    type: 'string',
    requiresArg: true,
    describe: 'Put in a signature over bundle.json that was made elsewhere, by the key of --public-key',
  },
  'public-key': {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'The public key that --signature belongs to, PEM',
  },
  replace: { type: 'boolean', default: false, describe: 'Drop the signatures of all other keys' },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type SignArguments = GlobalArguments & InferredOptionTypes<typeof options> & { readonly bundle: string };

export function signCommand(terminal: Terminal): CommandModule<GlobalArguments, SignArguments> {
  return {
    command: 'sign <bundle>',
    describe: 'Sign a finished bundle, or its parts, in place',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .options(options)
        .example('$0 sign bundles/content-1f --private-key private.pem', 'Beside the signatures that it has')
        .example(
          '$0 sign store.tar.zst --signature hsm.sig --public-key hsm.pem',
          'Made by a device that keeps the key',
        ),
    handler: (args) => sign(args, terminal),
  };
}

async function sign(args: SignArguments, terminal: Terminal): Promise<void> {
  const signers = [...(await readSigners(args, terminal)), ...(await readDetached(args))];
  if (signers.length === 0) throw usageError('nothing to sign with is given', 'Give --private-key FILE.');
  const { signBundle } = await import('../../trust/sign-bundle.ts');
  const { replace, output } = args;
  const { path, id, signatures, changed } = await signBundle(args.bundle, {
    signers,
    replace,
    signal: terminal.signal,
  });
  await writeResult(terminal, output, { path, id, signatures: signatureList(signatures), changed }, formatSign);
}

async function readDetached(args: SignArguments): Promise<Signer[]> {
  const { signature: path, 'public-key': keyPaths } = args;
  if (path === undefined && keyPaths === undefined) return [];
  if (path === undefined || keyPaths === undefined) throw usageError('--signature and --public-key belong together');
  const [key, ...others] = await readKeys(keyPaths);
  if (key === undefined || others.length > 0)
    throw usageError('--public-key: exactly one key is expected with --signature');
  const { detachedSigner } = await import('../../trust/signer.ts');
  const signature = await readFile(path).catch((error: unknown) => {
    throw fileError(error, `cannot read the signature in '${path}'`);
  });
  return [detachedSigner(key, signature)];
}
