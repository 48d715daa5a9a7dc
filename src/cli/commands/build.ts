import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import type { BuildResult } from '../../build/build-bundle.ts';
import type { Profile } from '../../profile/profile.ts';
import type { BuildDocument } from '../../report/documents.ts';
import { formatBuild } from '../../report/summaries.ts';
import { formatBytes } from '../../report/units.ts';
import { concurrencyDefault, type GlobalArguments, outputOption } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readClientOptions, type RegistryArguments, registryOptions } from '../registry-options.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { usageError, wholeNumber } from '../usage.ts';

const options = {
  out: { type: 'string', requiresArg: true, default: 'bundles', describe: 'The folder that the bundle is made in' },
  name: { type: 'string', requiresArg: true, describe: "The bundle's name (default: the first profile's)" },
  concurrency: {
    requiresArg: true,
    default: concurrencyDefault,
    coerce: wholeNumber('concurrency', 1),
    describe: 'How many downloads run at once',
  },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

type BuildArguments = GlobalArguments &
  RegistryArguments &
  InferredOptionTypes<typeof options> & { readonly profiles: readonly string[] };

export function buildCommand(terminal: Terminal): CommandModule<GlobalArguments, BuildArguments> {
  return {
    command: 'build <profiles..>',
    describe: 'Download the images of profiles into a content bundle',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('profiles', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'Profiles as Palette exports them (JSON or YAML), and lists of image references',
        })
        .options({ ...options, ...registryOptions })
        .example('$0 build store.json', 'Build a bundle in bundles/ from an exported profile')
        .example('$0 build infra.yaml apps.yaml extra-images.txt --name store', 'One bundle from several profiles'),
    handler: (args) => withProgress(terminal, args, (progress) => build(args, terminal, progress)),
  };
}

async function build(args: BuildArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { readProfile } = await import('../../profile/profile.ts');
  const { resolveImages } = await import('../../profile/resolve-images.ts');
  const { buildBundle } = await import('../../build/build-bundle.ts');
  const { parseReference } = await import('../../oci-client/reference.ts');
  const { RegistryClient } = await import('../../oci-client/registry-client.ts');

  const profiles = await Promise.all(args.profiles.map((file) => readProfile(file)));
  const { images, unrendered } = resolveImages(profiles);
  for (const { profile, pack, reason } of unrendered) progress.warn(`profile '${profile}', pack '${pack}': ${reason}`);

  const registries = images.map(({ reference }) => parseReference(reference).registry);
  const client = new RegistryClient(await readClientOptions(args, registries, terminal));
  try {
    const result = await buildBundle({
      name: args.name ?? nameFrom(profiles),
      images,
      profiles: profiles.map(({ name, version, digest }) => ({ name, version, digest })),
      source: client,
      out: args.out,
      concurrency: args.concurrency,
      sourceDateEpoch: readSourceDateEpoch(terminal),
      signal: terminal.signal,
      onEvent: (event) => {
        if (event.type === 'resolved') {
          const { reference, digest } = event;
          progress.note('resolved', `resolved ${reference} ${digest}`, { reference, digest });
        } else if (event.type === 'planned') {
          const { path, bytes, presentBytes } = event;
          progress.expect(bytes);
          if (presentBytes > 0) {
            progress.advance(presentBytes);
            progress.note('resumed', `going on from ${formatBytes(presentBytes)} of an earlier run`, {
              path,
              presentBytes,
            });
          }
        } else progress.copy(event);
      },
    });
    progress.end();
    await writeResult(terminal, args.output, documentOf(result), formatBuild);
  } finally {
    await client.close();
  }
}

function documentOf({ bundle, images, blobs, bytes }: BuildResult): BuildDocument {
  return {
    bundle: { path: bundle.path, id: bundle.id, bytes: bundle.bytes },
    images,
    blobs,
    bytes: { referenced: bytes.referenced, stored: bytes.stored, saved: bytes.saved },
  };
}

/** A profile's name is for people; a bundle's is part of a file name. */
function nameFrom(profiles: readonly Profile[]): string {
  const name = (profiles[0]?.name ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-|-$/g, '');
  return name === '' ? 'bundle' : name;
}

/** reproducible-builds.org, SOURCE_DATE_EPOCH: seconds since 1970. */
function readSourceDateEpoch({ environment }: Terminal): number | undefined {
  const text = environment.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,11}$/.test(text)) return Number(text);
  throw usageError(`SOURCE_DATE_EPOCH: expected seconds since 1970, '${text}' came`);
}
