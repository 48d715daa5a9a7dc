/** Pushes the first half of a blob into a layout, says so, and then waits for ever: FOLDER SIZE_BYTES. */
import { Readable } from 'node:stream';

import { LayoutStore } from '../../src/store/layout-store.ts';
import { blob, noise } from './graphs.ts';

const [folder = '', sizeBytes = '0'] = process.argv.slice(2);

const { descriptor, bytes } = blob(noise(Number(sizeBytes), 'hanging'));
const store = await LayoutStore.open(folder);
const half = bytes.subarray(0, bytes.byteLength / 2);
let isTaken = false;
const content = new Readable({
  read() {
    if (isTaken) process.send?.('half of it');
    else this.push(half);
    isTaken = true;
  },
});
setInterval(() => undefined, 1_000);
await store.push(descriptor, content);
