import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, pipeline, Readable, type Transform } from 'node:stream';
import { createGzip } from 'node:zlib';

import { Header } from 'tar/header';
import { CompressStream } from 'zstd-napi';

import { type Descriptor, describe } from '../../src/content/descriptor.ts';
import { type Digest, Digester } from '../../src/content/digest.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import type { ContentStore } from '../../src/content/store.ts';

export type LayerCompression = 'gzip' | 'zstd' | 'none';

/** A layer that a store has, with what an image's config says about it (OCI image-spec v1.1, config.md). */
export interface Layer {
  readonly descriptor: Descriptor;
  /** The digest of the uncompressed tar. */
  readonly diffId: Digest;
  readonly createdBy: string;
}

export interface LayerOptions {
  /** Default: gzip. */
  readonly compression?: LayerCompression | undefined;
  /** Of gzip, 1 to 9. Default: 6. */
  readonly level?: number | undefined;
  /** The line of the image's history. */
  readonly createdBy?: string | undefined;
}

/** A file of a layer; with `linkpath`, a symbolic link. */
export interface LayerFile {
  readonly path: string;
  readonly content?: Uint8Array | string | undefined;
  readonly linkpath?: string | undefined;
  /** Default: 0o644. */
  readonly mode?: number | undefined;
}

const layerTypes: Readonly<Record<LayerCompression, string>> = {
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
  none: mediaTypes.ociLayer,
};

const blockBytes = 512;

/** Pushes `tar` as a layer into `store`. The compressed layer is held in memory. */
export async function makeLayer(
  store: ContentStore,
  tar: AsyncIterable<Uint8Array> | Uint8Array,
  options: LayerOptions = {},
): Promise<Layer> {
  const { compression = 'gzip', createdBy = 'made by test/support/layers.ts' } = options;
  const digester = new Digester();
  const hashed = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar instanceof Uint8Array ? [tar] : tar) {
      digester.update(chunk);
      yield chunk;
    }
  };
  const compressed = pipeline(Readable.from(hashed()), compressor(compression, options.level), () => undefined);
  const chunks: Buffer[] = [];
  for await (const chunk of compressed) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const descriptor = describe(bytes, layerTypes[compression]);
  await store.push(descriptor, Readable.from([bytes]));
  return { descriptor, diffId: digester.digest(), createdBy };
}

/** An uncompressed tar of `files`, the same bytes for the same files: owned by root, from 1970. */
export function tarOf(files: readonly LayerFile[]): Buffer {
  const parts: Buffer[] = [];
  for (const { path, content = '', linkpath, mode = 0o644 } of files) {
    const bytes = Buffer.from(content);
    const header = new Header({
      path,
      mode,
      uid: 0,
      gid: 0,
      size: bytes.byteLength,
      mtime: new Date(0),
      type: linkpath === undefined ? 'File' : 'SymbolicLink',
      ...(linkpath === undefined ? {} : { linkpath }),
    });
    if (header.encode()) throw new Error(`'${path}' does not fit into a plain tar header`);
    if (header.block === undefined) throw new Error(`'${path}' has no tar header`);
    parts.push(header.block, bytes, Buffer.alloc(-bytes.byteLength & (blockBytes - 1)));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}

export interface DebianTarOptions {
  /** Every file's time, in seconds since 1970, so that the same packages give the same bytes. */
  readonly epoch: number;
}

/** An uncompressed tar of what Debian packages (`.deb` files) install, in the order of their names. */
export async function* debianTar(packages: readonly string[], options: DebianTarOptions): AsyncGenerator<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-layer-'));
  try {
    for (const path of packages) for await (const line of run('dpkg-deb', ['-x', path, folder])) yield line;
    yield* run('tar', [
      ...['--create', '--file=-', `--directory=${folder}`, '--format=gnu', '--sort=name', `--mtime=@${options.epoch}`],
      ...['--owner=0', '--group=0', '--numeric-owner', '.'],
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a program writes to stdout. @throws Error with its stderr where it fails */
async function* run(program: string, args: readonly string[]): AsyncGenerator<Buffer> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const code = await ended;
    if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}: ${Buffer.concat(errors).toString()}`);
  } finally {
    child.kill();
  }
}

function compressor(compression: LayerCompression, level = 6): Transform {
  switch (compression) {
    case 'gzip':
      return createGzip({ level });
    case 'zstd':
      return new CompressStream({ compressionLevel: 3 });
    case 'none':
      return new PassThrough();
  }
}
