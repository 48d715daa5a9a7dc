import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { BundleBase } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { type BundleVerification, verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { readContent } from '../../src/content/verify.ts';
import { planBundle, type PlannedBundle, writeBundle } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, type Content, image, noise, sha256 } from '../support/graphs.ts';

const [old, fresh, other] = ['old', 'new', 'other'].map((seed) => blob(noise(5000, seed), mediaTypes.ociLayerGzip)) as [
  Content,
  Content,
  Content,
];
const app = image([old, fresh]);

let out: string;

beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'edge-bundle-delta-'));
});

afterEach(async () => {
  await rm(out, { recursive: true, force: true });
});

function baseOf(blobs: readonly Content[]): BundleBase {
  return {
    ...{ name: 'core', digest: sha256('bundle.json of the base'), images: [], charts: [], attachments: [] },
    blobs: blobs.map(({ descriptor: { digest, size } }) => ({ digest, size })),
  };
}

/** A bundle of `app` that leaves `blobs` to its base. */
async function planDelta(blobs: readonly Content[], base = baseOf(blobs)): Promise<PlannedBundle> {
  const planned = await planBundle({ 'docker.io/library/app:1': app });
  const left = new Set(blobs.map(({ descriptor }) => descriptor.digest));
  const isKept = ({ descriptor: { digest } }: Content): boolean => !left.has(digest);
  const kept = planned.document.blobs.filter(({ digest }) => !left.has(digest));
  return {
    ...planned,
    document: { ...planned.document, blobs: kept, base },
    contents: planned.contents.filter(isKept),
    stored: planned.stored.filter(isKept),
  };
}

async function verify(planned: PlannedBundle): Promise<BundleVerification> {
  const bundle = await BundleReader.open(await writeBundle(out, planned));
  try {
    return await verifyBundle(bundle);
  } finally {
    await bundle.close();
  }
}

describe('a delta', () => {
  it('is complete with what it expects of its base', async () => {
    const planned = await planDelta([old]);
    const { failures, base, blobs } = await verify(planned);
    expect(failures).toEqual([]);
    expect(base).toEqual(planned.document.base);
    // Manifest, config and the layer that is new.
    expect(blobs).toBe(3);
  });

  it('says of content that only its base has where that is', async () => {
    const bundle = await BundleReader.open(await writeBundle(out, await planDelta([old])));
    try {
      expect(await bundle.exists(old.descriptor)).toBe(false);
      const error = await expectError('NOT_FOUND', `in its base 'core' (${sha256('bundle.json of the base')})`, () =>
        readContent(bundle, old.descriptor),
      );
      expect(error.hint).toContain('load its base first');
      const unknown = await expectError('NOT_FOUND', '', () => readContent(bundle, other.descriptor));
      expect(unknown.message).toMatch(/is not in bundle [0-9a-f]{16}$/);
    } finally {
      await bundle.close();
    }
  });

  it.each([
    ['a blob that neither has', [old, fresh], [old], 'CONTENT_MISSING', `${fresh.descriptor.digest}, which is not in`],
    ['a base blob that nothing needs', [old], [old, other], 'BUNDLE_INVALID', `${other.descriptor.digest} is expected`],
    ['a manifest that only its base has', [old, app], [old, app], 'NOT_FOUND', 'in its base'],
  ] as const)('is refused with %s', async (_, left, named, code, message) => {
    const { failures } = await verify(await planDelta(left, baseOf(named)));
    expect(failures.map((failure) => failure.code)).toEqual([code]);
    expect(failures[0]?.message).toContain(message);
  });

  it('is refused where a base blob has another size than its image says', async () => {
    const wrong = { ...old, descriptor: { ...old.descriptor, size: 4999 } };
    const { failures } = await verify(await planDelta([old], baseOf([wrong])));
    expect(failures.map(({ code }) => code)).toEqual(['CONTENT_MISSING']);
  });
});
