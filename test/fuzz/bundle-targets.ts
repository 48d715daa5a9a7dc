/** Parsers of what is in a bundle, and of what lies beside one. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { compress } from 'zstd-napi';

import { decodeBundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { decodePartList } from '../../src/bundle/part-list.ts';
import { decodeSeekTable, seekTableFooterBytes, seekTableSize } from '../../src/bundle/seek-table.ts';
import { decodeSignatureFile } from '../../src/bundle/signature-file.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { archiveFiles, expectedFrames, rawFrame, seekTable, signatureFile } from '../support/bundle-archive.ts';
import { smallBundle } from '../support/bundles.ts';
import { sha256 } from '../support/graphs.ts';
import type { FuzzTarget } from './run-target.ts';

/** Files in memory, where there is such a place: a disk is slow for a hundred thousand of them. */
const memoryFolder = '/dev/shm';

export async function bundleTargets(): Promise<{ readonly targets: readonly FuzzTarget[]; close(): void }> {
  const folder = mkdtempSync(join(existsSync(memoryFolder) ? memoryFolder : tmpdir(), 'edge-bundle-fuzz-'));
  const { document, contents } = await smallBundle();
  const documentBytes = Buffer.from(JSON.stringify(document));
  const signature = `signature ed25519 sha256:${'a'.repeat(64)} ${Buffer.alloc(64, 3).toString('base64')}`;
  const frames = expectedFrames(document, archiveFiles(document, contents, [signature])).map(({ kind, content }) => {
    const bytes = kind === 'stored' ? rawFrame(content) : compress(content);
    return { bytes, sizes: [bytes.byteLength, content.byteLength] as const };
  });
  const table = seekTable(frames.map(({ sizes }) => sizes));
  const path = join(folder, 'core-fuzz.tar.zst');
  const targets: FuzzTarget[] = [
    { name: 'bundle.json', seeds: [documentBytes], parse: decodeBundleDocument },
    {
      name: 'bundle.json.sig',
      seeds: [signatureFile(documentBytes, [signature])],
      parse: (input) => decodeSignatureFile(input, sha256(documentBytes)),
    },
    {
      name: 'seek table',
      seeds: [table, seekTable([]), seekTable([[16_397, 16_384]])],
      parse: (input) =>
        seekTableSize(input.subarray(-seekTableFooterBytes)) === undefined ? undefined : decodeSeekTable(input),
      isRefusal: (frames) => frames === undefined,
    },
    { name: 'list of parts', seeds: [partList()], parse: (input) => decodePartList(input, 'list') },
    {
      name: 'bundle file',
      seeds: [Buffer.concat([...frames.map(({ bytes }) => bytes), table])],
      parse: async (input) => {
        writeFileSync(path, input);
        const bundle = await BundleReader.open(path);
        try {
          const { failures } = await verifyBundle(bundle);
          if (failures[0] !== undefined) throw failures[0];
        } finally {
          await bundle.close();
        }
      },
    },
  ];
  return { targets, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** As docs/bundle-format.md has it. */
function partList(): Buffer {
  const bundle = 'core-a-0123456789abcdef.tar.zst';
  const parts = [4, 3].map((size, number) => ({
    name: `${bundle}_part0${number}`,
    size,
    sha256: 'b'.repeat(64),
  }));
  return Buffer.from(`${JSON.stringify({ bundle, id: '0123456789abcdef', size: 7, parts })}\n`);
}
