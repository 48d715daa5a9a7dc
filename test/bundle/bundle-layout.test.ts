import { describe, expect, it } from 'vitest';

import { type BundleDocument, encodeBundleDocument } from '../../src/bundle/bundle-document.ts';
import { type BundleLayout, planLayout } from '../../src/bundle/bundle-layout.ts';
import { peakBundleBytes } from '../../src/bundle/ensure-space.ts';
import { archiveFiles, expectedFrames } from '../support/bundle-archive.ts';
import { everyKind } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';

const [kib, mib, gib] = [1024, 1024 ** 2, 1024 ** 3];

function layoutOf(...blobs: readonly (readonly ['stored' | 'zstd', number])[]): BundleLayout {
  const document: BundleDocument = {
    formatVersion: 1,
    name: 'sizes',
    platforms: [],
    sourceDateEpoch: 0,
    profiles: [],
    images: [],
    charts: [],
    blobs: blobs.map(([storage, size], number) => ({ digest: sha256(`blob ${number}`), size, storage })),
  };
  return planLayout(document, encodeBundleDocument(document));
}

/** Kind, content and frames of each run between `bundle.json` and the end of the archive. */
function runsOf(...blobs: readonly (readonly ['stored' | 'zstd', number])[]): unknown[] {
  return layoutOf(...blobs)
    .runs.slice(2, -1)
    .map(({ kind, contentBytes, frameCount }) => [kind, contentBytes, frameCount]);
}

describe('the layout of a bundle', () => {
  it('starts with its metadata and its signatures, and ends with the end of the archive', () => {
    const { runs, entries } = layoutOf(['stored', 5]);
    expect(runs.map(({ kind }) => kind)).toEqual(['zstd', 'stored', 'stored', 'zstd']);
    expect(entries.map(({ path }) => path).slice(0, 4)).toEqual([
      'oci-layout',
      'index.json',
      'bundle.json',
      'bundle.json.sig',
    ]);
    expect(runs.at(-1)?.contentBytes).toBe(1024);
  });

  it('gives each stored blob frames of its own, of 512 MiB at most, headers and padding included', () => {
    expect(runsOf(['stored', 0], ['stored', 1], ['stored', 512])).toEqual([
      ['stored', 512, 1],
      ['stored', 1024, 1],
      ['stored', 1024, 1],
    ]);
    expect(runsOf(['stored', 512 * mib - 512])).toEqual([['stored', 512 * mib, 1]]);
    expect(runsOf(['stored', 512 * mib - 511])).toEqual([['stored', 512 * mib + 512, 2]]);
    expect(runsOf(['stored', 512 * mib])).toEqual([['stored', 512 * mib + 512, 2]]);
    expect(runsOf(['stored', 20 * gib])).toEqual([['stored', 20 * gib + 512, 41]]);
  });

  it('gives small compressed blobs that follow each other common frames, and large ones their own', () => {
    expect(
      runsOf(['zstd', 1], ['zstd', 256 * kib], ['zstd', 256 * kib + 1], ['zstd', 0], ['stored', 0], ['zstd', 2]),
    ).toEqual([
      ['zstd', 1024 + 256 * kib + 512, 1],
      ['zstd', 256 * kib + 1024, 1],
      ['zstd', 512, 1],
      ['stored', 512, 1],
      ['zstd', 1024, 1],
    ]);
    expect(runsOf(['zstd', mib - 512], ['zstd', mib - 511], ['zstd', 2 * mib])).toEqual([
      ['zstd', mib, 1],
      ['zstd', mib + 512, 2],
      ['zstd', 2 * mib + 512, 3],
    ]);
  });

  it('is the one that docs/bundle-format.md describes, for blobs of every kind', async () => {
    const { document, contents } = await everyKind({ sourceDateEpoch: 3 });
    const files = archiveFiles(document, contents);
    const layout = planLayout(document, encodeBundleDocument(document));
    let tarOffset = 0;
    for (const [number, { path, content }] of files.entries()) {
      expect(layout.entries[number]).toMatchObject({ path, size: content.byteLength, tarOffset });
      tarOffset += 512 + content.byteLength + (-content.byteLength & 511);
    }
    const kinds = layout.runs.flatMap(({ kind, frameCount }) => new Array<string>(frameCount).fill(kind));
    expect(kinds).toEqual(expectedFrames(document, files).map(({ kind }) => kind));
    expect(layout.frameCount).toBe(kinds.length);
  });

  it.each([
    ['stored', 2 ** 52],
    ['zstd', 2 ** 52],
    ['zstd', 5 * 1024 ** 4],
  ] as const)('is refused where a %s blob of %d bytes takes more frames than a table has', async (storage, size) => {
    await expectError('UNSUPPORTED', 'at most 4194304', () => layoutOf([storage, size]));
  });
});

describe('the frames of a bundle', () => {
  it('are as many as a table has, and no more', async () => {
    // One for the metadata, one for the signatures and one for the end of the archive; a header is in the first of the blob's.
    const most = (4_194_304 - 3) * mib - 512;
    expect(layoutOf(['zstd', most]).frameCount).toBe(4_194_304);
    await expectError('UNSUPPORTED', 'take 4194305 frames', () => layoutOf(['zstd', most + 1]));
  });
});

describe('the space that a bundle can take', () => {
  it('is exact for stored blobs', () => {
    const empty = peakBundleBytes(layoutOf());
    const grownBy = (size: number): number => {
      const documentBytes = layoutOf(['stored', size]).documentBytes.byteLength - layoutOf().documentBytes.byteLength;
      const headBytes =
        Math.ceil((layoutOf().documentBytes.byteLength + documentBytes) / 512) * 512 -
        Math.ceil(layoutOf().documentBytes.byteLength / 512) * 512;
      return peakBundleBytes(layoutOf(['stored', size])) - empty - headBytes;
    };
    // Tar header, frame header, one block header, one entry of the seek table.
    expect(grownBy(0)).toBe(512 + 10 + 3 + 8);
    // 512 MiB and a tar header: two frames, 4096 blocks and one.
    expect(grownBy(512 * mib)).toBe(512 * mib + 512 + 2 * (10 + 8) + 4097 * 3);
  });

  it('is known at once for the largest bundle', () => {
    expect(peakBundleBytes(layoutOf(['zstd', 3 * 1024 ** 4]))).toBeGreaterThan(3 * 1024 ** 4);
  });
});
