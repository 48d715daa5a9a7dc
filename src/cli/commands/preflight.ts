import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { BundleReader } from '../../bundle/bundle-reader.ts';
import { EdgeBundleError } from '../../errors.ts';
import type { PreflightOptions } from '../../preflight/preflight.ts';
import type { Check } from '../../report/preflight-check.ts';
import { formatPreflight } from '../../report/preflight.ts';
import { withBundles } from '../bundle-argument.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { type RegistryArguments, registryOptions } from '../registry-options.ts';
import { withRegistry } from '../registry-session.ts';
import { parseTarget, type TargetArguments, targetOptions } from '../registry-target.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';
import { usageError } from '../usage.ts';

const options = {
  'single-node': { type: 'boolean', default: false, describe: 'The cluster has this one host: it needs more of it' },
  'data-path': {
    type: 'string',
    requiresArg: true,
    describe: "Where the registry's data will be stored on this host (else /var is looked at, and only warned of)",
  },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type PreflightArguments = GlobalArguments &
  RegistryArguments &
  TargetArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly bundles: readonly string[] };

export function preflightCommand(terminal: Terminal): CommandModule<GlobalArguments, PreflightArguments> {
  return {
    command: 'preflight [bundles..]',
    describe: 'Check whether this host and a registry are fit for bundles; changes nothing',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundles', {
          type: 'string',
          array: true,
          default: [] as readonly string[],
          describe: 'Bundles: their files, one of their parts, or the folders that they are alone in',
        })
        .options({ ...options, ...targetOptions, ...trustOptions, ...registryOptions })
        .example(
          '$0 preflight bundles/content-1f --harbor https://10.0.0.5:30003 --ca-cert ca.pem --username admin --password-file pw',
          'Exit code 1 where something would make a load fail',
        ),
    handler: (args) => withProgress(terminal, args, (progress) => check(args, terminal, progress)),
  };
}

async function check(args: PreflightArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { preflight } = await import('../../preflight/preflight.ts');
  const { connectionFacts } = await import('../../preflight/connection-facts.ts');
  const { signal } = terminal;
  const checks = await withOpen(args.bundles, args, async (bundles) => {
    const common: PreflightOptions = {
      bundles,
      project: args.project,
      packsProject: args['packs-project'],
      isSingleNode: args['single-node'],
      dataPath: args['data-path'],
      signal,
    };
    const target = parseTarget(args);
    if (target === undefined) return preflight(common);
    return withRegistry(args, target, { terminal, progress }, async ({ options: client, ...session }) => {
      const { registry } = session;
      const hasLogin = (await client.credentials?.find(registry)) !== undefined;
      const connection = connectionFacts(registry, client);
      return preflight({ ...common, target: { ...session, hasLogin, connection } });
    });
  });
  progress.end();
  await writeResult(terminal, args.output, { status: worstOf(checks), checks: [...checks] }, formatPreflight);
  const failed = checks.filter(({ status }) => status === 'fail');
  if (failed.length === 0) return;
  throw new EdgeBundleError('FAILED', `not fit: ${failed.length} of ${checks.length} checks failed`, {
    failures: failed.map(
      ({ message, hint }) => new EdgeBundleError('FAILED', message, hint === undefined ? {} : { hint }),
    ),
  });
}

/** None, or several. */
async function withOpen<T>(
  paths: readonly string[],
  args: TrustArguments,
  use: (bundles: readonly BundleReader[]) => Promise<T>,
): Promise<T> {
  const [first, ...rest] = paths;
  if (first === undefined) {
    ensureNoTrust(args);
    return use([]);
  }
  return withBundles([first, ...rest], args, (bundles) => use(bundles));
}

/** Who asks for a check and gives nothing to be checked takes one for made. */
function ensureNoTrust({ 'public-key': keys = [], 'minimum-date': minimumDate }: TrustArguments): void {
  if (keys.length === 0 && minimumDate === undefined) return;
  throw usageError(`--${keys.length > 0 ? 'public-key' : 'minimum-date'} is for bundles, and none is given`);
}

function worstOf(checks: readonly Check[]): 'pass' | 'warn' | 'fail' {
  return (['fail', 'warn'] as const).find((status) => checks.some((check) => check.status === status)) ?? 'pass';
}
