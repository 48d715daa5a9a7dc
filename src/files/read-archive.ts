import { trimEnd } from '../content/trim-end.ts';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { Header } from 'tar/header';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';

export interface ReadArchiveOptions {
  /** Names the archive in messages. */
  readonly where: string;
  /** What it may have unpacked, headers too; in bytes. Default: 100 MiB, as Helm 4 has it. */
  readonly maxBytes?: number | undefined;
  /** What a file in it may have; in bytes. Default: `maxBytes`. */
  readonly maxFileBytes?: number | undefined;
  /** How many entries it may have, folders too. Default: 20,000. */
  readonly maxEntries?: number | undefined;
}

const defaultMaxBytes = 100 * 1024 * 1024;
const defaultMaxEntries = 20_000;
const maxExtensionBytes = 64 * 1024;
const blockBytes = 512;

/**
 * The files of a `.tar.gz` by their paths in it (`a/b`, without `./`), read in memory; nothing is written.
 * Only regular files and folders may be in it, each once and below its root: POSIX.1-2017, pax, and GNU tar's long names.
 *
 * @throws EdgeBundleError ARCHIVE_INVALID
 */
export async function readArchive(bytes: Buffer, options: ReadArchiveOptions): Promise<Map<string, Buffer>> {
  const { where, maxBytes = defaultMaxBytes } = options;
  const tar = await unpack(bytes, where, maxBytes);
  const { maxFileBytes = maxBytes, maxEntries = defaultMaxEntries } = options;
  const files = new Map<string, Buffer>();
  let entries = 0;
  for (const entry of entriesOf(tar, where)) {
    entries += 1;
    if (entries > maxEntries) throw invalid(where, `it has more than ${maxEntries} entries`);
    const path = safePath(entry.path, where);
    if (entry.isFolder) continue;
    if (path === '') throw invalid(where, 'it has a file without a name');
    if (entry.content.byteLength > maxFileBytes) {
      throw invalid(where, `${quote(path)} has ${entry.content.byteLength} bytes; at most ${maxFileBytes} are read`);
    }
    if (files.has(path)) throw invalid(where, `${quote(path)} is in it twice`);
    files.set(path, entry.content);
  }
  return files;
}

async function unpack(bytes: Buffer, where: string, maxBytes: number): Promise<Buffer> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: maxBytes });
  } catch (cause) {
    if (systemErrorCode(cause) === 'ERR_BUFFER_TOO_LARGE') {
      throw invalid(where, `unpacked it has more than ${maxBytes} bytes`, cause);
    }
    throw invalid(where, 'it is no gzip file, or is damaged', cause);
  }
}

interface Entry {
  readonly path: string;
  readonly isFolder: boolean;
  readonly content: Buffer;
}

/** What extension headers say of the entry that comes next. */
interface Extension {
  readonly path?: string;
  readonly size?: number;
}

function* entriesOf(tar: Buffer, where: string): Generator<Entry> {
  let extension: Extension = {};
  let offset = 0;
  while (offset < tar.byteLength) {
    const header = readHeader(tar, offset, { where, extension });
    if (header === undefined) return;
    const start = offset + blockBytes;
    const isExtension = extensionTypes.has(header.type);
    const path = (isExtension ? undefined : extension.path) ?? header.path ?? '';
    const sizeBytes = header.size ?? 0;
    const end = start + sizeBytes;
    if (end > tar.byteLength) throw invalid(where, `it is cut short in ${quote(path)}`);
    const content = tar.subarray(start, end);
    if (isExtension) {
      if (sizeBytes > maxExtensionBytes) throw invalid(where, 'it has a header that is too long');
      extension = { ...extension, ...readExtension(header.type, content, where) };
    } else {
      const isFolder = header.type === 'Directory' || path.endsWith('/');
      if (!isFolder && !fileTypes.has(header.type)) {
        throw invalid(where, `${quote(path)} is neither a file nor a folder (${header.type})`);
      }
      yield { path, isFolder, content };
      extension = {};
    }
    offset = start + Math.ceil(sizeBytes / blockBytes) * blockBytes;
  }
}

const fileTypes: ReadonlySet<string> = new Set(['File', 'OldFile', 'ContiguousFile']);
const extensionTypes: ReadonlySet<string> = new Set([
  'ExtendedHeader',
  'GlobalExtendedHeader',
  'NextFileHasLongPath',
  'NextFileHasLongLinkpath',
]);

/** Undefined at the archive's end, which a block of zeros marks. */
function readHeader(
  tar: Buffer,
  offset: number,
  { where, extension }: { readonly where: string; readonly extension: Extension },
): Header | undefined {
  let header: Header;
  try {
    header = new Header(tar, offset, extension);
  } catch (cause) {
    // It is shorter than a header, or has a number that is none.
    throw invalid(where, 'it is no tar archive, or is damaged', cause);
  }
  if (header.nullBlock) return undefined;
  if (!header.cksumValid) throw invalid(where, 'it is no tar archive, or is damaged');
  return header;
}

function readExtension(type: string, content: Buffer, where: string): Extension {
  if (type === 'NextFileHasLongPath') return { path: trimEnd(content.toString('utf8'), '\0') };
  if (type !== 'ExtendedHeader') return {};
  const records = paxRecords(content, where);
  // A sparse file's content is a map of it: its true name and size are elsewhere.
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.'))) throw invalid(where, 'it has a sparse file');
  const size = records.get('size');
  if (size !== undefined && !/^[0-9]{1,15}$/.test(size)) throw invalid(where, 'it has a header with a bad size');
  const path = records.get('path');
  return { ...(path === undefined ? {} : { path }), ...(size === undefined ? {} : { size: Number(size) }) };
}

/** `27 path=a/b/c\n`: the length in bytes counts itself too. */
function paxRecords(content: Buffer, where: string): Map<string, string> {
  const records = new Map<string, string>();
  let rest = content;
  while (rest.byteLength > 0) {
    const { digits = '' } = /^(?<digits>[0-9]{1,6}) /.exec(rest.toString('latin1', 0, 7))?.groups ?? {};
    const length = Number(digits);
    const record = rest.toString('utf8', digits.length + 1, length);
    const equals = record.indexOf('=');
    if (digits === '' || length > rest.byteLength || equals < 1 || !record.endsWith('\n')) {
      throw invalid(where, 'it has a damaged header');
    }
    records.set(record.slice(0, equals), record.slice(equals + 1, -1));
    rest = rest.subarray(length);
  }
  return records;
}

/** In normal form; Windows programs write `\`. */
function safePath(written: string, where: string): string {
  const path = written.replaceAll('\\', '/');
  if (path.includes('\0') || path.startsWith('/') || /^[a-z]:/i.test(path) || path.split('/').includes('..')) {
    throw invalid(where, `${quote(written)} is no path inside the archive`);
  }
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function quote(path: string): string {
  return JSON.stringify(path.length > 160 ? `${path.slice(0, 160)}…` : path);
}

function invalid(where: string, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('ARCHIVE_INVALID', `${where}: the archive cannot be read: ${reason}`, {
    hint: "Pack it again with 'helm package' or tar, without links; or get it once more from where it comes from.",
    cause,
  });
}
