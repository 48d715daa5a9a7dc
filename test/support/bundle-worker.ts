/** Writes the bundle of `everyKind` into OUT until it has read BYTES, says so, and then waits to be killed: OUT BYTES. */
import { Readable } from 'node:stream';

import { BundleWriter } from '../../src/bundle/bundle-writer.ts';
import { everyKind, writerOptions } from './bundles.ts';
import type { Content } from './graphs.ts';

const [out = '', bytes = '0'] = process.argv.slice(2);
let left = Number(bytes);

const planned = await everyKind();
const writer = await BundleWriter.open(writerOptions(out, planned));
setInterval(() => undefined, 1_000);

async function* countedDown(content: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.byteLength; at += 10_000) {
    if (left < 0) {
      process.send?.('waiting');
      await new Promise(() => undefined);
    }
    left -= 10_000;
    yield content.subarray(at, at + 10_000);
  }
}

async function push({ descriptor, bytes: content }: Content): Promise<void> {
  const offset = await writer.resumeOffset(descriptor);
  const rest = Readable.from(countedDown(content.subarray(offset)), { objectMode: false });
  await writer.push(descriptor, rest, { offset });
}

async function pushCompressed(): Promise<void> {
  for (const content of planned.compressed) await push(content);
}

await Promise.all([pushCompressed(), ...planned.stored.map(push)]);
