/** What a registry, or a bundle, can say to do harm: it is bounded and refused, by the real commands. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { runInProcess } from '../cli/run-cli.ts';
import { signatureFile } from '../support/bundle-archive.ts';
import { type PlannedBundle, smallBundle } from '../support/bundles.ts';
import { craftBundle } from '../support/crafted-bundle.ts';
import { blob, image, sha256 } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const digestOf = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** What is served: by tag or digest, its type and its text. */
const served = new Map<string, { readonly type: string; readonly text: string }>();
let server: Server;
let host: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const reference = decodeURIComponent((request.url ?? '').split('/').at(-1) ?? '');
    const found = served.get(reference);
    if (request.url === '/v2/') return void response.end('{}');
    if (found === undefined || request.url?.includes('/referrers/') === true) return void response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': found.type, 'Content-Length': Buffer.byteLength(found.text) });
    response.end(request.method === 'HEAD' ? undefined : found.text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function serve(tag: string, type: string, text: string): { mediaType: string; digest: string; size: number } {
  const descriptor = { mediaType: type, digest: digestOf(text), size: Buffer.byteLength(text) };
  for (const reference of [tag, descriptor.digest]) served.set(reference, { type, text });
  return descriptor;
}

/** Builds a bundle of the image, which has to fail: and leaves no bundle. */
async function refused(tag: string): Promise<string> {
  const folder = await temporaryFolder();
  const list = join(folder, 'images.txt');
  await writeFile(list, `${host}/team/app:${tag}\n`);
  const out = join(folder, 'out');
  const { exitCode, stderr } = await runInProcess(['build', list, '--plain-http', '--out', out, '--retries', '0']);
  expect(exitCode, stderr).toBeGreaterThan(0);
  expect(stderr).not.toContain('unexpected');
  const files = await readdir(out, { recursive: true }).catch(() => []);
  expect(files.filter((file) => file.endsWith('.tar.zst'))).toEqual([]);
  return stderr;
}

const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: `sha256:${'c'.repeat(64)}`, size: 2 };
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${'d'.repeat(64)}`, size: 9 };
const manifestOf = (layers: readonly unknown[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers });

describe('a registry that means harm', () => {
  it('gives a manifest with a million layers', async () => {
    serve('million', manifestType, manifestOf(new Array(1_000_000).fill(layer)));
    expect(await refused('million')).toMatch(/4194304|4 MiB|too large|larger|bytes/);
  });

  it('gives an index 100 deep', async () => {
    let descriptor = serve('bottom', manifestType, manifestOf([layer]));
    for (let depth = 0; depth < 100; depth += 1) {
      descriptor = serve(
        'deep',
        indexType,
        JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [descriptor], depth }),
      );
    }
    expect(await refused('deep')).toContain('nested');
  });

  it('gives an index that has itself in it, by a digest that is not its own', async () => {
    const own = `sha256:${'e'.repeat(64)}`;
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [{ mediaType: indexType, digest: own, size: 164 }],
    });
    served.set('cycle', { type: indexType, text });
    served.set(own, { type: indexType, text });
    expect(await refused('cycle')).toMatch(/digest|bytes/);
  });

  it.each([
    ['a digest of an algorithm that nobody knows', { ...layer, digest: `md5:${'a'.repeat(32)}` }],
    ['a digest in capitals', { ...layer, digest: layer.digest.toUpperCase() }],
    ['a digest with a path in it', { ...layer, digest: 'sha256:../../../../etc/passwd' }],
    ['a negative size', { ...layer, size: -1 }],
    ['a size with a fraction', { ...layer, size: 1.5 }],
    ['a size as text', { ...layer, size: '9' }],
    ['a size that no disk has', { ...layer, size: Number.MAX_SAFE_INTEGER }],
    ['a size beyond exact numbers', { ...layer, size: 1e300 }],
    ['a layer that is null', null],
    ['layers that nobody can read', [[[[]]]]],
    ['a media type of 4,096 characters', { ...layer, mediaType: 'x'.repeat(4096) }],
  ])('gives a manifest with %s', async (name, bad) => {
    const tag = name.replaceAll(/[^a-z]/g, '');
    serve(tag, manifestType, manifestOf([bad]));
    expect(await refused(tag)).toMatch(/^error: /m);
  });

  it.each([
    ['a member twice', manifestOf([layer]).replace('{', '{"layers":[],')],
    ['a member that Go takes for another', manifestOf([layer]).replace('{', '{"Config":{},')],
    ['a digest twice in a layer', manifestOf([layer]).replace(`"digest":"${layer.digest}"`, '$&,$&')],
    ['manifests besides layers', manifestOf([layer]).replace('{', '{"manifests":[{}],')],
  ])('gives a manifest with %s', async (name, text) => {
    const tag = name.replaceAll(/[^a-zA-Z]/g, '');
    serve(tag, manifestType, text);
    expect(await refused(tag)).toMatch(/ twice|has 'manifests'/);
  });

  it('gives an index with a member twice', async () => {
    const image = serve('good', manifestType, manifestOf([layer]));
    const list = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [image] });
    serve('list', indexType, list.replace('{', '{"manifests":[],'));
    expect(await refused('list')).toContain('"manifests" twice');
  });

  it.each([
    ['half a document', manifestOf([layer]).slice(0, -5)],
    ['a hundred thousand brackets', '['.repeat(100_000)],
    ['bytes that are no UTF-8', '\ud800'],
    ['nothing', ''],
  ])('gives %s for a manifest', async (name, text) => {
    const tag = name.replaceAll(/[^a-z]/g, '');
    serve(tag, manifestType, text);
    expect(await refused(tag)).toMatch(/^error: /m);
  });
});

describe('a bundle that means harm', () => {
  let small: PlannedBundle;

  beforeAll(async () => {
    small = await smallBundle();
  });

  /** `text` is all of bundle.json; the signatures are none, for exactly this text. */
  async function inspected(text: string): Promise<string> {
    const path = await craftBundle(small.document, small.contents, {
      file: (file) => {
        if (file.path === 'bundle.json') return { ...file, content: Buffer.from(text) };
        return file.path === 'bundle.json.sig' ? { ...file, content: signatureFile(text) } : file;
      },
    });
    for (const command of [
      ['inspect', path],
      ['load', path, '--registry', 'http://127.0.0.1:9'],
    ]) {
      const result = await runInProcess(command);
      expect([command[0], result.exitCode, result.stdout], result.stderr).toEqual([command[0], 3, '']);
      // What it says drives no terminal.
      expect(result.stderr).toMatch(/^[\n -~]*$/);
    }
    return (await runInProcess(['inspect', path])).stderr;
  }

  const changed = (change: (document: BundleDocument) => unknown): string => JSON.stringify(change(small.document));
  const named = (reference: string): string =>
    changed((document) => ({ ...document, images: document.images.map((image) => ({ ...image, reference })) }));

  it.each([
    ['a line end', 'docker.io/a/b:1\nerror: all is well'],
    ['NUL', 'docker.io/a/b:1\0'],
    ['an escape sequence', 'docker.io/a/b:\x1b[2J1'],
    ['a mark that turns the direction', 'docker.io/a/\u202eb:1'],
    ['4,096 characters', `docker.io/${'a'.repeat(4096)}:1`],
    ['nothing', ''],
  ])('has %s in the name of an image', async (_, reference) => {
    expect(await inspected(named(reference))).toContain("malformed at 'images.0.reference'");
  });

  it.each([
    ['a line end', 'a\nb'],
    ['a mark that turns the direction', 'a\u2067b'],
    ['5,000 characters', 'a'.repeat(5000)],
  ])('has %s in the name of a profile', async (_, name) => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const text = changed((document) => ({ ...document, profiles: [{ name, digest }] }));
    expect(await inspected(text)).toContain("malformed at 'profiles.0.name'");
  });

  it.each([
    ['white space', (text: string) => text.replace(',', ', ')],
    ['a key twice', (text: string) => text.replace('{"formatVersion":1', '{"formatVersion":1,"formatVersion":1')],
    ['a member that nobody knows', (text: string) => text.replace('"name":', '"more":1,"name":')],
    ['members in another order', (text: string) => text.replace(/("name":"[^"]*"),("platforms":\[\])/, '$2,$1')],
    ['a number in another form', (text: string) => text.replace('"formatVersion":1', '"formatVersion":1.0')],
    ['an escape that is not needed', (text: string) => text.replace('sample', '\\u0073ample')],
    ['a byte order mark', (text: string) => `\ufeff${text}`],
  ])('has %s in bundle.json', async (_, change) => {
    const text = JSON.stringify(small.document);
    expect(change(text)).not.toBe(text);
    expect(await inspected(change(text))).toMatch(/not in the one form|not JSON|malformed/);
  });

  it('has a manifest with a member twice, though every digest is right', async () => {
    const { bytes, descriptor } = image([blob('layer', layer.mediaType)]);
    const text = bytes.toString().replace('"layers":', '"layers":[],"layers":');
    const twice = { ...descriptor, digest: sha256(text), size: Buffer.byteLength(text) };
    const contents = [{ descriptor: twice, bytes: Buffer.from(text), children: [] }, blob('layer', layer.mediaType)];
    const [first] = small.document.images;
    const document: BundleDocument = {
      ...small.document,
      images:
        first === undefined ? [] : [{ ...first, digest: twice.digest, size: twice.size, mediaType: twice.mediaType }],
      blobs: contents.map(({ descriptor: { digest, size } }) => ({ digest, size, storage: 'zstd' })),
    };
    const path = await craftBundle(document, contents);
    for (const command of [
      ['verify', path],
      ['load', path, '--registry', host, '--plain-http'],
    ]) {
      const { exitCode, stderr } = await runInProcess(command);
      expect(exitCode, stderr).toBeGreaterThan(0);
      expect(stderr).toContain('"layers" twice');
    }
  });
});
