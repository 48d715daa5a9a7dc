import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { describe as descriptorOf } from '../../src/content/descriptor.ts';
import { fetchChart } from '../../src/helm/fetch-chart.ts';
import { readChart } from '../../src/helm/read-chart.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { Transport } from '../../src/oci-client/transport.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { chartFiles, helmPath } from '../support/helm.ts';
import { type Answer, reply, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { tarGzip, writeFiles } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const client = new RegistryClient({ plainHttp: 'all' });
const transport = new Transport({ plainHttp: 'all' });
const options = { transport };
let registry: DockerRegistry;
let folder: string;
const servers: ScriptedServer[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  registry = await startDockerRegistry();
  for (const version of ['1.2.3', '1.10.0', '2.0.0-rc.1', '1.10.1+build.5']) await push(await packageChart(version));
});
afterAll(async () => {
  await registry.stop();
  for (const server of servers) await server.stop();
  await client.close();
  await transport.close();
});

function helm(...args: readonly string[]): string {
  return execFileSync(helmPath, args, { cwd: folder, env: { HOME: folder }, stdio: 'pipe' }).toString();
}

/** A package by Helm. @returns its file name */
async function packageChart(version: string): Promise<string> {
  writeFiles(folder, chartFiles({ 'Chart.yaml': `apiVersion: v2\nname: app\nversion: ${version}\n` }));
  helm('package', 'app');
  return Promise.resolve(`app-${version}.tgz`);
}

async function push(file: string): Promise<void> {
  helm('push', file, `oci://${registry.host}/charts`, '--plain-http');
  await Promise.resolve();
}

async function serve(script: Readonly<Record<string, Answer>>): Promise<ScriptedServer> {
  const server = await startScriptedServer(script);
  servers.push(server);
  return server;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('a chart of an OCI registry', () => {
  it('that helm push put there is fetched, with its reference and digest', async () => {
    const { archive, artifact, origin } = await fetchChart(`oci://${registry.host}/charts/app:1.2.3`, client, options);
    expect(archive.equals(await readFile(join(folder, 'app-1.2.3.tgz')))).toBe(true);
    const manifest = await fetch(`${registry.url}/v2/charts/app/manifests/1.2.3`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    const digest = `sha256:${sha256(Buffer.from(await manifest.arrayBuffer()))}`;
    expect(artifact?.reference).toEqual({ registry: registry.host, repository: 'charts/app', tag: '1.2.3', digest });
    expect(artifact?.manifest.digest).toBe(digest);
    expect(origin).toBe(`oci://${registry.host}/charts/app:1.2.3@${digest}`);
    const byDigest = await fetchChart(`oci://${registry.host}/charts/app@${digest}`, client, options);
    expect(byDigest.archive.equals(archive)).toBe(true);
    expect(byDigest.artifact?.reference.tag).toBeUndefined();
  });

  it('without a version is the highest, and a + in it is a _ in the tag', async () => {
    const { archive, artifact } = await fetchChart(`oci://${registry.host}/charts/app`, client, options);
    expect(artifact?.reference.tag).toBe('1.10.1_build.5');
    expect((await readChart(archive, 'app')).version).toBe('1.10.1+build.5');
    const asked = await fetchChart(`oci://${registry.host}/charts/app:1.10.1+build.5`, client, options);
    expect(asked.artifact?.reference).toEqual(artifact?.reference);
  });

  it('that is not there, or is no chart, is said to be so', async () => {
    await expectError('NOT_FOUND', 'charts/app', () =>
      fetchChart(`oci://${registry.host}/charts/app:9`, client, options),
    );
    await expectError('NOT_FOUND', 'charts/gone', () =>
      fetchChart(`oci://${registry.host}/charts/gone`, client, options),
    );
    const repository = client.repository(registry.host, 'images/app');
    const config = Buffer.from('{}');
    const described = descriptorOf(config, 'application/vnd.oci.image.config.v1+json');
    await repository.push(described, Readable.from([config]));
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: described,
        layers: [],
      }),
    );
    const image = descriptorOf(manifest, 'application/vnd.oci.image.manifest.v1+json');
    await repository.push(image, Readable.from([manifest]));
    await repository.tag(image, '1.0.0');
    await expectError('CHART_INVALID', 'images/app:1.0.0@sha256:', () =>
      fetchChart(`oci://${registry.host}/images/app:1.0.0`, client, options),
    );
  });

  it.each([
    'oci://',
    'oci://host',
    'oci://host/',
    'oci://host/Name:1',
    'oci://host/a:',
    'oci://host/a:1:2',
    'oci://host/a@sha256:1',
  ])('is not named by %s', async (address) => {
    await expectError('CONFIG_INVALID', address, () => fetchChart(address, client, options));
  });
});

describe('a chart of a chart repository', () => {
  async function repository(change: (index: string) => string = (index) => index): Promise<ScriptedServer> {
    const site = join(await temporaryFolder(), 'site');
    await mkdir(site);
    for (const version of ['1.2.3', '1.10.0', '2.0.0-rc.1']) {
      await rename(join(folder, await packageChart(version)), join(site, `app-${version}.tgz`));
    }
    helm('repo', 'index', site);
    const index = change(await readFile(join(site, 'index.yaml'), 'utf8'));
    const archive = async (version: string): Promise<Answer> =>
      reply(200, {}, await readFile(join(site, `app-${version}.tgz`)));
    return serve({
      'GET /charts/index.yaml': reply(200, {}, index),
      'GET /charts/app-1.2.3.tgz': await archive('1.2.3'),
      'GET /charts/app-1.10.0.tgz': await archive('1.10.0'),
      'GET /charts/app-2.0.0-rc.1.tgz': await archive('2.0.0-rc.1'),
    });
  }

  it('is found in the index that helm repo index writes', async () => {
    const server = await repository();
    const { archive, origin, artifact } = await fetchChart(`${server.url}/charts/app:1.2.3`, client, options);
    expect(await readChart(archive, 'app')).toMatchObject({ name: 'app', version: '1.2.3' });
    expect(origin).toBe(`${server.url}/charts/app-1.2.3.tgz`);
    expect(artifact).toBeUndefined();
    const latest = await fetchChart(`${server.url}/charts/app`, client, options);
    expect((await readChart(latest.archive, 'app')).version).toBe('1.10.0');
  });

  it('may stand there with an absolute address, on another host, in JSON, or in an OCI registry', async () => {
    const bytes = tarGzip(chartFiles({}));
    const other = await serve({ 'GET /files/app.tgz': reply(200, {}, bytes) });
    const entry = (name: string, url: string): object => ({ [name]: [{ version: '1.2.3', urls: [url] }] });
    const entries = {
      ...entry('absolute', `${other.url}/files/app.tgz`),
      ...entry('rooted', '/root/app.tgz'),
      ...entry('in-registry', `oci://${registry.host}/charts/app:1.2.3`),
    };
    const server = await serve({
      'GET /charts/index.yaml': reply(200, {}, JSON.stringify({ apiVersion: 'v1', entries })),
      'GET /root/app.tgz': reply(200, {}, bytes),
    });
    for (const name of ['absolute', 'rooted']) {
      const { archive } = await fetchChart(`${server.url}/charts/${name}:1.2.3`, client, options);
      expect(archive.equals(bytes), name).toBe(true);
    }
    const found = await fetchChart(`${server.url}/charts/in-registry:1.2.3`, client, options);
    expect(found.artifact?.reference).toMatchObject({ repository: 'charts/app', tag: '1.2.3' });
  });

  it('with another digest than the index says is refused', async () => {
    const server = await repository((index) => index.replace(/digest: [0-9a-f]{64}/g, `digest: ${'a'.repeat(64)}`));
    const error = await expectError('DIGEST_MISMATCH', 'app-1.2.3.tgz', () =>
      fetchChart(`${server.url}/charts/app:1.2.3`, client, options),
    );
    expect(error.exitCode).toBe(4);
  });

  it('that is not in the index is said to be so, with what is', async () => {
    const server = await repository();
    const error = await expectError('NOT_FOUND', 'it does not have version 1.2.4', () =>
      fetchChart(`${server.url}/charts/app:1.2.4`, client, options),
    );
    expect(error.hint).toBe('It has: 2.0.0-rc.1, 1.10.0, 1.2.3.');
    for (const name of ['other', 'toString', '__proto__']) {
      await expectError('NOT_FOUND', 'there is no such chart', () =>
        fetchChart(`${server.url}/charts/${name}`, client, options),
      );
    }
    await expectError('NOT_FOUND', 'index.yaml', () => fetchChart(`${server.url}/nowhere/app`, client, options));
  });

  it.each([
    ['a page', '<html><body>Hello</body></html>', "it has no 'entries'"],
    ['broken YAML', 'entries: [', 'it is not YAML'],
    ['broken JSON', '{"entries": ', 'it is not YAML'],
    [
      'entries of other kinds',
      'entries: {app: [null, 5, {version: 1}, {version: 1.0.0, urls: []}]}',
      'there is no such chart',
    ],
    [
      'an address that is none',
      'entries: {app: [{version: 1.0.0, urls: ["http://["]}]}',
      'the address of app 1.0.0 is none',
    ],
    ['a file as the address', 'entries: {app: [{version: 1.0.0, urls: ["file:///etc/passwd"]}]}', 'not HTTP'],
  ])('is not found in %s', async (_what, index, part) => {
    const server = await serve({ 'GET /index.yaml': reply(200, {}, index) });
    await expect(fetchChart(`${server.url}/app`, client, options)).rejects.toThrow(part);
  });

  it('is fetched with the login of its host, which goes nowhere else', async () => {
    const bytes = tarGzip(chartFiles({}));
    const other = await serve({ 'GET /app.tgz': reply(200, {}, bytes) });
    const wanted = `Basic ${Buffer.from('robot:top-secret').toString('base64')}`;
    const closed =
      (answer: Answer): Answer =>
      (request, response) =>
        request.headers.authorization === wanted ? answer(request, response) : reply(401)(request, response);
    const server = await serve({
      'GET /index.yaml': closed(
        reply(200, {}, JSON.stringify({ entries: { app: [{ version: '1.0.0', urls: [`${other.url}/app.tgz`] }] } })),
      ),
      'GET /moved.tgz': closed(reply(302, { location: `${other.url}/app.tgz` })),
    });
    const credentials = new FixedCredentials(server.host, { username: 'robot', password: 'top-secret' });
    await fetchChart(`${server.url}/app`, client, { ...options, credentials });
    await fetchChart(`${server.url}/moved.tgz`, client, { ...options, credentials });
    expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    const error = await expectError('AUTH_FAILED', '401', () => fetchChart(`${server.url}/app`, client, options));
    expect(error.hint).toContain("'helm' list");
  });
});

describe('the archive of a chart at an address', () => {
  it('is fetched as it is', async () => {
    const bytes = tarGzip(chartFiles({}));
    const server = await serve({
      'GET /a/app-1.2.3.tgz': reply(200, {}, bytes),
      'GET /app.tar.gz': reply(200, {}, bytes),
    });
    const { archive, origin } = await fetchChart(`${server.url}/a/app-1.2.3.tgz?token=x`, client, options);
    expect(archive.equals(bytes)).toBe(true);
    expect(origin).toBe(`${server.url}/a/app-1.2.3.tgz`);
    expect((await fetchChart(`${server.url}/app.tar.gz`, client, options)).archive.equals(bytes)).toBe(true);
    await expectError('NOT_FOUND', '/gone.tgz', () => fetchChart(`${server.url}/gone.tgz`, client, options));
  });

  it('that has no end is refused', async () => {
    const server = await serve({
      'GET /endless.tgz': (_request, response) => {
        const block = Buffer.alloc(1024 * 1024);
        Readable.from(
          (function* () {
            for (;;) yield block;
          })(),
        ).pipe(response);
      },
    });
    await expectError('CONTENT_TOO_LARGE', '/endless.tgz', () =>
      fetchChart(`${server.url}/endless.tgz`, client, options),
    );
  });

  it('is fetched by plain HTTP only where that is allowed', async () => {
    const server = await serve({ 'GET /app.tgz': reply(200, {}, tarGzip(chartFiles({}))) });
    const strict = new Transport();
    await expectError('REGISTRY_ERROR', 'plain HTTP', () =>
      fetchChart(`${server.url}/app.tgz`, client, { transport: strict }),
    );
    expect(server.requests).toEqual([]);
    await strict.close();
  });

  it('is not fetched when the caller wants no more', async () => {
    const server = await serve({ 'GET /slow.tgz': () => undefined });
    const signal = AbortSignal.timeout(100);
    await expectError('ABORTED', '', () => fetchChart(`${server.url}/slow.tgz`, client, { ...options, signal }));
  });

  it.each([
    ['ftp://host/app.tgz', 'ftp://host/app.tgz'],
    ['file:///etc/passwd.tgz', 'file:///etc/passwd.tgz'],
    ['charts/app', 'charts/app'],
    ['https://host.example/', 'names no chart'],
  ])('is not named by %s', async (address, part) => {
    await expectError('CONFIG_INVALID', part, () => fetchChart(address, client, options));
  });

  it('has no login in its address', async () => {
    const error = await expectError('CONFIG_INVALID', 'has a login in it', () =>
      fetchChart('https://user:hunter22@host.example/app.tgz', client, options),
    );
    expect(error.message).not.toContain('hunter22');
  });
});
