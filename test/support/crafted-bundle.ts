/** Bundles as somebody who means harm would make them: any archive, any frames, any seek table. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { compress } from 'zstd-napi';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import {
  type ArchiveFile,
  archiveFiles,
  type ExpectedFrame,
  expectedFrames,
  rawFrame,
  seekTable,
} from './bundle-archive.ts';
import type { Content } from './graphs.ts';
import { memoryFolder } from './temporary-folder.ts';

export interface CraftOptions {
  /** Changes a file's path, or its content. */
  readonly file?: (file: ArchiveFile) => ArchiveFile;
  /** Changes what is in the frames. */
  readonly frames?: (frames: ExpectedFrame[]) => ExpectedFrame[];
  /** Changes what the seek table says. */
  readonly sizes?: (sizes: CraftedSizes[]) => CraftedSizes[];
}

export type CraftedSizes = readonly [compressed: number, content: number];

/** Writes a bundle that is right but for what the options change. @returns where it is */
export async function craftBundle(
  document: BundleDocument,
  contents: readonly Content[],
  options: CraftOptions = {},
): Promise<string> {
  const { file = unchanged, frames = unchanged, sizes = unchanged } = options;
  const made = frames(expectedFrames(document, archiveFiles(document, contents).map(file)));
  const framed = made.map(({ kind, content }) => {
    return kind === 'stored' ? rawFrame(content) : compress(content);
  });
  const table = seekTable(
    sizes(framed.map((frame, number) => [frame.byteLength, made[number]?.content.byteLength ?? 0])),
  );
  const path = join(await memoryFolder(), 'core-crafted.tar.zst');
  await writeFile(path, Buffer.concat([...framed, table]));
  return path;
}

function unchanged<T>(value: T): T {
  return value;
}
