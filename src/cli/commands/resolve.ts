import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { EdgeBundleError } from '../../errors.ts';
import type { ResolveDocument, WhyDocument } from '../../report/documents.ts';
import {
  differenceDocument,
  formatDifference,
  formatImageList,
  formatResolve,
  formatWhy,
} from '../../report/resolution.ts';
import type { Resolution } from '../../resolve/resolved-profiles.ts';
import type { GlobalArguments } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { profileOptions, profilesPositional } from '../profile-options.ts';
import { describeUnrendered, ensureRendered, type InputArguments } from '../read-inputs.ts';
import { mirrorOptions, registryOptions } from '../registry-options.ts';
import { resolveInputs } from '../resolution.ts';
import { resolveDocument } from '../resolve-document.ts';
import { type Terminal, writeText } from '../terminal.ts';

const options = {
  output: {
    type: 'string',
    choices: ['table', 'json', 'yaml', 'list'],
    default: 'table',
    describe: 'How the result is written to standard output',
  },
  check: {
    type: 'boolean',
    default: false,
    describe: 'Ask the registries whether images that were only referenced or inferred exist; --lock does so too',
  },
  why: { type: 'string', requiresArg: true, describe: 'Show every place that asks for this image' },
  lock: {
    type: 'string',
    requiresArg: true,
    describe: 'Keep the digest of each image in this file, and say which tags have moved',
  },
  diff: {
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Compare with the images of these profiles instead (repeatable)',
  },
} as const satisfies Readonly<Record<string, Options>>;

type ResolveArguments = GlobalArguments & InputArguments & InferredOptionTypes<typeof options>;

export function resolveCommand(terminal: Terminal): CommandModule<GlobalArguments, ResolveArguments> {
  return {
    command: 'resolve [profiles..]',
    describe: 'List every image and chart that profiles ask for, and why',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('profiles', profilesPositional)
        .options({ ...options, ...profileOptions, ...registryOptions, ...mirrorOptions })
        .example('$0 resolve store.json --pack-dir packs', 'List the images of a profile')
        .example('$0 resolve store.json --pack-dir packs --why busybox', 'Show what asks for an image'),
    handler: (args) => withProgress(terminal, args, (progress) => resolve(args, terminal, progress)),
  };
}

async function resolve(args: ResolveArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const resolved = await resolveInputs(args, terminal, progress);
  const document = await examine(resolved, args, terminal, progress);
  for (const { reference, locked, found } of document.moved) {
    progress.warn(`${reference} was ${locked}, and its tag leads to ${found} now; the lock file's is used`);
  }
  if (args['allow-unrendered']) {
    for (const part of resolved.unrendered) progress.warn(`${describeUnrendered(part)}: ${part.reason}`);
  }
  progress.end();
  await writeText(terminal.stdout, await format(document, args, terminal, progress));
  await ensureRendered(resolved, args);
}

async function examine(
  resolved: Resolution,
  args: ResolveArguments,
  terminal: Terminal,
  progress: Progress,
): Promise<ResolveDocument> {
  const { lock } = args;
  const check = args.check || lock !== undefined;
  if (!check) {
    return resolveDocument(resolved, { images: resolved.images, missing: [], moved: [] });
  }
  const { openImageRegistries } = await import('../image-registries.ts');
  const registries = await openImageRegistries(resolved.images, args, terminal, progress);
  try {
    const { signal } = terminal;
    const { pinImages } = await import('../pin-images.ts');
    return resolveDocument(resolved, await pinImages(resolved.images, registries, { check, lock, signal }));
  } finally {
    await registries.close();
  }
}

async function format(
  document: ResolveDocument,
  args: ResolveArguments,
  terminal: Terminal,
  progress: Progress,
): Promise<string> {
  const { output, why, diff, lock } = args;
  if (diff !== undefined) {
    const others = { ...args, profiles: diff, 'palette-endpoint': undefined, 'palette-profile': undefined };
    const other = await resolveInputs(others, terminal, progress);
    await ensureRendered(other, args);
    // The lock file is that of the first ones.
    const check = args.check || lock !== undefined;
    const compared = await examine(other, { ...args, check, lock: undefined }, terminal, progress);
    const references = ({ images }: ResolveDocument): string[] => images.map(({ reference }) => reference);
    const difference = differenceDocument(references(document), references(compared));
    return await written(output, difference, () => formatDifference(difference));
  }
  if (why !== undefined) {
    const found = await findImages(document, why);
    return await written(output, found, () => formatWhy(found));
  }
  if (output === 'list') return formatImageList(document);
  return await written(output, document, () => formatResolve(document));
}

async function written(output: ResolveArguments['output'], document: unknown, text: () => string): Promise<string> {
  if (output === 'json') return `${JSON.stringify(document, undefined, 2)}\n`;
  if (output !== 'yaml') return text();
  const { stringify } = await import('yaml');
  return stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** The image of that name; without a tag, all of the repository. */
async function findImages({ images, missing, excluded }: ResolveDocument, name: string): Promise<WhyDocument> {
  const { formatReference, parseReference } = await import('../../oci-client/reference.ts');
  const { registry, repository } = parseReference(name);
  const wanted = formatReference(parseReference(name));
  const all = [...images, ...missing, ...excluded].map(({ reference }) => reference);
  const matches = all.includes(wanted)
    ? (reference: string): boolean => reference === wanted
    : (reference: string): boolean => {
        const own = parseReference(reference);
        return own.registry === registry && own.repository === repository && wanted.endsWith(':latest');
      };
  if (!all.some(matches)) {
    throw new EdgeBundleError('NOT_FOUND', `nothing asks for '${wanted}'`, {
      hint: "'resolve --output list' shows what the profiles ask for.",
    });
  }
  const select = <T extends { readonly reference: string }>(list: readonly T[]): T[] =>
    list.filter(({ reference }) => matches(reference));
  return { images: select(images), missing: select(missing), excluded: select(excluded) };
}
