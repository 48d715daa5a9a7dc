import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { LoadEvent } from '../../loader/load-events.ts';
import type { LoadResult } from '../../loader/load-result.ts';
import { formatLoad } from '../../report/summaries.ts';
import { formatDuration } from '../../report/units.ts';
import { bundleArgument, contentBytes, withBundle } from '../bundle-argument.ts';
import { checkParts, checkPartsOptions } from '../check-parts.ts';
import { concurrencyDefault, type GlobalArguments, outputOption } from '../global-options.ts';
import { withoutLimit } from '../optional-values.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { type RegistryArguments, registryOptions } from '../registry-options.ts';
import { withRegistry } from '../registry-session.ts';
import { parseTarget, type TargetArguments, targetOptions } from '../registry-target.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { type TrustArguments, trustOptions } from '../trust-options.ts';
import { transferDocument } from '../transfer-document.ts';
import { duration, positiveSize, usageError, wholeNumber } from '../usage.ts';

const options = {
  concurrency: {
    requiresArg: true,
    default: concurrencyDefault,
    coerce: wholeNumber('concurrency', 1),
    describe: 'How many transfers run at once',
  },
  journal: {
    type: 'string',
    requiresArg: true,
    describe: 'Keep in this folder what has been loaded, so that an interrupted load goes on where it was',
  },
  wait: {
    type: 'string',
    coerce: waitLimit,
    describe:
      'Wait while the registry starts, restarts or is read-only: for ever, or each time for so long (--wait=30m)',
  },
  public: { type: 'boolean', default: false, describe: 'Make new projects ones that everybody may pull from' },
  quota: {
    requiresArg: true,
    coerce: positiveSize('quota', 'a project cannot be limited to nothing'),
    describe: 'What each new project may hold (20G, 1.5Gi); without it, what Harbor has as its default',
  },
  ...checkPartsOptions,
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type LoadArguments = GlobalArguments &
  RegistryArguments &
  TargetArguments &
  TrustArguments &
  InferredOptionTypes<typeof options> & { readonly bundle: string };

export function loadCommand(terminal: Terminal): CommandModule<GlobalArguments, LoadArguments> {
  return {
    command: 'load <bundle>',
    describe: 'Bring the images of a bundle into a Harbor or another registry, and verify them there',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('bundle', bundleArgument)
        .options({ ...options, ...targetOptions, ...trustOptions, ...registryOptions })
        .example(
          '$0 load bundles/content-1f --harbor https://10.0.0.5:30003 --ca-cert ca.pem --username admin --password-file pw',
          'Into project spectro-images',
        )
        .example('$0 load store.tar.zst --registry http://127.0.0.1:5000', 'Into a registry without TLS'),
    handler: (args) => withProgress(terminal, args, (progress) => load(args, terminal, progress)),
  };
}

async function load(args: LoadArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const target = parseTarget(args);
  if (target === undefined) throw usageError('no registry is given', 'Give --harbor URL or --registry URL.');
  if (!target.isHarbor && (args.public || args.quota !== undefined))
    throw usageError('--public and --quota need --harbor: other registries have no projects');
  const { loadBundle } = await import('../../loader/load-bundle.ts');
  const { project, 'packs-project': packsProject, concurrency, journal, wait, public: isPublic, quota, output } = args;
  const { signal } = terminal;
  let result: LoadResult | undefined;
  await checkParts(args, terminal, progress);
  try {
    const onEvent = (event: LoadEvent): void => {
      if (event.type === 'verified') ({ result } = event);
      tell(event, progress);
    };
    const waiting = wait === undefined ? undefined : { ...wait, onEvent, signal };
    await withBundle(args.bundle, args, (bundle) =>
      withRegistry(args, target, { terminal, progress, wait: waiting }, ({ registry, client, harbor }) => {
        progress.expect(contentBytes(bundle));
        return loadBundle({
          bundle,
          client,
          registry,
          project,
          packsProject,
          harbor,
          projectSettings: { public: isPublic, storageLimit: quota },
          journal: journal === undefined ? undefined : { folder: journal },
          wait,
          concurrency,
          signal,
          onEvent,
        });
      }),
    );
  } finally {
    progress.end();
    // Also where something is missing: the result says what, and the error follows.
    if (result !== undefined) {
      const { bytes } = result;
      await writeResult(terminal, output, transferDocument(result), (document) => formatLoad(document, bytes));
    }
  }
}

/** `--wait` alone has no limit. */
function waitLimit(value: unknown): { readonly limitMs?: number } | undefined {
  if (value === undefined) return undefined;
  return value === withoutLimit ? {} : { limitMs: duration('wait')(value) };
}

function tell(event: LoadEvent, progress: Progress): void {
  switch (event.type) {
    case 'image-finished': {
      const { references, repository, tags, root } = event.image;
      const fields = { references, repository, tags, digest: root.digest, outcome: event.outcome };
      progress.note('image', `${event.outcome} ${references.join(', ')}`, fields);
      break;
    }
    case 'verifying':
      progress.note('verifying', `verifying ${event.images} images`, { images: event.images });
      break;
    case 'restarted':
      progress.warn(`fetching it again: ${event.reason.message}`);
      progress.copy(event);
      break;
    case 'waiting': {
      const { reason, waitedMs, delayMs } = event;
      const text = `waiting for the registry, ${formatDuration(waitedMs)} so far: ${reason.message}`;
      progress.note('waiting', text, { reason: reason.message, waitedMs, delayMs });
      break;
    }
    case 'ready':
      progress.note('ready', `the registry is ready, after ${formatDuration(event.waitedMs)}`, { ...event });
      break;
    case 'warning':
      progress.warn(event.message);
      break;
    case 'started':
    case 'progress':
    case 'finished':
      progress.copy(event);
      break;
    case 'image-started':
    case 'image-failed':
    case 'verified':
      break;
  }
}
