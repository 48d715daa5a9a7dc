/** Keeps the first half of a blob in a cache, says so, and then waits for ever: FOLDER SIZE_BYTES. */
import { BlobCache } from '../../src/store/blob-cache.ts';
import { blob, noise } from './graphs.ts';

const [folder = '', sizeBytes = '0'] = process.argv.slice(2);

const { descriptor, bytes } = blob(noise(Number(sizeBytes), 'hanging'));
const cache = await BlobCache.open(folder);
const file = await cache.begin(descriptor);
await file?.write([bytes.subarray(0, bytes.byteLength / 2)]);
setInterval(() => undefined, 1_000);
process.send?.('half of it');
