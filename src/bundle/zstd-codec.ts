import { createRequire } from 'node:module';
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';

import type * as Addon from 'zstd-napi';
import type * as Binding from 'zstd-napi/binding.js';

import { EdgeBundleError } from '../errors.ts';

const compressionLevel = 3;

/** One implementation of zstd. Both there are have the same library, and are held to the same tests. */
export interface ZstdCodec {
  /** @see compressFrame */
  readonly compress: (content: Uint8Array) => Buffer;
  /** The content of all of `frame`, at most `maxBytes` of it. @throws where it is damaged, cut off, or has more */
  readonly decompress: (frame: Uint8Array, maxBytes: number) => Uint8Array;
  /** @see decompressStream */
  readonly decompressStream: () => Transform;
}

/** The addon; undefined where it is not installed, as on a host, or was not compiled. */
export function addonCodec(): ZstdCodec | undefined {
  let addon: typeof Addon;
  let binding: typeof Binding;
  try {
    const require = createRequire(import.meta.url);
    addon = require('zstd-napi') as typeof Addon;
    binding = require('zstd-napi/binding.js') as typeof Binding;
  } catch {
    return undefined;
  }
  const compressor = new addon.Compressor();
  // The checksum is what finds a flipped bit in bundle.json: some of them make another document that is as good as the first.
  compressor.setParameters({ compressionLevel, contentSizeFlag: true, checksumFlag: true });
  const decompressor = new binding.DCtx();
  return {
    compress: (content) => compressor.compress(content),
    decompress(frame, maxBytes) {
      const content = Buffer.allocUnsafeSlow(maxBytes);
      return content.subarray(0, decompressor.decompress(content, frame));
    },
    decompressStream: () => new addon.DecompressStream(),
  };
}

/** What Node.js has from 22.15 on; its types here are those of the oldest version that is supported. */
interface ZlibWithZstd {
  readonly constants: Readonly<Record<string, unknown>>;
  readonly zstdCompressSync?: (
    content: Uint8Array,
    options: ZstdOptions & { readonly pledgedSrcSize: number },
  ) => Buffer;
  readonly zstdDecompressSync?: (
    frame: Uint8Array,
    options: { readonly chunkSize: number; readonly maxOutputLength: number },
  ) => Buffer;
  readonly createZstdDecompress?: () => Transform;
}

interface ZstdOptions {
  readonly params: Readonly<Record<number, number>>;
}

const minChunkBytes = 64;

/** The one of Node.js; undefined where it is older than 22.15. */
function nodeCodec(): ZstdCodec | undefined {
  const { zstdCompressSync, zstdDecompressSync, createZstdDecompress, constants }: ZlibWithZstd = zlib;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined || createZstdDecompress === undefined) {
    return undefined;
  }
  const params = {
    [Number(constants.ZSTD_c_compressionLevel)]: compressionLevel,
    [Number(constants.ZSTD_c_contentSizeFlag)]: 1,
    [Number(constants.ZSTD_c_checksumFlag)]: 1,
  };
  return {
    compress: (content) => zstdCompressSync(content, { params, pledgedSrcSize: content.byteLength }),
    decompress(frame, maxBytes) {
      const chunkSize = Math.max(minChunkBytes, maxBytes);
      return zstdDecompressSync(frame, { chunkSize, maxOutputLength: Math.max(1, maxBytes) });
    },
    decompressStream: () => createZstdDecompress(),
  };
}

let chosen: ZstdCodec | undefined;

function codec(): ZstdCodec {
  chosen ??= addonCodec() ?? nodeCodec();
  if (chosen !== undefined) return chosen;
  throw new EdgeBundleError(
    'UNSUPPORTED',
    `there is no zstd: Node.js ${process.version} has none, nor is zstd-napi there`,
    {
      hint: 'Run scripts/setup, which compiles zstd-napi, or use Node.js 22.15 or newer.',
    },
  );
}

/**
 * Gives the content of the frame that is written to it, as it comes; whoever reads it bounds how much. What stands behind the
 * frame may follow or not: the addon goes on there, and Node.js ends.
 */
export function decompressStream(): Transform {
  return codec().decompressStream();
}

/** `content` as one zstd frame: the same bytes for the same content, with the same version of the library. */
export function compressFrame(content: Uint8Array): Buffer {
  return codec().compress(content);
}

/**
 * The content of one zstd frame. No more than `contentBytes` is ever given, whatever the frame claims.
 *
 * @throws EdgeBundleError BUNDLE_INVALID where the frame is damaged or has another size
 */
export function decompressFrame(frame: Uint8Array, contentBytes: number): Buffer {
  const { decompress } = codec();
  let content: Uint8Array;
  try {
    content = decompress(frame, contentBytes);
  } catch (cause) {
    throw new EdgeBundleError('BUNDLE_INVALID', 'a compressed frame of the bundle is damaged', { cause });
  }
  if (content.byteLength !== contentBytes) {
    throw new EdgeBundleError(
      'BUNDLE_INVALID',
      `a frame of the bundle has ${content.byteLength} bytes; expected ${contentBytes}`,
    );
  }
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}
