/** Keeps blobs in a cache that other processes use at the same time, and reads them back: FOLDER NAME ROUNDS MAX_BYTES. */
import { Readable } from 'node:stream';

import { readContent } from '../../src/content/verify.ts';
import { isEdgeBundleError } from '../../src/errors.ts';
import { BlobCache } from '../../src/store/blob-cache.ts';
import { blob, noise } from './graphs.ts';

const [folder = '', name = '', rounds = '0', maxBytes = '0'] = process.argv.slice(2);

const cache = await BlobCache.open(folder, { maxBytes: Number(maxBytes) });
for (let round = 0; round < Number(rounds); round += 1) {
  for (const seed of [`common ${round}`, `${name} ${round}`]) {
    const { descriptor, bytes } = blob(noise(20_000, seed));
    await cache.push(descriptor, Readable.from([bytes.subarray(0, 9_000), bytes.subarray(9_000)]));
    // It verifies what it reads; what another process has evicted meanwhile is not there.
    await readContent(cache, descriptor).catch((error: unknown) => {
      if (!isEdgeBundleError(error, 'NOT_FOUND', 'FILE_FAILED')) throw error;
    });
  }
}
process.disconnect();
