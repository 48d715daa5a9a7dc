import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import type { BundleBase, BundleDocument, BundleFile } from '../../src/bundle/bundle-document.ts';
import { findIncomplete, type OpenedBundle } from '../../src/bundle/completeness.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { blob, type Content, contentsOf, image, index, sha256 } from '../support/graphs.ts';

const script = blob('#!/bin/sh\n', 'application/octet-stream');
const other = blob('something else', 'application/octet-stream');
const artifact = image([script], { artifactType: 'application/vnd.example' });

/** A bundle with one file, whose manifest is `root`, and all that is below that but what its base has. */
function bundleOf(root: Content, content: BundleFile['content'], inBase: readonly Content[] = []): OpenedBundle {
  const left = new Set(inBase.map(({ descriptor }) => descriptor.digest));
  const contents = new Map(
    contentsOf(root).flatMap((each) => (left.has(each.descriptor.digest) ? [] : [[each.descriptor.digest, each]])),
  );
  const { digest, mediaType, size } = root.descriptor;
  const blobs = inBase.map(({ descriptor }) => ({ digest: descriptor.digest, size: descriptor.size }));
  const base: BundleBase = {
    ...{ name: 'core', digest: sha256('base'), images: [], charts: [], attachments: [], blobs },
  };
  const document: BundleDocument = {
    ...{ formatVersion: 1, name: 'x', platforms: [], sourceDateEpoch: 0, profiles: [], images: [], charts: [] },
    files: [{ name: 'setup.sh', executable: true, reference: 'localhost/files', digest, mediaType, size, content }],
    ...(inBase.length === 0 ? {} : { base }),
    blobs: [],
  };
  return {
    document,
    exists: (target) => Promise.resolve(contents.get(target.digest)?.descriptor.size === target.size),
    fetch: (target) => {
      const found = contents.get(target.digest);
      if (found === undefined) return Promise.reject(new EdgeBundleError('NOT_FOUND', target.digest));
      return Promise.resolve(Readable.from([found.bytes]));
    },
  };
}

function contentOf({ descriptor: { digest, size } }: Content): BundleFile['content'] {
  return { digest, size };
}

async function reasons(bundle: OpenedBundle): Promise<readonly string[]> {
  return (await findIncomplete(bundle)).map(({ message }) => message);
}

describe('a file of a bundle', () => {
  it('is complete where its manifest has it as its one layer', async () => {
    expect(await reasons(bundleOf(artifact, contentOf(script)))).toEqual([]);
  });

  it.each([
    ['another file', artifact, contentOf(other)],
    ['the file in another size', artifact, { ...contentOf(script), size: script.descriptor.size + 1 }],
    ['another digest of the same size', artifact, { ...contentOf(script), digest: sha256('x') }],
    ['two layers', image([script, other], { artifactType: 'application/vnd.example' }), contentOf(script)],
    ['no layer', image([], { artifactType: 'application/vnd.example' }), contentOf(script)],
    ['an index with its manifest', index([artifact]), contentOf(script)],
  ])('is refused where its manifest has %s', async (_, root, content) => {
    expect(await reasons(bundleOf(root, content))).toEqual([
      "the manifest of the file 'setup.sh' does not have it as its one layer",
    ]);
  });

  it('is not left to the base of a delta: where it is taken out, no base is at hand', async () => {
    const [reason, ...more] = await reasons(bundleOf(artifact, contentOf(script), [script]));
    expect(reason).toContain(`needs ${script.descriptor.digest}, which is not in the bundle`);
    expect(more).toEqual([]);
  });
});
