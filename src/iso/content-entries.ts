import { createHash } from 'node:crypto';
import { basename, posix } from 'node:path';

import { BundleReader } from '../bundle/bundle-reader.ts';
import { baseOfPart, partSuffix } from '../bundle/find-parts.ts';
import { listParts } from '../bundle/list-parts.ts';
import { PartFiles } from '../bundle/part-files.ts';
import { encodePartList, type PartList } from '../bundle/part-list.ts';
import type { BundleTrust } from '../bundle/read-head.ts';
import { installerPartBytes } from '../bundle/write-parts.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { FileEntry, IsoEntry, SliceEntry } from './iso-entry.ts';

/** Where the installer looks for bundles. */
export const contentFolder = '/opt/spectrocloud/content';

/** A bundle on its way to an ISO: its parts, which are read from where it is. */
export interface IsoBundle {
  /** Its file's name. */
  readonly name: string;
  readonly id: string;
  /** It is open as long as this is. */
  readonly reader: BundleReader;
  readonly bytes: number;
  readonly parts: readonly (FileEntry | SliceEntry)[];
  /** The parts and their list. */
  readonly entries: readonly IsoEntry[];
  /**
   * The list, once all has been read: it is read once, whoever asks.
   *
   * @param take gets every byte, where that is the first call
   */
  list(take?: TakeContent): Promise<PartList>;
  close(): Promise<void>;
}

/** Gets bytes of a part while they are hashed: with its path on the ISO, and where in it they stand. */
export type TakeContent = (chunk: Buffer, path: string, offset: number) => Promise<void>;

export interface IsoBundleOptions extends OperationOptions {
  /** What each part has, in bytes; of a bundle that is in parts already, they stay. Default: 3,000,000,000. */
  readonly partBytes?: number | undefined;
  /** What it has to satisfy before anything in it is used. */
  readonly trust?: BundleTrust | undefined;
}

/**
 * @throws EdgeBundleError what `BundleReader.open` throws. `list` throws BUNDLE_INVALID where parts are not as their list says
 */
export async function openIsoBundle(path: string, options: IsoBundleOptions = {}): Promise<IsoBundle> {
  const files = await PartFiles.open(path);
  try {
    const [first = path] = files.paths;
    const name = baseOfPart(basename(first)) ?? basename(first);
    const reader = await BundleReader.read(files, { trust: options.trust });
    const { id } = reader;
    const isCut = name !== basename(first);
    const partBytes = isCut ? (files.parts[0]?.end ?? files.size) : (options.partBytes ?? installerPartBytes);
    const fill = (buffer: Buffer, position: number): Promise<void> => files.fill(buffer, position);
    let listing: Promise<PartList> | undefined;
    const parts = isCut
      ? files.parts.map(({ path: file, start, end }): FileEntry => {
          const size = end - start;
          return { kind: 'file', path: `${contentFolder}/${basename(file)}`, file, size, executable: false };
        })
      : slices(first, { name, size: files.size, partBytes });
    const list = (take?: TakeContent): Promise<PartList> => {
      listing ??= listParts({
        ...{ fill, bundle: name, id, size: files.size, partBytes, signal: options.signal },
        onChunk: async (chunk, part, offset) => take?.(chunk, parts[part]?.path ?? '', offset),
      }).then((made) => {
        if (files.list !== undefined) ensureSame(files.list, made);
        return made;
      });
      return listing;
    };
    const listEntry: IsoEntry = {
      kind: 'late',
      path: `${contentFolder}/${name}.parts.json`,
      size: encodePartList(blankList({ bundle: name, id, size: files.size, partBytes })).byteLength,
      bytes: async () => encodePartList(await list()),
    };
    const entries = [...parts, listEntry];
    return { name, id, reader, bytes: files.size, parts, entries, list, close: () => files.close() };
  } catch (error) {
    await files.close();
    if (isEdgeBundleError(error, 'SIGNATURE_MISSING', 'SIGNATURE_INVALID', 'BUNDLE_OUTDATED')) {
      throw error.about(`'${path}'`);
    }
    throw error;
  }
}

interface Cut {
  readonly name: string;
  readonly size: number;
  readonly partBytes: number;
}

function slices(file: string, { name, size, partBytes }: Cut): SliceEntry[] {
  return Array.from({ length: Math.ceil(size / partBytes) }, (_, index) => {
    const offset = index * partBytes;
    const path = posix.join(contentFolder, `${name}${partSuffix(index)}`);
    return { kind: 'slice', path, file, offset, size: Math.min(partBytes, size - offset) };
  });
}

/** As large as the one with the checksums. */
function blankList({ partBytes, ...bundle }: Omit<PartList, 'parts'> & { readonly partBytes: number }): PartList {
  const sha256 = createHash('sha256').digest('hex');
  const count = Math.ceil(bundle.size / partBytes);
  const parts = Array.from({ length: count }, (_, index) => ({
    name: `${bundle.bundle}${partSuffix(index)}`,
    size: Math.min(partBytes, bundle.size - index * partBytes),
    sha256,
  }));
  return { ...bundle, parts };
}

function ensureSame(expected: PartList, made: PartList): void {
  const wrong = made.parts
    .filter(({ sha256 }, index) => sha256 !== expected.parts[index]?.sha256)
    .map(({ name }) => `'${name}'`);
  if (wrong.length === 0) return;
  throw new EdgeBundleError(
    'BUNDLE_INVALID',
    `${wrong.join(', ')} ${wrong.length === 1 ? 'is' : 'are'} not as the list of parts says`,
    {
      hint: 'Copy what is damaged again; edge-bundle verify tells more.',
    },
  );
}
