import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { freePort } from '../support/free-port.ts';
import { blob, type Content, image, noise, pushAll } from '../support/graphs.ts';
import { podTemplate } from '../support/sample-packs.ts';
import { reply, startScriptedServer } from '../support/scripted-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve } from './run-resolve.ts';

const versions = [1, 2, 3].map((seed) => image([blob(noise(500, seed), 'application/vnd.oci.image.layer.v1.tar')]));
const [first, second, third] = versions.map(({ descriptor }) => descriptor.digest);

let registry: DockerRegistry;
let client: RegistryClient;
let folder: string;

async function publish(repository: string, tag: string, content: Content | undefined): Promise<void> {
  if (content === undefined) throw new Error('there is no such version');
  const target = client.repository(registry.host, repository);
  await pushAll(target, content);
  await target.tag(content.descriptor, tag);
}

beforeAll(async () => {
  registry = await startDockerRegistry();
  client = new RegistryClient({ plainHttp: 'all' });
  for (const repository of ['app', 'side', 'extra']) await publish(repository, '1', versions[0]);
});

afterAll(async () => {
  await client.close();
  await registry.stop();
});

beforeEach(async () => {
  folder = await temporaryFolder();
});

/** A Pod that runs `app`, and mentions the others in arguments. */
async function pod(app: string, ...mentioned: readonly string[]): Promise<string> {
  const path = join(folder, 'pod.yaml');
  await writeFile(
    path,
    `${podTemplate(app)}      args: ${JSON.stringify(mentioned.map((name) => `--image=${name}`))}\n`,
  );
  return path;
}

async function list(...references: readonly string[]): Promise<string> {
  const path = join(folder, 'list.txt');
  await writeFile(path, references.join('\n'));
  return path;
}

describe('resolve --check', () => {
  it('keeps mentioned images that exist, with their digests, and lists those that do not', async () => {
    const { host } = registry;
    const names = [`${host}/side:1`, `${host}/side:9`, `${host}/none:1`, 'no-such-host.invalid/a:1'];
    const document = await resolveJson([await pod(`${host}/not-asked-for:1`, ...names), '--check', '--plain-http']);
    expect(document.images.map(({ reference, digest }) => [reference, digest])).toEqual([
      [`${host}/not-asked-for:1`, undefined],
      [`${host}/side:1`, first],
    ]);
    expect(document.missing.map(({ reference, classes }) => [reference, classes])).toEqual(
      names.slice(1).map((name) => [name, ['referenced']]),
    );
    expect(document.missing[2]?.reason).toContain('no such host is known');
    expect(document.packs[0]?.missing).toEqual(names.slice(1));
  });

  it('asks for nothing without it', async () => {
    const document = await resolveJson([await pod('x.invalid/a:1', 'no-such-host.invalid/a:1')]);
    expect(referencesOf(document)).toEqual(['x.invalid/a:1', 'no-such-host.invalid/a:1']);
  });

  it('takes what a registry refuses to show for missing, and says so', async () => {
    const server = await startScriptedServer({
      'HEAD /v2/a/manifests/1': reply(403),
      'GET /v2/a/manifests/1': reply(403),
    });
    const document = await resolveJson([await pod('x.io/a:1', `${server.host}/a:1`), '--check', '--plain-http']);
    await server.stop();
    expect(document.missing).toMatchObject([
      { reference: `${server.host}/a:1`, reason: expect.stringContaining('403') as string },
    ]);
  });

  it('ends with 75 where a registry that exists does not answer', async () => {
    const gone = `127.0.0.1:${await freePort()}/a:1`;
    const { exitCode, stdout, stderr } = await runResolve([await pod('x.io/a:1', gone), '--check', '--plain-http']);
    expect(exitCode).toBe(75);
    expect(stdout).toBe('');
    expect(stderr).toContain(gone);
  });
});

describe('resolve --lock', () => {
  const lockLines = async (path: string): Promise<string[]> =>
    (await readFile(path, 'utf8')).split('\n').filter((line) => line.startsWith('  '));

  it('makes the file, keeps its lines, adds new ones, drops those that nothing asks for, and says what moved', async () => {
    const { host } = registry;
    const lock = join(folder, 'images.lock');
    const args = ['--lock', lock, '--plain-http'];
    const [app, side, extra] = ['app', 'side', 'extra'].map((name) => `${host}/${name}:1`);
    if (app === undefined || side === undefined || extra === undefined) throw new Error('there are three');
    const before = await resolveJson([await list(app, side), ...args]);
    expect(before.images.map(({ digest }) => digest)).toEqual([first, first]);
    expect(await lockLines(lock)).toEqual([`  ${app}: ${String(first)}`, `  ${side}: ${String(first)}`]);

    await publish('app', '1', versions[1]);
    const pinned = `${host}/side@${String(first)}`;
    const after = await runResolve([await list(app, extra, pinned), ...args, '--output', 'json']);
    expect(after.exitCode).toBe(0);
    expect(after.stderr).toContain(`${app} was ${String(first)}, and its tag leads to ${String(second)} now`);
    expect(JSON.parse(after.stdout)).toMatchObject({
      images: [{ reference: app, digest: first }, { reference: extra, digest: first }, { reference: pinned }],
      moved: [{ reference: app, locked: first, found: second }],
    });
    expect(await lockLines(lock)).toEqual([`  ${app}: ${String(first)}`, `  ${extra}: ${String(first)}`]);

    const text = await readFile(lock, 'utf8');
    await writeFile(lock, text.replace(/^.*\/app:1.*\n/m, ''));
    expect((await resolveJson([await list(app), ...args])).images[0]?.digest).toBe(second);
    await publish('app', '1', versions[0]);
  });

  it('has no line for a mentioned image that does not exist, and keeps one whose tag is gone', async () => {
    const { host } = registry;
    const lock = join(folder, 'images.lock');
    await publish('later', '1', versions[2]);
    const input = await pod(`${host}/app:1`, `${host}/later:1`, `${host}/none:1`);
    const args = [input, '--lock', lock, '--plain-http'];
    expect((await resolveJson(args)).missing.map(({ reference }) => reference)).toEqual([`${host}/none:1`]);
    expect(await lockLines(lock)).toHaveLength(2);
    await writeFile(lock, (await readFile(lock, 'utf8')).replace(`${host}/later:1`, `${host}/later:gone`));
    const gone = await resolveJson([await pod(`${host}/app:1`, `${host}/later:gone`), '--lock', lock, '--plain-http']);
    expect(gone.images.map(({ digest }) => digest)).toEqual([first, third]);
    expect(gone.moved).toEqual([]);
  });

  it('is an error for an image that does not exist, and leaves the file as it was', async () => {
    const { host } = registry;
    const lock = join(folder, 'images.lock');
    await resolveJson([await list(`${host}/app:1`), '--lock', lock, '--plain-http']);
    const text = await readFile(lock, 'utf8');
    const { exitCode, stderr } = await runResolve([
      await list(`${host}/app:1`, `${host}/none:1`),
      '--lock',
      lock,
      '--plain-http',
    ]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`${host}/none:1`);
    expect(await readFile(lock, 'utf8')).toBe(text);
  });

  it.each([
    ['no YAML', 'digests: [\n'],
    ['another version', 'version: 2\ndigests: {}\n'],
    ['no digest', 'version: 1\ndigests: {"x.io/a:1": latest}\n'],
    ['a list', '- a\n'],
    ['nothing', ''],
    [
      'a reference twice',
      `version: 1\ndigests:\n${['0', '1'].map((digit) => `  x.io/a:1: sha256:${digit.repeat(64)}\n`).join('')}`,
    ],
    ['the end of a line more', `version: 1\ndigests: {"x.io/a:1": "sha256:${'0'.repeat(64)}"}}}\n`],
  ])('refuses a lock file that holds %s', async (_name, text) => {
    const lock = join(folder, 'images.lock');
    await writeFile(lock, text);
    const { exitCode, stderr } = await runResolve([await list('x.invalid/a:1'), '--lock', lock]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`the lock file '${lock}' cannot be read`);
    expect(await readFile(lock, 'utf8')).toBe(text);
  });
});
