import { gzipSync } from 'node:zlib';

import { compressFrame } from '../bundle/zstd-codec.ts';
import { type TarEntry, writeTar } from '../files/write-archive.ts';
import { type FileTree, foldersOf } from './file-tree.ts';

export const archiveFormats = ['tar.zst', 'tar.gz'] as const;
export type ArchiveFormat = (typeof archiveFormats)[number];

export interface PackTreeOptions {
  readonly format: ArchiveFormat;
  /** In seconds since 1970. */
  readonly sourceDateEpoch: number;
}

const frameBytes = 8 * 1024 * 1024;

/** An archive with all of `tree` in a folder `name`. The same bytes for the same tree, with the same version of Node.js. */
export function packTree(
  name: string,
  tree: FileTree,
  { format, sourceDateEpoch: modifiedS }: PackTreeOptions,
): Buffer {
  const folders = ['', ...foldersOf(tree)].map((path): TarEntry => {
    return { path: `${name}/${path === '' ? '' : `${path}/`}`, content: undefined, mode: 0o755, modifiedS };
  });
  const files = [...tree].map(([path, { content, isExecutable }]): TarEntry => {
    return { path: `${name}/${path}`, content, mode: isExecutable ? 0o755 : 0o644, modifiedS };
  });
  // Each folder right before what is in it: tar sets a folder's time when it leaves it.
  const entries = [...folders, ...files].sort((one, other) => (one.path < other.path ? -1 : 1));
  const tar = writeTar(entries);
  if (format === 'tar.gz') return gzipSync(tar, { level: 9 });
  const frames: Buffer[] = [];
  for (let offset = 0; offset < tar.byteLength; offset += frameBytes) {
    frames.push(compressFrame(tar.subarray(offset, offset + frameBytes)));
  }
  return Buffer.concat(frames);
}
