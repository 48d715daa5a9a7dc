import { expect, it } from 'vitest';

import { collectGraph } from '../../src/content/graph.ts';
import { bundleTree } from '../../src/report/bundle-contents.ts';
import { formatTree } from '../../src/report/tree.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, image, index, pushAll } from '../support/graphs.ts';

it('the tree of a bundle shows what is below a manifest once, however often indexes name it', async () => {
  let root = index([image([blob('layer')])]);
  for (let depth = 0; depth < 3; depth += 1) root = index(Array.from({ length: 50 }, () => root));
  const store = new MemoryStore();
  await pushAll(store, root);
  const { digest, mediaType, size } = root.descriptor;
  const content = { reference: 'docker.io/library/app:1', digest, mediaType, size, sources: [] };
  const graph = await collectGraph(store, root.descriptor);
  const lines = formatTree(bundleTree('bundle', [{ content, graph }]))
    .trimEnd()
    .split('\n');
  // The bundle and the image; 50 entries each of three indexes; the innermost index's image, with config and layer.
  expect(lines).toHaveLength(2 + 3 * 50 + 3);
});
