import { constants, open } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { isoBlockBytes, readVolumeBlocks } from './volume-descriptor.ts';
import type { Xorriso } from './xorriso.ts';

/** A file on an ISO, and where in the image its bytes are. */
export interface IsoFile {
  /** From the ISO's root: `/opt/…`. */
  readonly path: string;
  readonly size: number;
  /** Of its first byte. Of a file over 4 GiB too, all bytes follow each other. */
  readonly offset: number;
}

export interface IsoImage {
  /** The image's own path. */
  readonly path: string;
  readonly bytes: number;
  /** The volume's. */
  readonly label: string;
  /** By their paths. */
  readonly files: ReadonlyMap<string, IsoFile>;
  /** Every path that is taken: of folders and links too. */
  readonly paths: ReadonlySet<string>;
  /** The xorriso commands that make its boot records, partition tables and volume dates: equal for equal ones. */
  readonly bootRecords: readonly string[];
}

/**
 * What is on an ISO, read in place.
 *
 * @throws EdgeBundleError FILE_FAILED, ISO_INVALID where it is none, or is cut short; ISO_FAILED, ABORTED
 */
export async function readIsoImage(path: string, xorriso: Xorriso, options: OperationOptions = {}): Promise<IsoImage> {
  const bytes = await ensureIso(path);
  const absolute = resolve(path);
  const report = (...commands: string[]): Promise<string> =>
    xorriso.run(['-indev', `stdio:${absolute}`, ...commands], options);
  const found = await report(
    '-find',
    '/',
    '-exec',
    'echo',
    '--',
    '-find',
    '/',
    '-type',
    'f',
    '-exec',
    'report_lba',
    '--',
  );
  const files = parseExtents(found);
  const paths = new Set([...found.matchAll(/^'.*'$/gm)].map(([quoted]) => unquote(quoted)));
  const label = /^Volume Id {4}: (?<label>.*)$/m.exec(await report('-pvd_info'))?.groups?.label ?? '';
  const boot = (await report('-report_el_torito', 'cmd')).split('\n').filter((line) => line !== '');
  const bootRecords = boot
    .filter((line) => !isGeometry(line))
    .map((line) =>
      withoutPlaces(line.replaceAll(quote(absolute), "'ISO'").replaceAll(quote(`stdio:${absolute}`), "'ISO'")),
    );
  const end = [...files.values()].reduce((most, { offset, size }) => Math.max(most, offset + size), 0);
  if (end > bytes) {
    throw new EdgeBundleError(
      'ISO_INVALID',
      `'${path}' is cut short: it has ${bytes} bytes, and files up to byte ${end}`,
      {
        hint: 'Copy the ISO again.',
      },
    );
  }
  return { path, bytes, label, files, paths, bootRecords };
}

/** Bytes of a file on it. @throws EdgeBundleError FILE_FAILED */
export async function readIsoFile({ path }: IsoImage, file: IsoFile, maxBytes: number): Promise<Buffer> {
  if (file.size > maxBytes) {
    throw new EdgeBundleError(
      'ISO_INVALID',
      `'${file.path}' on '${path}' has ${file.size} bytes; at most ${maxBytes} are read`,
    );
  }
  const buffer = Buffer.alloc(file.size);
  const handle = await open(path, constants.O_RDONLY).catch((error: unknown) => {
    throw fileError(error, `cannot read '${path}'`);
  });
  try {
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, file.offset);
    if (bytesRead === buffer.byteLength) return buffer;
    throw new EdgeBundleError('ISO_INVALID', `'${path}' ends in the middle of '${file.path}'`);
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  } finally {
    await handle.close();
  }
}

/** xorriso takes any other file for an empty medium. */
async function ensureIso(path: string): Promise<number> {
  let size: number;
  let blocks: number | undefined;
  try {
    const handle = await open(path, constants.O_RDONLY);
    try {
      ({ size } = await handle.stat());
      blocks = await readVolumeBlocks(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  }
  if (blocks !== undefined) return size;
  throw new EdgeBundleError('ISO_INVALID', `'${path}' is no ISO 9660 image`, {
    hint: 'Check the path, or copy it again.',
  });
}

/** Lines of `report_lba`: `File data lba:  0 ,  57 ,  977 ,  2000000 , '/opt/file'`; of a file over 4 GiB one an extent. */
function parseExtents(text: string): Map<string, IsoFile> {
  const files = new Map<string, IsoFile>();
  const pattern =
    /^File data lba: +(?<extent>\d+) , +(?<start>\d+) , +(?<blocks>\d+) , +(?<size>\d+) , (?<path>'.*')$/gm;
  let next = 0;
  for (const { groups } of text.matchAll(pattern)) {
    const path = unquote(groups?.path ?? '');
    const [extent, start, blocks] = [groups?.extent, groups?.start, groups?.blocks].map(Number) as [
      number,
      number,
      number,
    ];
    if (extent > 0 && start !== next) {
      throw new EdgeBundleError('UNSUPPORTED', `'${path}' lies on the ISO in pieces that do not follow each other`);
    }
    next = start + blocks;
    if (extent === 0) files.set(path, { path, size: Number(groups?.size), offset: start * isoBlockBytes });
  }
  return files;
}

/**
 * Heads and sectors are concluded from the partition's end as cylinder, head and sector, which an MBR cannot tell where more than
 * 1 GB is in it: xorriso leaves them out then. Nothing that boots uses them.
 */
function isGeometry(record: string): boolean {
  return /^-boot_image any partition_(?:hd_cyl|sec_hd)=/.test(record);
}

/** An appended partition lies behind the files, and so further on where there are more of them. Its size stays. */
function withoutPlaces(record: string): string {
  return record
    .replace(/imported_iso:(?<from>\d+)d-(?<to>\d+)d/, (_, from: string, to: string) => {
      return `imported_iso:${Number(to) - Number(from) + 1}d`;
    })
    .replace(/_start_\d+s_size_/, '_size_');
}

/** As a shell reads it: `'it'"'"'s'`. */
function unquote(text: string): string {
  return text.slice(1, -1).replaceAll(`'"'"'`, `'`);
}

function quote(text: string): string {
  return `'${text.replaceAll(`'`, `'"'"'`)}'`;
}
