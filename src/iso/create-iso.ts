import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { checksumEntry } from './checksum-file.ts';
import { type IsoBundle, openIsoBundle } from './content-entries.ts';
import { folderEntries } from './folder-entries.ts';
import { installerConfig } from './installer-config.ts';
import type { IsoEntry } from './iso-entry.ts';
import type { IsoImage } from './iso-image.ts';
import { readMe } from './read-me.ts';
import { writeIso } from './write-iso.ts';
import type { Xorriso } from './xorriso.ts';

export interface IsoContent {
  /** As for `BundleReader.open`. */
  readonly bundles: readonly string[];
  /** The folder of a loader package. */
  readonly loader?: string | undefined;
  /** The configuration of the first boot. */
  readonly firstBootConfig?: string | undefined;
  /** What each part has, in bytes. Default: 3,000,000,000. */
  readonly partBytes?: number | undefined;
}

export interface CreateIsoOptions extends OperationOptions, IsoContent {
  readonly xorriso: Xorriso;
  readonly out: string;
  /** The volume's label: 1 to 32 of `A-Z a-z 0-9 _ - .`; the first boot looks for EDGE_CONTENT, the default. */
  readonly label?: string | undefined;
  /** A file with the public key that hosts check signatures with. */
  readonly publicKey?: string | undefined;
  /** A folder with what `mirror-config` wrote. */
  readonly mirrorConfig?: string | undefined;
  /** The time stamp of everything, in seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number | undefined;
  /** Write over a file that is there. */
  readonly force?: boolean | undefined;
  /** Called with how much of the image has been written, 0 to 1. */
  readonly onWritten?: ((share: number) => void) | undefined;
}

export interface MadeIso {
  readonly image: IsoImage;
  readonly bundles: readonly {
    readonly name: string;
    readonly id: string;
    readonly bytes: number;
    readonly parts: number;
  }[];
}

export const defaultLabel = 'EDGE_CONTENT';
/** In the folder of a loader package. */
const unitInLoader = 'share/first-boot/edge-bundle-first-boot.service';
const unitName = 'edge-bundle-first-boot.service';

/**
 * Makes an ISO with bundles and all that is needed to load them, straight from the bundles. The same content gives the same bytes.
 *
 * @throws EdgeBundleError CONFIG_INVALID, FILE_FAILED, NO_SPACE, ISO_FAILED, ABORTED, and what opening a bundle throws
 */
export async function createIso(options: CreateIsoOptions): Promise<MadeIso> {
  const { xorriso, out, label = defaultLabel, sourceDateEpoch = 0, signal, force, onWritten } = options;
  if (!/^[A-Za-z0-9_.-]{1,32}$/.test(label)) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${label}' cannot be a volume's label`, {
      hint: "Use letters, digits, '_', '-' and '.'; at most 32 of them.",
    });
  }
  return withBundles(options, async (bundles) => {
    const entries = await entriesOf(options, bundles, label);
    const sums = checksumEntry(entries, bundles, { signal });
    const all = [...entries, ...bundles.flatMap((bundle) => bundle.entries), sums];
    const image = await writeIso({
      ...{ xorriso, out, label, force, onWritten, signal, epoch: sourceDateEpoch, entries: all },
    });
    return { image, bundles: bundles.map(summaryOf) };
  });
}

/** Opens bundles, and closes them when `use` is done. @throws EdgeBundleError CONFIG_INVALID where two have one name */
export async function withBundles<T>(
  { bundles: paths, partBytes, signal }: IsoContent & OperationOptions,
  use: (bundles: readonly IsoBundle[]) => Promise<T>,
): Promise<T> {
  const bundles: IsoBundle[] = [];
  try {
    for (const path of paths) bundles.push(await openIsoBundle(path, { partBytes, signal }));
    const twice = bundles.find(({ name }, index) => bundles.findIndex((other) => other.name === name) !== index);
    if (twice !== undefined) throw new EdgeBundleError('CONFIG_INVALID', `the bundle '${twice.name}' is given twice`);
    return await use(bundles);
  } finally {
    for (const bundle of bundles) await bundle.close();
  }
}

export function summaryOf({ name, id, bytes, entries }: IsoBundle): MadeIso['bundles'][number] {
  return { name, id, bytes, parts: entries.length - 1 };
}

/** The loader package, where hosts have it too. */
export async function loaderEntries(loader: string | undefined): Promise<IsoEntry[]> {
  if (loader === undefined) return [];
  const entries = await folderEntries(loader, '/opt/edge-bundle');
  if (entries.some(({ path }) => path === '/opt/edge-bundle/bin/edge-bundle')) return entries;
  throw new EdgeBundleError('CONFIG_INVALID', `'${loader}' is no loader package: it has no bin/edge-bundle`, {
    hint: "Give the folder that 'edge-bundle loader package' made.",
  });
}

async function entriesOf(options: CreateIsoOptions, bundles: readonly IsoBundle[], label: string): Promise<IsoEntry[]> {
  const { loader, firstBootConfig, publicKey, mirrorConfig, sourceDateEpoch: epoch = 0 } = options;
  const loaderFiles = await loaderEntries(loader);
  const unit = loaderFiles.find(({ path }) => path === `/opt/edge-bundle/${unitInLoader}`);
  const text = readMe({
    ...{ label, epoch, bundles },
    hasLoader: loader !== undefined,
    hasFirstBoot: firstBootConfig !== undefined,
    hasKey: publicKey !== undefined,
    hasMirrorConfig: mirrorConfig !== undefined,
  });
  return [
    { kind: 'bytes', path: '/README.txt', bytes: Buffer.from(text) },
    ...loaderFiles,
    ...(firstBootConfig === undefined ? [] : [await copyOf(firstBootConfig, '/first-boot/first-boot.yaml')]),
    ...(firstBootConfig === undefined || unit === undefined ? [] : [{ ...unit, path: `/first-boot/${unitName}` }]),
    ...(publicKey === undefined ? [] : [await publicKeyEntry(publicKey)]),
    ...(mirrorConfig === undefined ? [] : await folderEntries(mirrorConfig, '/mirror-config')),
  ];
}

async function publicKeyEntry(file: string): Promise<IsoEntry> {
  const entry = await copyOf(file, `/keys/${basename(file)}`);
  await installerConfig(file, {});
  return entry;
}

/** A small file, as it is now. */
export async function copyOf(file: string, path: string): Promise<IsoEntry> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw fileError(error, `cannot read '${file}'`);
  });
  return { kind: 'bytes', path, bytes };
}
