/** Parsers of content: manifests, archives, and what a run left for the next one. */
import { gzipSync } from 'node:zlib';

import { decodeBuildJournal } from '../../src/bundle/build-journal.ts';
import type { Digest } from '../../src/content/digest.ts';
import { detectManifestType, parseManifest, successors } from '../../src/content/manifest.ts';
import { readArchive } from '../../src/files/read-archive.ts';
import { decodeLoadJournal } from '../../src/loader/load-journal.ts';
import { parseLock } from '../../src/resolve/lock-file.ts';
import { parseIndex } from '../../src/store/layout-index.ts';
import { tarArchive } from '../support/bundle-archive.ts';
import { blob, image, index } from '../support/graphs.ts';
import type { FuzzTarget } from './run-target.ts';

const digest: Digest = `sha256:${'a'.repeat(64)}`;
const subject = { bundle: digest, registry: 'a:1', project: 'p', packsProject: 'q' };
const maxBytes = 8 * 1024 * 1024;

const manifest = image([blob('layer', 'application/vnd.oci.image.layer.v1.tar+gzip')], { annotations: { a: 'b' } });
const list = index([manifest]);
const tar = tarArchive(
  [
    { path: 'chart/Chart.yaml', content: Buffer.from('name: chart\n') },
    { path: 'chart/templates/a.yaml', content: Buffer.from('kind: Pod\n') },
  ],
  0,
);

export const contentTargets: readonly FuzzTarget[] = [
  ...[manifest, list].map(({ bytes, descriptor }): FuzzTarget => ({
    name: `manifest ${descriptor.mediaType}`,
    seeds: [bytes],
    parse: (input) => {
      detectManifestType(input);
      return successors(parseManifest(input, { ...descriptor, size: input.byteLength }));
    },
  })),
  {
    name: 'tar',
    seeds: [tar],
    parse: (input) => readArchive(gzipSync(input, { level: 1 }), { where: 'archive', maxBytes }),
  },
  { name: 'tar.gz', seeds: [gzipSync(tar)], parse: (input) => readArchive(input, { where: 'archive', maxBytes }) },
  {
    name: 'index.json of a folder',
    seeds: [
      json({
        schemaVersion: 2,
        manifests: [{ ...manifest.descriptor, annotations: { 'org.opencontainers.image.ref.name': 'a/b:1' } }],
      }),
    ],
    parse: (input) => parseIndex(input.toString('utf8'), 'index.json'),
  },
  {
    name: 'journal of a build',
    seeds: [
      lines([
        { bundle: digest, start: 5, bootId: 'x' },
        { blob: digest, bytes: 5 },
        { blob: digest, frame: 7 },
        { blob: digest, done: true },
        { blob: digest, discarded: true },
        { blob: digest, bytes: 6 },
      ]),
    ],
    parse: (input) => decodeBuildJournal(input.toString('utf8'), { bundle: digest, start: 5 }),
    isRefusal: (earlier) => earlier === undefined,
  },
  {
    name: 'journal of a load',
    seeds: [
      lines([
        { journal: 1, ...subject },
        { image: digest, repository: 'p/a', complete: true },
        { blob: digest, repository: 'p/a', location: 'https://a:1/v2/p/a/blobs/uploads/x' },
        { blob: digest, repository: 'p/a', ended: true },
      ]),
    ],
    parse: (input) => decodeLoadJournal(input.toString('utf8'), subject),
    isRefusal: (records) => Array.isArray(records) && records.length === 0,
  },
  {
    name: 'lock file of images',
    seeds: [json({ version: 1, digests: { 'docker.io/a/b:1': digest } }), lock()],
    parse: (input) => parseLock(input.toString('utf8'), 'lock'),
  },
];

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function lines(values: readonly unknown[]): Buffer {
  return Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
}

function lock(): Buffer {
  return Buffer.from(`# What each reference stood for.\nversion: 1\ndigests:\n  docker.io/a/b:1: ${digest}\n`);
}
