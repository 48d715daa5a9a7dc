import type { InferredOptionTypes, Options } from 'yargs';

import type { BundleTrust } from '../bundle/read-head.ts';
import type { PublicKey } from '../trust/public-key.ts';
import { readTextFile } from './text-file.ts';
import { usageError } from './usage.ts';

const trustGroup = 'Whom a bundle has to come from:';

/** For commands that read a bundle. */
export const trustOptions = trustOptionsFor({ signed: 'what', dated: 'an older bundle' });

/** For those to which several are given: which have to be `signed`, and which is refused for its date. */
export function trustOptionsFor({ signed, dated }: { readonly signed: string; readonly dated: string }) {
  return {
    'public-key': {
      group: trustGroup,
      type: 'string',
      array: true,
      requiresArg: true,
      describe: `Refuse ${signed} no key in this file signed: PEM, or .edge_custom_config.yaml (repeatable: any of them suffices)`,
    },
    'minimum-date': {
      group: trustGroup,
      type: 'string',
      requiresArg: true,
      coerce: readDate,
      describe: `Refuse ${dated}: 2026-11-28, 2026-11-28T12:00:00Z, or seconds since 1970`,
    },
  } as const satisfies Readonly<Record<string, Options>>;
}

export type TrustArguments = InferredOptionTypes<typeof trustOptions>;

/** Without the date: for what is older by its nature. @returns undefined where no key is given */
export function readKeyTrust(args: TrustArguments): Promise<BundleTrust | undefined> {
  return readTrust({ ...args, 'minimum-date': undefined });
}

/** @returns undefined where the options ask for nothing */
export async function readTrust(args: TrustArguments): Promise<BundleTrust | undefined> {
  const { 'public-key': paths = [], 'minimum-date': minimumDate } = args;
  if (paths.length === 0 && minimumDate === undefined) return undefined;
  const { trustOf } = await import('../trust/trust-policy.ts');
  return trustOf({ keys: await readKeys(paths), minimumDate });
}

/** The public keys in files that an option names. */
export async function readKeys(paths: readonly string[]): Promise<PublicKey[]> {
  const { readPublicKeys } = await import('../trust/read-public-keys.ts');
  const texts = await Promise.all(
    paths.map(async (path) => ({ name: path, text: await readTextFile(path, 'the public key') })),
  );
  return readPublicKeys(texts);
}

/** In seconds since 1970. */
function readDate(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^[0-9]{1,11}$/.test(value)) return Number(value);
  const isDate = /^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$/.test(value);
  const ms = isDate ? Date.parse(value) : NaN;
  if (ms >= 0) return Math.floor(ms / 1000);
  throw usageError(`--minimum-date: expected a date like 2026-11-28, or seconds since 1970; '${value}' came`);
}
