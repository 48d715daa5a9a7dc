import { basename } from 'node:path';

import { readLeftOut } from '../bundle/left-out.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { MirrorOptions } from '../mirror-config/mirror.ts';
import { mirrorConfig, mirrorFormats } from '../mirror-config/mirror-config.ts';
import { checksumEntry } from './checksum-file.ts';
import type { IsoBundle } from './content-entries.ts';
import { type ContentKey, readContentKey } from './content-key.ts';
import { folderEntries } from './folder-entries.ts';
import type { IsoEntry } from './iso-entry.ts';
import { copyOf, loaderEntries, type MadeIso, makeIso, type MakeIsoOptions } from './make-iso.ts';
import { readMe } from './read-me.ts';

export interface CreateIsoOptions extends MakeIsoOptions {
  /** The volume's label: 1 to 32 of `A-Z a-z 0-9 _ - .`; the first boot looks for EDGE_CONTENT, the default. */
  readonly label?: string | undefined;
  /** A folder with what `mirror-config` wrote; or the mirrors for which it is made here, from all bundles together. */
  readonly mirrorConfig?: string | MirrorOptions | undefined;
  /** The time stamp of everything, in seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number | undefined;
}

export const defaultLabel = 'EDGE_CONTENT';
const mirrorFolder = '/mirror-config';
/** In the folder of a loader package. */
const unitInLoader = 'share/first-boot/edge-bundle-first-boot.service';
const unitName = 'edge-bundle-first-boot.service';

/**
 * Makes an ISO with bundles and all that is needed to load them, straight from the bundles. The same content gives the same bytes.
 *
 * @throws EdgeBundleError CONFIG_INVALID, KEY_INVALID, SIGNATURE_MISSING and SIGNATURE_INVALID where the public key does not vouch
 *   for a bundle, FILE_FAILED, NO_SPACE, ISO_FAILED, ABORTED, and what opening a bundle throws
 */
export async function createIso(options: CreateIsoOptions): Promise<MadeIso> {
  const { label = defaultLabel, publicKey, sourceDateEpoch = 0, signal } = options;
  if (!/^[A-Za-z0-9_.-]{1,32}$/.test(label)) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${label}' cannot be a volume's label`, {
      hint: "Use letters, digits, '_', '-' and '.'; at most 32 of them.",
    });
  }
  const key = publicKey === undefined ? undefined : await readContentKey(publicKey);
  const hosts = key === undefined ? undefined : { keys: key.keys, from: key.file };
  return makeIso(options, hosts, async (bundles) => {
    const entries = await entriesOf({ ...options, label, sourceDateEpoch }, bundles, key);
    const sums = checksumEntry(entries, bundles, { signal });
    return { label, epoch: sourceDateEpoch, entries: [...entries, sums] };
  });
}

async function entriesOf(
  options: CreateIsoOptions & { readonly label: string; readonly sourceDateEpoch: number },
  bundles: readonly IsoBundle[],
  key: ContentKey | undefined,
): Promise<IsoEntry[]> {
  const { label, loader, firstBootConfig, mirrorConfig: mirrors, sourceDateEpoch: epoch, signal } = options;
  const loaderFiles = await loaderEntries(loader);
  const unit = loaderFiles.find(({ path }) => path === `/opt/edge-bundle/${unitInLoader}`);
  const text = readMe({
    ...{ label, epoch, bundles },
    hasLoader: loader !== undefined,
    hasFirstBoot: firstBootConfig !== undefined,
    hasKey: key !== undefined,
    hasMirrorConfig: mirrors !== undefined,
  });
  return [
    { kind: 'bytes', path: '/README.txt', bytes: Buffer.from(text) },
    ...loaderFiles,
    ...(firstBootConfig === undefined ? [] : [await copyOf(firstBootConfig, '/first-boot/first-boot.yaml')]),
    ...(firstBootConfig === undefined || unit === undefined ? [] : [{ ...unit, path: `/first-boot/${unitName}` }]),
    ...(key === undefined ? [] : [{ kind: 'bytes', path: `/keys/${basename(key.file)}`, bytes: key.bytes } as const]),
    ...(typeof mirrors === 'string'
      ? await folderEntries(mirrors, mirrorFolder)
      : await mirrorEntries(mirrors, bundles, { signal })),
  ];
}

/** As `mirror-config` writes them. */
async function mirrorEntries(
  mirrors: MirrorOptions | undefined,
  bundles: readonly IsoBundle[],
  options: OperationOptions,
): Promise<IsoEntry[]> {
  if (mirrors === undefined) return [];
  const images = bundles.flatMap(({ reader }) => reader.document.images);
  const leftOut = (await Promise.all(bundles.map(({ reader }) => readLeftOut(reader, options)))).flat();
  const { files } = mirrorConfig({ images }, { ...mirrors, leftOut, formats: mirrorFormats });
  return [...files].map(([path, text]) => ({
    kind: 'bytes',
    path: `${mirrorFolder}/${path}`,
    bytes: Buffer.from(text),
  }));
}
