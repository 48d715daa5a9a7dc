import { Compressor } from 'zstd-napi';
import binding from 'zstd-napi/binding.js';

import { EdgeBundleError } from '../errors.ts';

const compressionLevel = 3;

const compressor = new Compressor();
// The checksum is what finds a flipped bit in bundle.json: some of them make another document that is as good as the first.
compressor.setParameters({ compressionLevel, contentSizeFlag: true, checksumFlag: true });
const decompressor = new binding.DCtx();

/** `content` as one zstd frame: the same bytes for the same content, with the same version of the library. */
export function compressFrame(content: Uint8Array): Buffer {
  return compressor.compress(content);
}

/**
 * The content of one zstd frame. No more than `contentBytes` is ever allocated, whatever the frame claims.
 *
 * @throws EdgeBundleError BUNDLE_INVALID where the frame is damaged or has another size
 */
export function decompressFrame(frame: Uint8Array, contentBytes: number): Buffer {
  const content = Buffer.allocUnsafeSlow(contentBytes);
  let bytes: number;
  try {
    bytes = decompressor.decompress(content, frame);
  } catch (cause) {
    throw new EdgeBundleError('BUNDLE_INVALID', 'a compressed frame of the bundle is damaged', { cause });
  }
  if (bytes !== contentBytes) {
    throw new EdgeBundleError('BUNDLE_INVALID', `a frame of the bundle has ${bytes} bytes; expected ${contentBytes}`);
  }
  return content;
}
