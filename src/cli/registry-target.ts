import type { InferredOptionTypes, Options } from 'yargs';

import { usageError } from './usage.ts';

const group = 'Target:';

/** Where a bundle is loaded to, or looked for. */
export const targetOptions = {
  harbor: { group, type: 'string', requiresArg: true, describe: 'URL of a Harbor: https://HOST[:PORT]' },
  registry: { group, type: 'string', requiresArg: true, describe: 'URL of any other OCI registry' },
  'ca-fingerprint': {
    group,
    type: 'string',
    requiresArg: true,
    describe: "Fetch Harbor's CA from Harbor itself, and trust it where it has this SHA-256 fingerprint",
  },
  project: {
    group,
    type: 'string',
    requiresArg: true,
    default: 'spectro-images',
    describe: 'Harbor project, or first part of all repository names',
  },
  'packs-project': {
    group,
    type: 'string',
    requiresArg: true,
    default: 'spectro-packs',
    describe: 'The same for charts and packs',
  },
} as const satisfies Readonly<Record<string, Options>>;

export type TargetArguments = InferredOptionTypes<typeof targetOptions>;

export interface RegistryTarget {
  readonly isHarbor: boolean;
  /** Host, and port where one is given. */
  readonly registry: string;
  /** An http:// URL asks for HTTP without TLS. */
  readonly isPlainHttp: boolean;
  /** Of the CA that Harbor gives; undefined: none is asked for. */
  readonly caFingerprint?: string | undefined;
}

/** The registry that `--harbor` or `--registry` names; undefined where neither is given. */
export function parseTarget(
  args: Pick<TargetArguments, 'harbor' | 'registry'> & Partial<Pick<TargetArguments, 'ca-fingerprint'>>,
): RegistryTarget | undefined {
  const { harbor, registry, 'ca-fingerprint': caFingerprint } = args;
  if (harbor !== undefined && registry !== undefined) throw usageError('--harbor and --registry exclude each other');
  if (harbor !== undefined) return { isHarbor: true, ...parseRegistryUrl('harbor', harbor), caFingerprint };
  if (caFingerprint !== undefined)
    throw usageError('--ca-fingerprint needs --harbor: other registries do not give their CA');
  if (registry !== undefined) return { isHarbor: false, ...parseRegistryUrl('registry', registry) };
  return undefined;
}

/** Host and scheme of the URL that an option names. */
export function parseRegistryUrl(option: string, text: string): Omit<RegistryTarget, 'isHarbor'> {
  const match = /^(?:(?<scheme>https?):\/\/)?(?<registry>[^/\s@?#]+)\/?$/.exec(text);
  const { scheme, registry } = match?.groups ?? {};
  if (registry === undefined) {
    throw usageError(
      `--${option}: expected https://HOST[:PORT], '${text}' came`,
      'Without a path; the project is given with --project, the user with --username.',
    );
  }
  return { registry, isPlainHttp: scheme === 'http' };
}
