import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, contentsOf, image, index, noise, pushAll } from '../support/graphs.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { reply, startScriptedServer } from '../support/scripted-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess, startCli } from './run-cli.ts';

const user = { username: 'reader', password: 'correct-horse-battery' };
const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip';
const shared = blob(noise(400_000, 'shared'), gzipLayer);
const app = image([shared, blob(noise(50_000, 'app'), gzipLayer)]);
const multi = index([image([shared]), image([blob(noise(30_000, 'arm'), 'application/vnd.oci.image.layer.v1.tar')])]);
const contents = contentsOf(app, multi);
const storedBytes = contents.reduce((sum, { descriptor }) => sum + descriptor.size, 0);

let source: DockerRegistry;
let harbor: HarborFront;
let folder: string;
let profile: string;
let passwordFile: string;
let bundle: string;

beforeAll(async () => {
  [source, harbor, folder] = await Promise.all([
    startDockerRegistry({ basicAuth: user }),
    HarborFront.start(),
    temporaryFolder(),
  ]);
  const login = { find: () => Promise.resolve(user) };
  const client = new RegistryClient({ plainHttp: 'all', credentials: login });
  const app1 = client.repository(source.host, 'app/one');
  await pushAll(app1, app);
  await app1.tag(app.descriptor, '1.0');
  await pushAll(client.repository(source.host, 'app/multi'), multi);
  await client.close();
  profile = join(folder, 'shop.yaml');
  await writeFile(profile, shopProfile());
  passwordFile = join(folder, 'password');
  await writeFile(passwordFile, `${user.password}\n`);
});

afterAll(async () => {
  await source.stop();
  await harbor.close();
});

function shopProfile(): string {
  return `metadata: {name: "My Shop!"}
spec:
  template:
    type: add-on
    packs:
      - name: web
        type: oci
        layer: addon
        values: |
          pack: {content: {images: [{image: "${source.host}/app/one:1.0"}]}}
          charts: {web: {replicas: 1}}
      - name: batch
        type: manifest
        layer: addon
        manifests:
          - name: pod
            content: |
              kind: Pod
              spec: {containers: [{image: "${source.host}/app/multi@${multi.descriptor.digest}"}]}
`;
}

const buildArgs = (out = join(folder, 'out')): string[] => [
  'build',
  profile,
  '--out',
  out,
  `--plain-http=${source.host}`,
  '--allow-unrendered',
];
const loginArgs = (): string[] => ['--username', user.username, '--password-file', passwordFile];

describe('build', () => {
  it('gives one JSON document on stdout and JSON lines on stderr', async () => {
    const { exitCode, stdout, stderr } = await runInProcess([
      ...buildArgs(),
      ...loginArgs(),
      '--output',
      'json',
      '--log',
      'json',
    ]);
    expect(stderr).not.toContain(user.password);
    expect(exitCode).toBe(0);
    const document = documentSchemas.build.parse(JSON.parse(stdout));
    bundle = document.bundle.path;
    expect(bundle).toBe(
      join(folder, 'out', `content-${document.bundle.id}`, `core-my-shop-${document.bundle.id}.tar.zst`),
    );
    expect(document).toMatchObject({
      images: 2,
      blobs: contents.length,
      bytes: { referenced: storedBytes + shared.descriptor.size, stored: storedBytes, saved: shared.descriptor.size },
    });
    const records = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records).toContainEqual(
      expect.objectContaining({
        level: 'warning',
        message: expect.stringMatching(/pack 'web'.*not rendered/) as string,
      }),
    );
    expect(records).toContainEqual(
      expect.objectContaining({
        event: 'resolved',
        reference: `${source.host}/app/one:1.0`,
        digest: app.descriptor.digest,
      }),
    );
  });

  it('writes plain lines without a terminal, and nothing at all when quiet', async () => {
    const loud = await runInProcess([...buildArgs(), ...loginArgs()]);
    expect(loud.stderr).toMatch(/^warning: profile 'My Shop!', pack 'web': .*not rendered/m);
    expect(loud.stderr).not.toContain('\u001B');
    expect(loud.stdout).toContain(`bundle       ${bundle}\n`);
    const quiet = await runInProcess([...buildArgs(), ...loginArgs(), '--quiet']);
    expect(quiet).toEqual({ exitCode: 0, stdout: loud.stdout, stderr: '' });
  });

  it('reads a password from standard input and from the environment', async () => {
    const fromStdin = await runInProcess([...buildArgs(), '--username', user.username, '--password-stdin'], {
      stdin: `${user.password}\n`,
    });
    expect(fromStdin.exitCode).toBe(0);
    const environment = { EDGE_BUNDLE_USERNAME: user.username, EDGE_BUNDLE_PASSWORD: user.password };
    const fromEnvironment = await runInProcess(buildArgs(), { environment });
    expect(fromEnvironment).toMatchObject({ exitCode: 0, stdout: fromStdin.stdout });
  });

  it('reads standard input once, though packs are looked for and images fetched with the same login', async () => {
    const list = join(folder, 'one.txt');
    await writeFile(list, `${source.host}/app/one:1.0\n`);
    const common = ['build', list, '--name', 'one', '--out', join(folder, 'one'), '--pack-registry', source.host];
    const reader = ['--username', user.username, '--password-stdin'];
    const options = ['--plain-http', '--referrers=false', '--quiet'];
    const once = await runInProcess([...common, ...options, ...reader], { stdin: user.password });
    expect(once).toMatchObject({ exitCode: 0, stderr: '' });
    const logins = JSON.stringify({ image: [{ endpoint: source.host, ...user }] });
    const file = await runInProcess([...common, ...options, '--cred-file', '-'], { stdin: logins });
    expect(file).toMatchObject({ exitCode: 0, stderr: '' });
    const both = await runInProcess([...common, ...options, ...reader, '--cred-file', '-'], { stdin: logins });
    expect(both.exitCode).toBe(2);
  });

  it('refuses a wrong password without showing it, and leaves nothing behind', async () => {
    const out = join(folder, 'refused');
    const { exitCode, stdout, stderr } = await runInProcess(
      [...buildArgs(out), '--username', user.username, '--password-stdin'],
      { stdin: 'wrong-password-1' },
    );
    expect(exitCode).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(`^ {2}${source.host}/app/one:1\\.0: .*401`, 'm'));
    expect(stderr).not.toContain('wrong-password-1');
    await expect(readdir(out)).rejects.toThrow('ENOENT');
  });

  it('takes a user only where all images come from one registry', async () => {
    const list = join(folder, 'two.txt');
    await writeFile(list, `${source.host}/app/one:1.0\nquay.io/app:1\n`);
    const { exitCode, stderr } = await runInProcess(['build', list, ...loginArgs()]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(
      new RegExp(`^error: the user 'reader' .*come from 2: ${source.host}, quay\\.io\nhint: .*--cred-file`),
    );
  });

  it('takes several logins from a file', async () => {
    const file = join(folder, 'logins.json');
    await writeFile(file, JSON.stringify({ image: [{ endpoint: source.host, ...user }] }));
    expect(await runInProcess([...buildArgs(), '--cred-file', file, '--quiet'])).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
  });
});

describe('inspect', () => {
  it('lists the images with their packs', async () => {
    const { stdout, stderr } = await runInProcess(['inspect', bundle, '--output', 'json']);
    expect(stderr).toBe('');
    const document = documentSchemas.inspect.parse(JSON.parse(stdout));
    const bytes = (root: typeof app): number =>
      contentsOf(root).reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    expect(document.blobs).toBe(contents.length);
    expect(document.bundle.path).toBe(bundle);
    expect(document.images).toEqual([
      {
        reference: `${source.host}/app/one:1.0`,
        digest: app.descriptor.digest,
        mediaType: app.descriptor.mediaType,
        bytes: bytes(app),
        packs: ['web'],
      },
      {
        reference: `${source.host}/app/multi@${multi.descriptor.digest}`,
        digest: multi.descriptor.digest,
        mediaType: multi.descriptor.mediaType,
        bytes: bytes(multi),
        packs: ['batch'],
      },
    ]);
  });

  it('shows the tree down to each layer', async () => {
    const { stdout } = await runInProcess(['inspect', bundle, '--output', 'tree']);
    const digits = shared.descriptor.digest.slice('sha256:'.length, 'sha256:'.length + 12);
    expect(stdout).toMatch(new RegExp(`^├─ ${source.host}/app/one:1\\.0 ${app.descriptor.digest} `, 'm'));
    expect(stdout).toMatch(new RegExp(`^│  [├└]─ ${digits} ${gzipLayer.replace('+', '\\+')} 400 kB$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^   │  [├└]─ ${digits} `, 'm'));
  });

  it('does not mind a reader that goes away', async () => {
    const running = startCli(['inspect', bundle, '--output', 'tree']);
    running.process.stdout.destroy();
    expect(await running.result()).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('verify', () => {
  it('checks a bundle, and names what is damaged', async () => {
    const good = await runInProcess(['verify', bundle, '--output', 'json', '--quiet']);
    expect(good).toMatchObject({ exitCode: 0, stderr: '' });
    const document = documentSchemas.verify.parse(JSON.parse(good.stdout));
    expect(document).toEqual({
      images: 2,
      charts: 0,
      blobs: { uploaded: 0, mounted: 0, present: contents.length },
      missing: [],
    });

    const bytes = await readFile(bundle);
    const at = bytes.indexOf(shared.bytes.subarray(1000, 1100));
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    const damaged = join(folder, 'damaged.tar.zst');
    await writeFile(damaged, bytes);
    const bad = await runInProcess(['verify', damaged, '--output', 'json']);
    expect(bad.stderr).toContain(`error: the bundle '${damaged}' is not as it was built: 1 problem\n`);
    expect(bad.exitCode).toBe(4);
    expect(bad.stdout).toBe('');
    expect(bad.stderr).toContain(shared.descriptor.digest);
  });
});

describe('verify against a registry', () => {
  it('writes what is missing as the result, names it in the error, and exits with 3', async () => {
    const args = ['verify', bundle, '--registry', source.url, ...loginArgs(), '--output', 'json'];
    const { exitCode, stdout, stderr } = await runInProcess(args);
    expect(exitCode).toBe(3);
    const document = documentSchemas.verify.parse(JSON.parse(stdout));
    expect(document.blobs).toEqual({ uploaded: 0, mounted: 0, present: 0 });
    const repository = `spectro-images/${source.host.replace(':', '-')}/app/one`;
    expect(document.missing).toContainEqual({
      kind: 'tag',
      repository,
      tag: '1.0',
      digest: app.descriptor.digest,
      references: [`${source.host}/app/one:1.0`],
    });
    expect(stderr).toContain(`  ${repository}: tag '1.0' is missing`);
  });
});

describe('load', () => {
  it('brings a bundle into a Harbor, and verify finds all of it there', async () => {
    await writeFile(join(folder, 'harbor-password'), harborAdmin.password);
    const target = ['--harbor', harbor.url, '--ca-cert', harbor.caPath, '--username', harborAdmin.name];
    const login = [...target, '--password-file', join(folder, 'harbor-password'), '--output', 'json'];
    const loaded = await runInProcess(['load', bundle, ...login]);
    expect(loaded.exitCode).toBe(0);
    expect(documentSchemas.load.parse(JSON.parse(loaded.stdout))).toEqual({
      images: 2,
      charts: 0,
      blobs: { uploaded: 6, mounted: 1, present: 0 },
      missing: [],
    });
    expect(loaded.stderr).toMatch(new RegExp(`^loaded ${source.host}/app/one:1\\.0$`, 'm'));

    const verified = await runInProcess(['verify', bundle, ...login]);
    expect(verified.exitCode).toBe(0);
    expect(JSON.parse(verified.stdout)).toMatchObject({ blobs: { present: 7 }, missing: [] });
    // Two commands are two logins; the front counts a login for each repository as a storm.
    expect(harbor.state.violations).toEqual([]);
  });
});

describe('serve', () => {
  it('serves a bundle until a signal comes', async () => {
    const running = startCli(['serve', bundle, '--listen', '127.0.0.1:0']);
    const [url] = await running.waitFor(/http:\/\/127\.0\.0\.1:\d+/);
    const name = `${source.host.replace(':', '-')}/app/one`;
    const answer = await fetch(`${url}/v2/${name}/manifests/1.0`, { headers: { accept: app.descriptor.mediaType } });
    expect(answer.headers.get('docker-content-digest')).toBe(app.descriptor.digest);
    await answer.arrayBuffer();
    await running.waitFor(/^GET \/v2\/.*\/manifests\/1\.0 200$/m);
    running.process.kill('SIGTERM');
    expect(await running.result()).toMatchObject({ exitCode: 0, stdout: `${url}\n` });
  });

  it('does not let clients push into a bundle', async () => {
    const { exitCode, stderr } = await runInProcess(['serve', bundle, '--writable', '--listen', '127.0.0.1:0']);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/^error: --writable: .* is a file; a bundle never changes/);
  });
});

describe('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends a build in order', async (signal, exitCode) => {
    const silence = (): undefined => undefined;
    const silent = await startScriptedServer({
      'HEAD /v2/app/manifests/1': silence,
      'GET /v2/app/manifests/1': silence,
    });
    try {
      const list = join(folder, 'silent.txt');
      await writeFile(list, `${silent.host}/app:1\n`);
      const running = startCli(['build', list, '--plain-http', '--out', join(folder, 'interrupted')]);
      while (silent.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      running.process.kill(signal);
      const result = await running.result();
      expect(result.exitCode).toBe(exitCode);
      expect(result.stderr).toMatch(new RegExp(`^error: interrupted by ${signal}$`, 'm'));
      expect(result.stderr).toMatch(/^hint: Run the same command again: it goes on from what it could keep\.$/m);
      expect(result.stdout).toBe('');
    } finally {
      await silent.stop();
    }
  });
});

describe('a registry that answers nonsense', () => {
  it('ends a build with one clear error', async () => {
    const broken = await startScriptedServer({
      'HEAD /v2/app/manifests/1': reply(500),
      'GET /v2/app/manifests/1': reply(500),
    });
    try {
      const list = join(folder, 'broken.txt');
      await writeFile(list, `${broken.host}/app:1\n`);
      const { exitCode, stderr } = await runInProcess(['build', list, '--plain-http', '--out', join(folder, 'broken')]);
      expect(exitCode).not.toBe(0);
      expect(stderr).toMatch(new RegExp(`^ {2}${broken.host}/app:1: .*500`, 'm'));
      expect(stderr).not.toContain('unexpected');
    } finally {
      await broken.stop();
    }
  });
});
