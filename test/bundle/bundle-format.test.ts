import { readFile } from 'node:fs/promises';

import { beforeAll, describe, expect, it } from 'vitest';

import { decodeBundleDocument, maxDocumentBytes } from '../../src/bundle/bundle-document.ts';
import {
  compressedFrameContentBytes,
  maxCompressedFrameBytes,
  packedBlobBytes,
  storedFrameContentBytes,
} from '../../src/bundle/bundle-layout.ts';
import { maxFrames } from '../../src/bundle/seek-table.ts';
import { maxSignatures, signatureFileBytes } from '../../src/bundle/signature-file.ts';
import { runProgram } from '../support/run-program.ts';

const [kib, mib] = [1024, 1024 * 1024];

let documentation: string;

beforeAll(async () => {
  documentation = await readFile(new URL('../../docs/bundle-format.md', import.meta.url), 'utf8');
});

describe('docs/bundle-format.md', () => {
  it('has an example of bundle.json that is accepted on one line', () => {
    const example = /```json\n([^`]*)```/.exec(documentation)?.[1] ?? '';
    const document = decodeBundleDocument(Buffer.from(JSON.stringify(JSON.parse(example))));
    expect(document.blobs.map(({ storage }) => storage)).toEqual(['zstd', 'stored']);
  });

  it('has an example of a stored frame that zstd decompresses', () => {
    const example = /^ +(28b52ffd [0-9a-f ]+)$/m.exec(documentation)?.[1] ?? '';
    const frame = Buffer.from(example.replaceAll(' ', ''), 'hex');
    expect(runProgram('zstd', ['-dc'], { input: frame }).toString()).toBe('hello');
  });

  it('states the sizes that the program has', () => {
    expect(documentation).toContain('at most 256 KiB');
    expect(packedBlobBytes).toBe(256 * kib);
    expect(documentation).toContain('cut after each 1 MiB of its content, a stored run after each 512 MiB');
    expect([compressedFrameContentBytes, storedFrameContentBytes]).toEqual([mib, 512 * mib]);
    expect(documentation).toContain('1 MiB + 64 KiB');
    expect(maxCompressedFrameBytes).toBe(mib + 64 * kib);
    expect(documentation).toContain('15,872 bytes');
    expect(signatureFileBytes).toBe(15_872);
    expect(documentation).toContain('at most 16 signatures');
    expect(maxSignatures).toBe(16);
    expect(documentation).toContain('4,194,304 frames');
    expect(maxFrames).toBe(4_194_304);
    expect(documentation).toContain('16 MiB');
    expect(maxDocumentBytes).toBe(16 * mib);
  });
});
