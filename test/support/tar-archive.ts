import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { Header } from 'tar/header';
import type { EntryTypeName } from 'tar/types';

export type FileTexts = Readonly<Record<string, string | Buffer>>;

/** Writes files, by their paths below `folder`, and the folders that they need. */
export function writeFiles(folder: string, files: FileTexts): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** A `.tar.gz` of files by the system's `tar`. */
export function tarGzip(files: FileTexts): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'edge-bundle-tar-'));
  try {
    writeFiles(folder, files);
    const top = [...new Set(Object.keys(files).map((path) => path.replace(/\/.*/, '')))];
    return execFileSync('tar', ['-czf', '-', '-C', folder, ...top], { maxBuffer: 1024 ** 3 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface CraftedEntry {
  readonly path: string;
  readonly type?: EntryTypeName;
  readonly content?: string | Buffer;
  readonly linkpath?: string;
  /** What the header says, where that is not the content's size. */
  readonly size?: number;
}

/** A `.tar.gz` that no `tar` would make: entry by entry as they are given. */
export function craftTarGzip(entries: readonly CraftedEntry[]): Buffer {
  const blocks = entries.flatMap(({ path, type = 'File', content = '', linkpath = '', size }) => {
    const bytes = Buffer.from(content);
    const block = Buffer.alloc(512);
    const header = new Header({
      path,
      type,
      linkpath,
      size: size ?? bytes.byteLength,
      mode: 0o644,
      mtime: new Date(0),
    });
    header.encode(block);
    return [block, bytes, Buffer.alloc((512 - (bytes.byteLength % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

/** One record of a pax header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  const length = [1, 2, 3, 4, 5]
    .map((digits) => bytes + digits)
    .find((total) => String(total).length + bytes === total);
  return `${length ?? ''}${rest}`;
}
