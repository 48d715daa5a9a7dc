/** Parsers of files and of what registries answer. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { compress } from 'zstd-napi';

import { decodeBundleDocument } from '../../src/bundle/bundle-document.ts';
import { BuildJournal } from '../../src/bundle/build-journal.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { decodePartList, encodePartList } from '../../src/bundle/part-list.ts';
import { decodeSeekTable, seekTableFooterBytes, seekTableSize } from '../../src/bundle/seek-table.ts';
import { decodeSignatureFile } from '../../src/bundle/signature-file.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import type { Digest } from '../../src/content/digest.ts';
import { detectManifestType, parseManifest, successors } from '../../src/content/manifest.ts';
import { readContent } from '../../src/content/verify.ts';
import { isEdgeBundleError } from '../../src/errors.ts';
import { readArchive } from '../../src/files/read-archive.ts';
import { LoadJournal } from '../../src/loader/load-journal.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { readLock } from '../../src/resolve/lock-file.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import {
  archiveFiles,
  expectedFrames,
  rawFrame,
  seekTable,
  signatureFile,
  tarArchive,
} from '../support/bundle-archive.ts';
import { smallBundle } from '../support/bundles.ts';
import { image, index, sha256 } from '../support/graphs.ts';
import type { FuzzTarget } from './run-target.ts';

const digest: Digest = `sha256:${'a'.repeat(64)}`;

export interface BinaryTargets {
  readonly targets: readonly FuzzTarget[];
  close(): Promise<void>;
}

export async function openBinaryTargets(): Promise<BinaryTargets> {
  const folder = mkdtempSync(join(tmpdir(), 'edge-bundle-fuzz-'));
  const answers = await startAnswering();
  return {
    targets: [...(await bundleTargets(folder)), ...contentTargets(folder), ...journalTargets(folder), answers.target],
    close: async () => {
      await answers.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function bundleTargets(folder: string): Promise<FuzzTarget[]> {
  const { document, contents } = await smallBundle();
  const documentBytes = Buffer.from(JSON.stringify(document));
  const signature = `signature ed25519 ${digest} ${Buffer.alloc(64, 3).toString('base64')}`;
  const signatures = signatureFile(documentBytes, [signature]);
  const frames = expectedFrames(document, archiveFiles(document, contents, [signature])).map(({ kind, content }) => {
    const bytes = kind === 'stored' ? rawFrame(content) : compress(content);
    return { bytes, sizes: [bytes.byteLength, content.byteLength] as const };
  });
  const table = seekTable(frames.map(({ sizes }) => sizes));
  const file = Buffer.concat([...frames.map(({ bytes }) => bytes), table]);
  const list = encodePartList({
    bundle: 'core-a-0123456789abcdef.tar.zst',
    id: '0123456789abcdef',
    size: 7,
    parts: [4, 3].map((size, number) => ({
      name: `core-a-0123456789abcdef.tar.zst_part0${number}`,
      size,
      sha256: 'b'.repeat(64),
    })),
  });
  const path = join(folder, 'core-fuzz.tar.zst');
  return [
    { name: 'bundle.json', seeds: [documentBytes], parse: decodeBundleDocument },
    {
      name: 'bundle.json.sig',
      seeds: [signatures],
      parse: (input) => decodeSignatureFile(input, sha256(documentBytes)),
    },
    {
      name: 'seek table',
      seeds: [table, seekTable([]), seekTable([[16_397, 16_384]])],
      parse: (input) =>
        seekTableSize(input.subarray(-seekTableFooterBytes)) === undefined ? undefined : decodeSeekTable(input),
    },
    { name: 'list of parts', seeds: [list], parse: (input) => decodePartList(input, 'list') },
    {
      name: 'bundle file',
      seeds: [file],
      share: 4,
      parse: async (input) => {
        await writeFile(path, input);
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
}

function contentTargets(folder: string): FuzzTarget[] {
  const manifest = image([]);
  const list = index([manifest]);
  const tar = tarArchive(
    [
      { path: 'chart/Chart.yaml', content: Buffer.from('name: chart\n') },
      { path: 'chart/templates/a.yaml', content: Buffer.from('kind: Pod\n') },
    ],
    0,
  );
  const layout = join(folder, 'layout');
  mkdirSync(layout);
  return [
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
      parse: (input) => readArchive(gzipSync(input, { level: 1 }), { where: 'archive', maxBytes: 8 * 1024 * 1024 }),
    },
    {
      name: 'tar.gz',
      seeds: [gzipSync(tar)],
      parse: (input) => readArchive(input, { where: 'archive', maxBytes: 8 * 1024 * 1024 }),
    },
    {
      name: 'index.json of a folder',
      seeds: [
        Buffer.from(
          JSON.stringify({
            schemaVersion: 2,
            manifests: [{ ...manifest.descriptor, annotations: { 'org.opencontainers.image.ref.name': 'a/b:1' } }],
          }),
        ),
      ],
      share: 4,
      parse: async (input) => {
        await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
        await writeFile(join(layout, 'index.json'), input);
        const store = await LayoutStore.open(layout);
        return store.resolve('a/b:1');
      },
    },
  ];
}

function journalTargets(folder: string): FuzzTarget[] {
  const build = [
    { bundle: digest, start: 5, bootId: 'x' },
    { blob: digest, bytes: 5 },
    { blob: digest, frame: 7 },
    { blob: digest, done: true },
    { blob: digest, discarded: true },
  ];
  const load = [
    { journal: 1, bundle: digest, registry: 'a:1', project: 'p', packsProject: 'q' },
    { image: digest, repository: 'p/a', complete: true },
    { blob: digest, repository: 'p/a', location: 'https://a:1/v2/p/a/blobs/uploads/x' },
    { blob: digest, repository: 'p/a', ended: true },
  ];
  const lines = (values: readonly unknown[]): Buffer =>
    Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
  const [buildPath, loadFolder, lockPath] = [join(folder, 'build.journal'), join(folder, 'load'), join(folder, 'lock')];
  mkdirSync(loadFolder);
  const subject = { bundle: digest, registry: 'a:1', project: 'p', packsProject: 'q' };
  let loadPath: string | undefined;
  return [
    {
      name: 'journal of a build',
      seeds: [lines(build)],
      share: 10,
      parse: async (input) => {
        await writeFile(buildPath, input);
        const journal = await BuildJournal.open(buildPath, { bundle: digest, start: 5 });
        journal.progressOf(digest);
        await journal.close();
      },
    },
    {
      name: 'journal of a load',
      seeds: [lines(load)],
      share: 10,
      parse: async (input) => {
        loadPath ??= await pathOfLoadJournal(loadFolder, subject);
        await writeFile(loadPath, input);
        const journal = await LoadJournal.open(loadFolder, subject, { onLost: () => undefined });
        journal.isComplete('p/a', digest);
        await journal.close();
      },
    },
    {
      name: 'lock file of images',
      seeds: [Buffer.from(JSON.stringify({ version: 1, digests: { 'docker.io/a/b:1': digest } }))],
      share: 4,
      parse: async (input) => {
        await writeFile(lockPath, input);
        return readLock(lockPath);
      },
    },
  ];
}

async function pathOfLoadJournal(folder: string, subject: Parameters<typeof LoadJournal.open>[1]): Promise<string> {
  const { readdirSync } = await import('node:fs');
  await (await LoadJournal.open(folder, subject, { onLost: () => undefined })).close();
  const name = readdirSync(folder).find((file) => file.endsWith('.journal'));
  if (name === undefined) throw new Error('there is no journal');
  return join(folder, name);
}

/** A registry whose every answer, headers and body, is an input: the error bodies, `Link`, `Content-Range`, tokens, lists. */
async function startAnswering(): Promise<{ target: FuzzTarget; close(): Promise<void> }> {
  let answer: Buffer = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${portOf(server)}`;
  const client = new RegistryClient({
    plainHttp: 'all',
    retries: 0,
    credentials: new FixedCredentials(host, { username: 'a', password: 'pass' }),
  });
  const repository = client.repository(host, 'a/b');
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256('hello'), size: 5 };
  const { bytes: manifest, descriptor } = image([]);
  const operations: readonly (() => Promise<unknown>)[] = [
    () => client.ping(host),
    () => repository.resolve('1'),
    () => repository.tags(),
    () => readContent(repository, descriptor),
    () => readContent(repository, layer),
    async () => (await repository.fetch(layer, { range: { start: 1, end: 3 } })).resume(),
    () => repository.referrers(descriptor),
  ];
  const withBody = (head: readonly string[], body: Buffer | string): Buffer =>
    Buffer.concat([
      Buffer.from(`${[...head, `Content-Length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n`),
      Buffer.from(body),
    ]);
  const json = 'Content-Type: application/json';
  const seeds = [
    withBody(
      ['HTTP/1.1 404 Not Found', json],
      '{"errors":[{"code":"NAME_UNKNOWN","message":"not known","detail":{"name":"a/b"}}]}',
    ),
    withBody(['HTTP/1.1 403 Forbidden', json, 'X-Request-ID: 1'], '{"errors":[{"code":"DENIED","message":"quota"}]}'),
    withBody(
      ['HTTP/1.1 500 Internal Server Error', 'Content-Type: text/html'],
      '<html><head><title>x</title></head><body>oops</body></html>',
    ),
    withBody(
      ['HTTP/1.1 200 OK', json, `Link: <http://${host}/v2/a/b/tags/list?n=1&last=a>; rel="next"`],
      '{"name":"a/b","tags":["a","b"]}',
    ),
    withBody(
      ['HTTP/1.1 200 OK', `Content-Type: ${descriptor.mediaType}`, `Docker-Content-Digest: ${descriptor.digest}`],
      manifest,
    ),
    withBody(['HTTP/1.1 206 Partial Content', 'Content-Range: bytes 1-2/5', 'ETag: "x"'], 'el'),
    withBody(['HTTP/1.1 200 OK', 'Accept-Ranges: bytes'], 'hello'),
    withBody(
      [
        'HTTP/1.1 401 Unauthorized',
        `WWW-Authenticate: Bearer realm="http://${host}/token",service="s",scope="repository:a/b:pull"`,
      ],
      '',
    ),
    withBody(
      ['HTTP/1.1 200 OK', json],
      '{"token":"x","access_token":"","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}',
    ),
    withBody(
      ['HTTP/1.1 200 OK', 'Content-Type: application/vnd.oci.image.index.v1+json'],
      JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }),
    ),
    withBody(['HTTP/1.1 307 Temporary Redirect', `Location: http://${host}/elsewhere`], ''),
    withBody(['HTTP/1.1 429 Too Many Requests', 'Retry-After: 1'], ''),
    Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  ];
  return {
    target: {
      name: 'answers of a registry',
      seeds,
      share: 10,
      parse: async (input) => {
        answer = input;
        // What is right for one of them is wrong for the others.
        const results = await Promise.allSettled(operations.map((operation) => operation()));
        const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
        const untyped = failures.find((failure) => !isEdgeBundleError(failure));
        if (untyped !== undefined || failures.length === operations.length) throw untyped ?? failures[0];
      },
    },
    close: async () => {
      await client.close();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('there is no port');
  return address.port;
}
