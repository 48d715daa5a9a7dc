/** Pushes and tags images in a layout that other processes write to at the same time: FOLDER NAME ROUNDS. */
import { Readable } from 'node:stream';

import { mediaTypes } from '../../src/content/media-types.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { blob, image, noise, pushAll } from './graphs.ts';

const [folder = '', name = '', rounds = '0'] = process.argv.slice(2);

const store = await LayoutStore.open(folder);
process.send?.('ready');
for (let round = 0; round < Number(rounds); round += 1) {
  const common = blob(noise(20_000, `common ${round}`), mediaTypes.ociLayer);
  const own = blob(noise(3_000, `${name} ${round}`), mediaTypes.ociLayer);
  const root = image([common, own]);
  await Promise.all([common, own].map(({ descriptor, bytes }) => store.push(descriptor, Readable.from([bytes]))));
  await pushAll(store, root, image([own], { artifactType: 'application/vnd.example.note', subject: root }));
  await Promise.all([store.tag(root.descriptor, `${name}-${round}`), store.tag(root.descriptor, `latest-${round}`)]);
}
process.disconnect();
