import type { InferredOptionTypes, Options } from 'yargs';

import type { Signer } from '../trust/signer.ts';
import type { Terminal } from './terminal.ts';
import { readTextFile } from './text-file.ts';

const signingGroup = 'Who signs it:';

/** For commands that sign a bundle. */
export const signingOptions = {
  'private-key': {
    group: signingGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Sign with the key in this file: RSA, ECDSA P-256 or Ed25519, in PEM (repeatable)',
  },
  'passphrase-file': {
    group: signingGroup,
    type: 'string',
    requiresArg: true,
    describe: 'Has the passphrase of an encrypted key; or set EDGE_BUNDLE_KEY_PASSPHRASE',
  },
} as const satisfies Readonly<Record<string, Options>>;

export type SigningArguments = InferredOptionTypes<typeof signingOptions>;

/** What the options name; none where they name nothing. */
export async function readSigners(args: SigningArguments, terminal: Terminal): Promise<Signer[]> {
  const { 'private-key': paths = [] } = args;
  if (paths.length === 0) return [];
  const { readSigner } = await import('../trust/signer.ts');
  const passphrase = await readPassphrase(args, terminal);
  const texts = await Promise.all(
    paths.map(async (path) => ({ name: path, text: await readTextFile(path, 'the private key') })),
  );
  return texts.map((text) => readSigner(text, passphrase));
}

async function readPassphrase(args: SigningArguments, { environment }: Terminal): Promise<string | undefined> {
  const file = args['passphrase-file'];
  if (file !== undefined) return (await readTextFile(file, 'the passphrase')).replace(/\r?\n$/, '');
  // Pipelines set variables that they have no value for to nothing.
  return environment.EDGE_BUNDLE_KEY_PASSPHRASE === '' ? undefined : environment.EDGE_BUNDLE_KEY_PASSPHRASE;
}
