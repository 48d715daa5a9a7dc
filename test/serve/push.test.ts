import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { LayoutContent } from '../../src/serve/layout-content.ts';
import { blob, type Content, contentsOf, image, index, noise, sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { errorCodes, serve, type Served, serveFolder } from './served.ts';

const layer = blob(noise(300_000, 'layer'), mediaTypes.ociLayerGzip);
const other = blob(noise(5_000, 'other'), mediaTypes.ociLayerGzip);
const app = image([layer]);
const app2 = image([layer, other]);

let folder: string;
let served: Served;

beforeEach(async () => {
  folder = await memoryFolder();
  served = await serveFolder(folder);
});
afterEach(async () => {
  await served.close();
});

const call = (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(path, served.url), { method, ...init });

const location = (response: Response): string => response.headers.get('location') ?? '';

async function startUpload(name: string): Promise<string> {
  const response = await call('POST', `/v2/${name}/blobs/uploads/`);
  expect(response.status).toBe(202);
  expect(location(response)).toMatch(new RegExp(`^/v2/${name}/blobs/uploads/[0-9a-f-]{36}$`));
  expect(response.headers.get('range')).toBe('0-0');
  return location(response);
}

function chunk(path: string, bytes: Buffer, range?: string): Promise<Response> {
  const headers = {
    'content-type': 'application/octet-stream',
    ...(range === undefined ? {} : { 'content-range': range }),
  };
  return call('PATCH', path, { headers, body: new Uint8Array(bytes) });
}

async function pushBlob(name: string, content: Content): Promise<void> {
  const digest = content.descriptor.digest;
  const path = `/v2/${name}/blobs/uploads/?digest=${digest}`;
  const response = await call('POST', path, { body: new Uint8Array(content.bytes) });
  expect(response.status).toBe(201);
  expect(location(response)).toBe(`/v2/${name}/blobs/${digest}`);
  expect(response.headers.get('docker-content-digest')).toBe(digest);
}

function putManifest(name: string, reference: string, content: Content, type?: string): Promise<Response> {
  const headers = { 'content-type': type ?? content.descriptor.mediaType };
  return call('PUT', `/v2/${name}/manifests/${reference}`, { headers, body: new Uint8Array(content.bytes) });
}

async function pushImage(name: string, tag: string, root: Content): Promise<void> {
  for (const content of contentsOf(root)) {
    if (content === root) expect((await putManifest(name, tag, content)).status).toBe(201);
    else if (content.children.length > 0 || /manifest|index/.test(content.descriptor.mediaType)) {
      expect((await putManifest(name, content.descriptor.digest, content)).status).toBe(201);
    } else await pushBlob(name, content);
  }
}

async function statusOf(path: string): Promise<number> {
  return (await call('HEAD', path)).status;
}

async function filesIn(path: string): Promise<readonly string[]> {
  const found = await readdir(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
}

describe('a blob', () => {
  const { bytes, descriptor } = layer;

  it('is taken with POST and one PUT', async () => {
    const path = await startUpload('app');
    const response = await call('PUT', `${path}?digest=${descriptor.digest}`, { body: new Uint8Array(bytes) });
    expect(response.status).toBe(201);
    expect(location(response)).toBe(`/v2/app/blobs/${descriptor.digest}`);
    expect(response.headers.get('docker-content-digest')).toBe(descriptor.digest);
    const pulled = await call('GET', location(response));
    expect(sha256(Buffer.from(await pulled.arrayBuffer()))).toBe(descriptor.digest);
  });

  it('is taken with a single POST', async () => {
    await pushBlob('app', layer);
    expect(await statusOf(`/v2/app/blobs/${descriptor.digest}`)).toBe(200);
  });

  it('is taken as one PATCH and an empty PUT', async () => {
    const path = await startUpload('app');
    const patched = await chunk(path, bytes);
    expect(patched.status).toBe(202);
    expect(patched.headers.get('range')).toBe(`0-${bytes.byteLength - 1}`);
    expect((await call('PUT', `${location(patched)}?digest=${descriptor.digest}`)).status).toBe(201);
  });

  it('is taken in chunks, the last one with PUT', async () => {
    let path = await startUpload('app');
    const [first, second] = [bytes.subarray(0, 100_000), bytes.subarray(100_000, 250_000)];
    const one = await chunk(path, first, '0-99999');
    expect([one.status, one.headers.get('range')]).toEqual([202, '0-99999']);
    path = location(one);
    const two = await chunk(path, second, '100000-249999');
    expect([two.status, two.headers.get('range')]).toEqual([202, '0-249999']);
    const told = await call('GET', path);
    expect([told.status, told.headers.get('range'), location(told)]).toEqual([204, '0-249999', path]);
    const last = await call('PUT', `${path}?digest=${descriptor.digest}`, {
      headers: { 'content-range': '250000-299999' },
      body: new Uint8Array(bytes.subarray(250_000)),
    });
    expect(last.status).toBe(201);
    expect(await statusOf(`/v2/app/blobs/${descriptor.digest}`)).toBe(200);
    expect((await call('GET', path)).status).toBe(404);
  });

  it.each([
    ['out of order', '100000-199999', 100_000],
    ['that came already', '0-99999', 100_000],
    ['longer than its range says', '100000-100001', 5],
    ['with a range that nobody can read', 'bytes 5-9', 5],
    ['with a range that runs backwards', '9-5', 5],
  ])('has no chunk %s: 416, and the upload goes on', async (_what, range, length) => {
    const path = await startUpload('app');
    expect((await chunk(path, bytes.subarray(0, 50_000), '0-49999')).status).toBe(202);
    const refused = await chunk(path, bytes.subarray(0, length), range);
    expect(refused.status).toBe(416);
    expect([refused.headers.get('range'), location(refused)]).toEqual(['0-49999', path]);
    expect(await errorCodes(refused)).toEqual(['BLOB_UPLOAD_INVALID']);
    const rest = { body: new Uint8Array(bytes.subarray(50_000)), headers: { 'content-range': '50000-299999' } };
    expect((await call('PUT', `${path}?digest=${descriptor.digest}`, rest)).status).toBe(201);
  });

  it('of a sha512 digest is taken and given back', async () => {
    const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    const path = await startUpload('app');
    expect((await call('PUT', `${path}?digest=${digest}`, { body: new Uint8Array(bytes) })).status).toBe(201);
    const pulled = await call('GET', `/v2/app/blobs/${digest}`);
    expect(Buffer.from(await pulled.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('of no bytes is taken', async () => {
    const { descriptor: empty } = blob('');
    const path = await startUpload('app');
    expect((await call('PUT', `${path}?digest=${empty.digest}`)).status).toBe(201);
    const pulled = await call('GET', `/v2/app/blobs/${empty.digest}`);
    expect([pulled.status, pulled.headers.get('content-length')]).toEqual([200, '0']);
  });

  it('that is other than its digest says is refused, and nothing of it stays', async () => {
    const path = await startUpload('app');
    const refused = await call('PUT', `${path}?digest=${other.descriptor.digest}`, { body: new Uint8Array(bytes) });
    expect(refused.status).toBe(400);
    expect(await errorCodes(refused)).toEqual(['DIGEST_INVALID']);
    expect((await call('GET', path)).status).toBe(404);
    expect((await filesIn(folder)).filter((name) => /^(blobs|uploads)/.test(name))).toEqual([]);
    const once = await call('POST', `/v2/app/blobs/uploads/?digest=${other.descriptor.digest}`, { body: 'wrong' });
    expect([once.status, await errorCodes(once)]).toEqual([400, ['DIGEST_INVALID']]);
    expect((await filesIn(folder)).filter((name) => /^(blobs|uploads)/.test(name))).toEqual([]);
  });

  it.each(['', '?digest=', '?digest=sha256:abc', '?digest=md5:d41d8cd98f00b204e9800998ecf8427e'])(
    'is not finished with %j',
    async (query) => {
      const path = await startUpload('app');
      const refused = await call('PUT', path + query, { body: 'something' });
      expect([refused.status, await errorCodes(refused)]).toEqual([400, ['DIGEST_INVALID']]);
    },
  );

  it('is not taken any more after DELETE', async () => {
    const path = await startUpload('app');
    await chunk(path, bytes);
    expect((await call('DELETE', path)).status).toBe(204);
    const gone = await call('PUT', `${path}?digest=${descriptor.digest}`);
    expect([gone.status, await errorCodes(gone)]).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']]);
    expect((await filesIn(folder)).filter((name) => name.startsWith('uploads'))).toEqual([]);
  });

  it('is uploaded where its upload was opened, and in no other repository', async () => {
    const path = await startUpload('app');
    const elsewhere = path.replace('/app/', '/other/');
    expect((await chunk(elsewhere, bytes)).status).toBe(404);
    expect((await call('PUT', `${elsewhere}?digest=${descriptor.digest}`)).status).toBe(404);
  });

  it('can be uploaded twice at once', async () => {
    const push = async (): Promise<number> => {
      const path = await startUpload('app');
      const half = bytes.byteLength / 2;
      await chunk(path, bytes.subarray(0, half));
      await chunk(path, bytes.subarray(half));
      return (await call('PUT', `${path}?digest=${descriptor.digest}`)).status;
    };
    expect(await Promise.all([push(), push(), push()])).toEqual([201, 201, 201]);
    const pulled = await call('GET', `/v2/app/blobs/${descriptor.digest}`);
    expect(sha256(Buffer.from(await pulled.arrayBuffer()))).toBe(descriptor.digest);
    expect((await filesIn(folder)).filter((name) => name.startsWith('uploads'))).toEqual([]);
  });

  it('is not visible in a repository that nobody pushed it to', async () => {
    await pushBlob('app', layer);
    expect(await statusOf(`/v2/app/blobs/${descriptor.digest}`)).toBe(200);
    expect(await statusOf(`/v2/other/blobs/${descriptor.digest}`)).toBe(404);
  });

  it('is mounted from a repository that has it', async () => {
    await pushBlob('app', layer);
    const response = await call('POST', `/v2/other/blobs/uploads/?mount=${descriptor.digest}&from=app`);
    expect(response.status).toBe(201);
    expect(location(response)).toBe(`/v2/other/blobs/${descriptor.digest}`);
    expect(await statusOf(`/v2/other/blobs/${descriptor.digest}`)).toBe(200);
  });

  it.each([
    ['a repository that lacks it', `mount=${descriptor.digest}&from=third`],
    ['nowhere', `mount=${descriptor.digest}`],
    ['a name that is none', `mount=${descriptor.digest}&from=../app`],
    ['a repository that has it, under a bad digest', 'mount=sha256:abc&from=app'],
  ])('is to be uploaded where it is to be mounted from %s', async (_where, query) => {
    await pushBlob('app', layer);
    const response = await call('POST', `/v2/other/blobs/uploads/?${query}`);
    expect(response.status).toBe(202);
    expect(await statusOf(`/v2/other/blobs/${descriptor.digest}`)).toBe(404);
    const uploaded = await call('PUT', `${location(response)}?digest=${descriptor.digest}`, {
      body: new Uint8Array(bytes),
    });
    expect(uploaded.status).toBe(201);
  });
});

describe('a manifest', () => {
  it('is taken under a tag and under its digest', async () => {
    for (const content of contentsOf(app)) if (content !== app) await pushBlob('team/app', content);
    const digest = app.descriptor.digest;
    for (const reference of ['v1', digest]) {
      const response = await putManifest('team/app', reference, app);
      expect(response.status).toBe(201);
      expect(location(response)).toBe(`/v2/team/app/manifests/${digest}`);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
      expect(response.headers.get('oci-subject')).toBeNull();
    }
    const pulled = await call('GET', '/v2/team/app/manifests/v1');
    expect(pulled.headers.get('content-type')).toBe(app.descriptor.mediaType);
    expect(Buffer.from(await pulled.arrayBuffer()).equals(app.bytes)).toBe(true);
    expect(await (await call('GET', '/v2/_catalog')).json()).toEqual({ repositories: ['team/app'] });
  });

  it('says its type itself where the client does not, and parameters do not count', async () => {
    await pushImage('app', 'v1', app);
    const body = new Uint8Array(app.bytes);
    expect((await call('PUT', '/v2/app/manifests/a', { body })).status).toBe(201);
    expect((await putManifest('app', 'b', app, `${mediaTypes.ociManifest}; charset=utf-8`)).status).toBe(201);
    for (const tag of ['a', 'b']) {
      const pulled = await call('HEAD', `/v2/app/manifests/${tag}`);
      expect(pulled.headers.get('content-type')).toBe(mediaTypes.ociManifest);
    }
  });

  it.each([
    ['that is not JSON', 'x', mediaTypes.ociManifest],
    ['without its members', '{"schemaVersion":2}', mediaTypes.ociManifest],
    ['of another type than it says', app.bytes.toString(), mediaTypes.dockerManifest],
    ['of Docker schema 1', '{"schemaVersion":1}', 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
    ['of no type', '{}', 'text/plain'],
  ])('%s is invalid', async (_what, body, type) => {
    const refused = await call('PUT', '/v2/app/manifests/v1', { headers: { 'content-type': type }, body });
    expect([refused.status, await errorCodes(refused)]).toEqual([400, ['MANIFEST_INVALID']]);
    expect(await statusOf('/v2/app/manifests/v1')).toBe(404);
  });

  it('of another digest than the path says is refused', async () => {
    const refused = await putManifest('app', other.descriptor.digest, app);
    expect([refused.status, await errorCodes(refused)]).toEqual([400, ['DIGEST_INVALID']]);
  });

  it.each(['.hidden', '-x', 'a'.repeat(129), 'sha256:abc', 'a%20b'])('has no tag %s', async (tag) => {
    const refused = await putManifest('app', tag, app);
    expect([refused.status, await errorCodes(refused)]).toEqual([400, ['MANIFEST_INVALID']]);
  });

  it('is refused where the repository lacks what it names, even if another has it', async () => {
    await pushImage('first', 'v1', app);
    const refused = await putManifest('second', 'v1', app);
    expect(refused.status).toBe(400);
    const { errors } = (await refused.json()) as { errors: { code: string; message: string }[] };
    expect(errors[0]?.code).toBe('MANIFEST_BLOB_UNKNOWN');
    for (const { descriptor } of app.children) expect(errors[0]?.message).toContain(descriptor.digest);
    expect(await statusOf('/v2/second/manifests/v1')).toBe(404);
  });

  it('is refused where a blob has another size than it says', async () => {
    await pushImage('app', 'v1', app);
    const lying = app.bytes.toString().replace(`"size":${layer.bytes.byteLength}`, '"size":7');
    expect(lying).not.toBe(app.bytes.toString());
    const headers = { 'content-type': mediaTypes.ociManifest };
    const refused = await call('PUT', '/v2/app/manifests/lying', { headers, body: lying });
    expect([refused.status, await errorCodes(refused)]).toEqual([400, ['MANIFEST_BLOB_UNKNOWN']]);
  });

  it('may name what has addresses of its own', async () => {
    const foreign = { ...blob('foreign', 'application/vnd.oci.image.layer.nondistributable.v1.tar').descriptor };
    const config = blob('{}', mediaTypes.ociConfig);
    await pushBlob('app', config);
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: config.descriptor,
      layers: [{ ...foreign, urls: ['https://example.org/layer'] }],
    });
    const headers = { 'content-type': mediaTypes.ociManifest };
    expect((await call('PUT', '/v2/app/manifests/windows', { headers, body })).status).toBe(201);
    expect(await statusOf(`/v2/app/blobs/${foreign.digest}`)).toBe(404);
  });

  it('of an index needs the manifests of its platforms', async () => {
    const multi = index([app, app2]);
    await pushImage('app', 'v1', app);
    expect((await putManifest('app', 'multi', multi)).status).toBe(400);
    await pushImage('app', app2.descriptor.digest, app2);
    expect((await putManifest('app', 'multi', multi)).status).toBe(201);
  });

  it('may come before its subject, and is listed with it', async () => {
    const signature = image([blob('signature')], { artifactType: 'application/vnd.example.sig', subject: app });
    for (const content of signature.children) if (content !== app) await pushBlob('app', content);
    const response = await putManifest('app', signature.descriptor.digest, signature);
    expect(response.status).toBe(201);
    expect(response.headers.get('oci-subject')).toBe(app.descriptor.digest);
    const listed = (await (await call('GET', `/v2/app/referrers/${app.descriptor.digest}`)).json()) as {
      manifests: unknown[];
    };
    expect(listed.manifests).toEqual(
      [{ ...signature.descriptor, artifactType: 'application/vnd.example.sig', annotations: undefined }].map(
        (entry) => JSON.parse(JSON.stringify(entry)) as unknown,
      ),
    );
    expect(await (await call('GET', '/v2/_catalog')).json()).toEqual({ repositories: ['app'] });
    expect(await statusOf(`/v2/app/manifests/${app.descriptor.digest}`)).toBe(404);
  });

  it('of more than 4 MiB is refused, announced or not', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
    const headers = { 'content-type': mediaTypes.ociManifest };
    const announced = await call('PUT', '/v2/app/manifests/v1', { headers, body: new Uint8Array(large) });
    expect(announced.status).toBe(413);
    const stream = new Blob([new Uint8Array(large)]).stream();
    const streamed = await call('PUT', '/v2/app/manifests/v1', { headers, body: stream, duplex: 'half' });
    expect(streamed.status).toBe(413);
  });

  it('of 4 MiB is taken', async () => {
    await pushImage('app', 'v1', app);
    const padded = Buffer.alloc(4 * 1024 * 1024, ' ');
    app.bytes.copy(padded);
    const headers = { 'content-type': mediaTypes.ociManifest };
    const response = await call('PUT', '/v2/app/manifests/padded', { headers, body: new Uint8Array(padded) });
    expect(response.status).toBe(201);
    const pulled = await call('GET', '/v2/app/manifests/padded');
    expect(sha256(Buffer.from(await pulled.arrayBuffer()))).toBe(sha256(padded));
  });

  it('stays under its digest when its tag moves on', async () => {
    await pushImage('app', 'latest', app);
    await pushImage('app', 'latest', app2);
    const moved = await call('HEAD', '/v2/app/manifests/latest');
    expect(moved.headers.get('docker-content-digest')).toBe(app2.descriptor.digest);
    expect(await statusOf(`/v2/app/manifests/${app.descriptor.digest}`)).toBe(200);
    expect(await (await call('GET', '/v2/app/tags/list')).json()).toEqual({ name: 'app', tags: ['latest'] });
  });

  it('and all that it names cannot be deleted', async () => {
    await pushImage('app', 'v1', app);
    for (const path of [
      '/v2/app/manifests/v1',
      `/v2/app/manifests/${app.descriptor.digest}`,
      `/v2/app/blobs/${layer.descriptor.digest}`,
    ]) {
      const refused = await call('DELETE', path);
      expect([refused.status, await errorCodes(refused)]).toEqual([405, ['UNSUPPORTED']]);
      expect(await statusOf(path)).toBe(200);
    }
  });

  it('is there for all who push the same tag at once, and for all other tags', async () => {
    await pushImage('app', 'v0', app);
    await pushImage('app', 'v0', app2);
    const puts = Array.from({ length: 20 }, (_, at) => {
      const content = at % 2 === 0 ? app : app2;
      return putManifest('app', at % 4 < 2 ? 'same' : `tag-${at}`, content);
    });
    expect(new Set((await Promise.all(puts)).map(({ status }) => status))).toEqual(new Set([201]));
    const { tags } = (await (await call('GET', '/v2/app/tags/list')).json()) as { tags: string[] };
    expect(tags).toHaveLength(12);
  });
});

describe('a server that starts again', () => {
  async function restart(writable = true): Promise<void> {
    await served.close();
    served = writable ? await serveFolder(folder) : await serve(await LayoutContent.open(folder, { writable: false }));
  }

  it.each([true, false])('has all that manifests reach, writable: %s', async (writable) => {
    const multi = index([app, app2]);
    const signature = image([blob('signature')], { artifactType: 'application/vnd.example.sig', subject: multi });
    await pushImage('team/app', 'multi', multi);
    await pushImage('team/app', signature.descriptor.digest, signature);
    await pushImage('single', 'latest', app);
    await pushImage('single', 'latest', app2);
    await pushBlob('loose', layer);
    await restart(writable);
    for (const { descriptor } of contentsOf(signature)) {
      const kind = /manifest|index/.test(descriptor.mediaType) ? 'manifests' : 'blobs';
      expect(await statusOf(`/v2/team/app/${kind}/${descriptor.digest}`)).toBe(200);
    }
    expect(await (await call('GET', '/v2/_catalog')).json()).toEqual({ repositories: ['single', 'team/app'] });
    const tagged = await call('HEAD', '/v2/single/manifests/latest');
    expect(tagged.headers.get('docker-content-digest')).toBe(app2.descriptor.digest);
    expect(await statusOf(`/v2/single/manifests/${app.descriptor.digest}`)).toBe(200);
    expect(await statusOf(`/v2/single/manifests/${multi.descriptor.digest}`)).toBe(404);
    expect(await statusOf(`/v2/loose/blobs/${layer.descriptor.digest}`)).toBe(404);
    const listed = (await (await call('GET', `/v2/team/app/referrers/${multi.descriptor.digest}`)).json()) as {
      manifests: { digest: string }[];
    };
    expect(listed.manifests.map(({ digest }) => digest)).toEqual([signature.descriptor.digest]);
    const put = await putManifest('single', 'again', app2);
    expect(put.status).toBe(writable ? 201 : 405);
  });

  it('has no manifest twice in index.json', async () => {
    await pushImage('app', 'v1', app);
    await pushImage('app', 'v1', app);
    await pushImage('app', 'v1', app2);
    await pushImage('app', 'v1', app);
    const { manifests } = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    const names = manifests.map(({ annotations }) => annotations['org.opencontainers.image.ref.name']);
    expect(names.sort()).toEqual(['app:v1', `app@${app.descriptor.digest}`, `app@${app2.descriptor.digest}`].sort());
  });

  it('does not write where another one does', async () => {
    await expect(LayoutContent.open(folder, { writable: true })).rejects.toMatchObject({ code: 'LOCKED' });
    const reader = await serve(await LayoutContent.open(folder, { writable: false }));
    try {
      await pushImage('app', 'v1', app);
      expect((await fetch(`${reader.url}/v2/app/manifests/v1`)).status).toBe(200);
    } finally {
      await reader.close();
    }
  });

  it('removes what a killed server had received', async () => {
    await served.close();
    await mkdir(join(folder, 'uploads'));
    await writeFile(join(folder, 'uploads', 'left'), 'something');
    served = await serveFolder(folder);
    expect((await filesIn(folder)).filter((name) => name.startsWith('uploads'))).toEqual([]);
  });

  it('without --writable wants a layout that is there', async () => {
    const nothing = join(folder, 'nothing');
    await expect(LayoutContent.open(nothing, { writable: false })).rejects.toMatchObject({ code: 'FILE_FAILED' });
    expect(await readdir(folder)).not.toContain('nothing');
  });
});
