import { dirname } from 'node:path';

import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { BuildResult } from '../../build/build-bundle.ts';
import type { WantedChart } from '../../build/wanted-content.ts';
import type { ContentSource } from '../../bundle/bundle-document.ts';
import type { BundleSignature } from '../../bundle/signature-file.ts';
import type { RegistryClient } from '../../oci-client/registry-client.ts';
import type { Profile } from '../../profile/profile.ts';
import type { BuildDocument } from '../../report/documents.ts';
import { signatureList } from '../../report/signature-list.ts';
import { formatBuild } from '../../report/summaries.ts';
import { formatBytes } from '../../report/units.ts';
import type { ImageSource } from '../../resolve/mention.ts';
import type { ResolvedProfiles } from '../../resolve/resolved-profiles.ts';
import type { Signer } from '../../trust/signer.ts';
import {
  type ContentArguments,
  contentOptions,
  type ContentSelection,
  withContentOptions,
} from '../content-options.ts';
import { concurrencyDefault, type GlobalArguments, outputOption } from '../global-options.ts';
import { profileOptions, profilesPositional } from '../profile-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { describeUnrendered, ensureRendered, type InputArguments, withResolved } from '../read-inputs.ts';
import { mirrorOptions, registryOptions } from '../registry-options.ts';
import type { ResolutionFacts } from '../resolve-document.ts';
import { writeResult } from '../result.ts';
import { readSigners, type SigningArguments, signingOptions } from '../signing-options.ts';
import { readSourceDateEpoch } from '../source-date-epoch.ts';
import type { Terminal } from '../terminal.ts';
import { withTimeBudget } from '../time-budget.ts';
import { type TrustArguments, trustOptionsFor } from '../trust-options.ts';
import { duration, maxTimerMs, partSize, wholeNumber } from '../usage.ts';

const options = {
  out: { type: 'string', requiresArg: true, default: 'bundles', describe: 'The folder that the bundle is made in' },
  name: { type: 'string', requiresArg: true, describe: "The bundle's name (default: the first profile's)" },
  concurrency: {
    requiresArg: true,
    default: concurrencyDefault,
    coerce: wholeNumber('concurrency', 1),
    describe: 'How many downloads run at once',
  },
  check: {
    type: 'boolean',
    default: true,
    describe: 'Ask whether images that were only referenced or inferred exist, and leave out those that do not',
  },
  lock: {
    type: 'string',
    requiresArg: true,
    describe: 'Take the digest of each image from this file, and add those that it has not',
  },
  charts: { type: 'boolean', default: true, describe: 'Carry charts and packs too' },
  parts: {
    requiresArg: true,
    coerce: partSize('parts'),
    describe: 'Write the bundle in parts of so many bytes, with their checksums (3GB: as the installer has them)',
  },
  'stop-after': {
    requiresArg: true,
    coerce: duration('stop-after', maxTimerMs),
    describe: 'End with exit code 75 when this time is over (30m, 12h): the same command goes on from there',
  },
  ...trustOptionsFor({ signed: 'a --base or --existing-bundle that', dated: 'an older --base' }),
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type BuildArguments = GlobalArguments &
  InputArguments &
  ContentArguments &
  SigningArguments &
  TrustArguments &
  InferredOptionTypes<typeof options>;

export function buildCommand(terminal: Terminal): CommandModule<GlobalArguments, BuildArguments> {
  return {
    command: 'build [profiles..]',
    describe: 'Download the images of profiles into a content bundle',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('profiles', profilesPositional)
        .options({
          ...options,
          ...contentOptions,
          ...signingOptions,
          ...profileOptions,
          ...registryOptions,
          ...mirrorOptions,
        })
        .example('$0 build store.json', 'Build a bundle in bundles/ from an exported profile')
        .example('$0 build store.json --base bundles/content-1f', 'A delta: only what that bundle does not have')
        .example('$0 build infra.yaml apps.yaml extra-images.txt --name store', 'One bundle from several profiles'),
    handler: (args) =>
      withProgress(terminal, args, (progress) =>
        withTimeBudget(args['stop-after'], terminal, (limited) =>
          withContentOptions(args, limited, progress, (content) => build(args, content, limited, progress)),
        ),
      ),
  };
}

async function build(
  args: BuildArguments,
  content: ContentSelection,
  terminal: Terminal,
  progress: Progress,
): Promise<void> {
  // Before anything is downloaded: a key that cannot be read is found at once.
  const signers = await readSigners(args, terminal);
  await withResolved(args, terminal, progress, async ({ profiles, resolved }) => {
    await ensureRendered(resolved, args);
    for (const part of resolved.unrendered) progress.warn(`${describeUnrendered(part)}: ${part.reason}`);
    const { openImageRegistries } = await import('../image-registries.ts');
    const registries = await openImageRegistries(resolved.images, args, terminal, progress);
    try {
      const { check, lock } = args;
      const { pinImages } = await import('../pin-images.ts');
      const pinned = await pinImages(resolved.images, registries, { check, lock, signal: terminal.signal });
      warnOf(pinned, progress);
      const result = await download(args, { resolved, pinned, registries, content }, terminal, progress);
      const signatures = await sign(result.bundle.path, signers, terminal);
      await saveProfiles(profiles, dirname(result.bundle.path));
      progress.end();
      await writeResult(
        terminal,
        args.output,
        documentOf(result, signatures, resolved, pinned, registries),
        formatBuild,
      );
    } finally {
      await registries.close();
    }
  });
}

interface BuildInput {
  readonly resolved: ResolvedProfiles;
  readonly pinned: ResolutionFacts;
  readonly registries: RegistryClient;
  readonly content: ContentSelection;
}

async function download(
  args: BuildArguments,
  { resolved, pinned, registries, content }: BuildInput,
  terminal: Terminal,
  progress: Progress,
): Promise<BuildResult> {
  const { buildBundle } = await import('../../build/build-bundle.ts');
  return buildBundle({
    ...content,
    name: args.name ?? nameFrom(resolved.inputs),
    images: pinned.images.map(({ reference, digest, sources }) => ({
      reference,
      digest,
      sources: sources.map(bundleSource),
    })),
    charts: args.charts ? await openCharts(resolved) : [],
    leftOut: resolved.excluded,
    profiles: resolved.inputs.map(({ name, version, digest }) => ({ name, version, digest })),
    source: registries,
    out: args.out,
    partBytes: args.parts,
    concurrency: args.concurrency,
    sourceDateEpoch: readSourceDateEpoch(terminal),
    signal: terminal.signal,
    onEvent: (event) => {
      if (event.type === 'resolved') {
        const { reference, digest } = event;
        progress.note('resolved', `resolved ${reference} ${digest}`, { reference, digest });
      } else if (event.type === 'planned') {
        const { path, bytes, presentBytes } = event;
        progress.expect(bytes, presentBytes);
        if (presentBytes > 0) {
          progress.note('resumed', `going on from ${formatBytes(presentBytes)} of an earlier run`, {
            path,
            presentBytes,
          });
        }
      } else if (event.type === 'warning') {
        progress.warn(event.text);
      } else {
        if (event.type === 'restarted') progress.warn(`fetching it again: ${event.reason.message}`);
        progress.copy(event);
      }
    },
  });
}

async function openCharts({ charts }: ResolvedProfiles): Promise<WantedChart[]> {
  return Promise.all(
    charts.map(async ({ kind, name, version, reference, sources, open }) => ({
      kind,
      name,
      version,
      reference,
      sources: sources.map(bundleSource),
      store: await open?.(),
    })),
  );
}

/** Profiles that came from Palette, so that the build can be repeated without it. */
async function saveProfiles(profiles: readonly Profile[], folder: string): Promise<void> {
  const { saveProfile } = await import('../../palette/save-profile.ts');
  for (const profile of profiles) {
    if (profile.kind === 'profile' && profile.file.startsWith('http')) await saveProfile(profile.document, folder);
  }
}

function warnOf({ missing, moved }: ResolutionFacts, progress: Progress): void {
  for (const { reference, reason } of missing) {
    progress.warn(`${reference} is not in its registry, and is left out: ${reason}`);
  }
  for (const { reference, locked, found } of moved) {
    progress.warn(`${reference} was ${locked}, and its tag leads to ${found} now; the lock file's is used`);
  }
}

function bundleSource({ profile, pack, chart, path, class: name }: ImageSource): ContentSource {
  return {
    profile,
    ...(pack === undefined ? {} : { pack }),
    ...(chart === undefined ? {} : { chart }),
    path,
    class: name,
  };
}

/** The signatures that the bundle has in the end: it may be one that was finished, and signed, before. */
async function sign(
  path: string,
  signers: readonly Signer[],
  { signal }: Terminal,
): Promise<readonly BundleSignature[]> {
  if (signers.length > 0) {
    const { signBundle } = await import('../../trust/sign-bundle.ts');
    return (await signBundle(path, { signers, signal })).signatures;
  }
  const { BundleReader } = await import('../../bundle/bundle-reader.ts');
  const bundle = await BundleReader.open(path);
  await bundle.close();
  return bundle.signatures;
}

function documentOf(
  result: BuildResult,
  signatures: readonly BundleSignature[],
  { excluded }: ResolvedProfiles,
  { missing }: ResolutionFacts,
  { served }: RegistryClient,
): BuildDocument {
  const { bundle, images, charts, attachments, files, blobs, base, bytes } = result;
  return {
    bundle: { path: bundle.path, id: bundle.id, bytes: bundle.bytes },
    signatures: signatureList(signatures),
    images,
    charts,
    attachments,
    files,
    blobs,
    ...(base === undefined ? {} : { base }),
    bytes,
    missing: missing.map(({ reference, reason }) => ({ reference, reason })),
    excluded: excluded.map(({ reference, pattern, namespaces }) => ({
      reference,
      pattern,
      namespaces: [...namespaces],
    })),
    served: [...served].map(([host, counts]) => ({ host, ...counts, repositories: [...counts.repositories] })),
  };
}

/** A profile's name is for people; a bundle's is part of a file name. */
function nameFrom(inputs: ResolvedProfiles['inputs']): string {
  const name = (inputs[0]?.name ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-|-$/g, '');
  return name === '' ? 'bundle' : name;
}
