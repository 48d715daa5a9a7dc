import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { HarborClient } from '../../src/harbor/harbor-client.ts';
import { loadBundle } from '../../src/loader/load-bundle.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { connectionFacts } from '../../src/preflight/connection-facts.ts';
import { checkConnection } from '../../src/preflight/connection-checks.ts';
import type { HostFacts } from '../../src/preflight/host-checks.ts';
import { preflight, type PreflightOptions } from '../../src/preflight/preflight.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import type { Check, CheckName } from '../../src/report/preflight-check.ts';
import { formatBytes } from '../../src/report/units.ts';
import { runInProcess } from '../cli/run-cli.ts';
import { build, first, second } from '../delta/world.ts';
import { type Content, contentsOf, image, pushAll } from '../support/graphs.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import type { HarborUser } from '../support/harbor-accounts.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { intoHarbor } from '../loader/into-harbor.ts';
import { bundleOf, layer, type MemoryBundle, type SampleChart } from '../loader/sample-bundle.ts';

const host: HostFacts = { architecture: 'amd64', cpus: 8, memoryBytes: 32e9, nowMs: Date.now() + 60_000 };
const developer = { name: 'dev', password: 'dev-password', rights: { there: ['pull', 'push'] } } satisfies HarborUser;
const guest = { name: 'guest', password: 'guest-password', rights: { there: ['pull'] } } satisfies HarborUser;
const robot = { name: 'robot$all', password: 'robot-password', mayCreateProjects: true } satisfies HarborUser;

let front: HarborFront;
let bundle: MemoryBundle;
/** Of all blobs. */
let contentBytes: number;

beforeAll(async () => {
  front = await HarborFront.start({ users: [harborAdmin, developer, guest, robot] });
  front.state.addProject({ name: 'there' });
  const made = await bundleOf({ 'docker.io/library/a:1': image([layer('a', 100_000)]) });
  bundle = withDocument(made, { platforms: ['linux/amd64'], sourceDateEpoch: 1_700_000_000 });
  contentBytes = made.document.blobs.reduce((sum, { size }) => sum + size, 0);
});

beforeEach(() => front.reset());

afterAll(() => front.close());

function withDocument(made: MemoryBundle, members: Partial<BundleDocument>): MemoryBundle {
  return { ...made, document: { ...made.document, ...members } };
}

function hostChecks(options: Partial<PreflightOptions> = {}): Promise<readonly Check[]> {
  return preflight({ bundles: [bundle], project: 'there', host, ...options });
}

async function harborChecks(
  project: string,
  user: HarborUser | 'nobody' = harborAdmin,
  options: { readonly ca?: string | undefined; readonly insecure?: boolean } = { ca: front.ca },
  more: Partial<PreflightOptions> = {},
): Promise<readonly Check[]> {
  const login = user === 'nobody' ? undefined : { username: user.name, password: user.password };
  const credentials = login === undefined ? undefined : new FixedCredentials(front.host, login);
  const client = new RegistryClient({ ...options, credentials });
  const harbor = new HarborClient(front.host, { ...options, credentials });
  const connection = connectionFacts(front.host, options);
  try {
    const target = { registry: front.host, client, harbor, hasLogin: login !== undefined, connection };
    return await hostChecks({ project, target, ...more });
  } finally {
    await harbor.close();
    await client.close();
  }
}

/** `pass: …` of one check. */
function verdict(checks: readonly Check[], name: CheckName): string {
  return checks
    .filter((check) => check.name === name)
    .map(({ status, message }) => `${status}: ${message}`)
    .join('; ');
}

/** Says that it has two layers of 1 PB. */
async function hugeBundle(): Promise<MemoryBundle> {
  const layers = ['one', 'two'].map((seed) => layer(seed, 10));
  const huge = layers.map((each) => ({ ...each, descriptor: { ...each.descriptor, size: 1e15 } }));
  const root = image(huge);
  const made = await bundleOf({ 'docker.io/library/huge:1': image(layers) });
  await pushAll(made.store, { ...root, children: root.children.filter((child) => !huge.includes(child)) });
  const { digest, size } = root.descriptor;
  const images = made.document.images.map((each) => ({ ...each, digest, size }));
  return { ...withDocument(made, { images }), exists: () => Promise.resolve(true) };
}

describe('of the host, preflight', () => {
  it('passes one that fits', async () => {
    const checks = await hostChecks({ dataPath: '/' });
    expect(checks.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'architecture pass',
      'cpus pass',
      'memory pass',
      'storage pass',
      'clock pass',
    ]);
  });

  it('fails where the images are for other processors', async () => {
    const checks = await hostChecks({ host: { ...host, architecture: 'arm64' } });
    expect(verdict(checks, 'architecture')).toBe('fail: this host is arm64; the images are for linux/amd64');
    const all = withDocument(bundle, { platforms: [] });
    expect(verdict(await hostChecks({ bundles: [all] }), 'architecture')).toMatch(/^pass/);
    const variant = withDocument(bundle, { platforms: ['linux/arm64/v8'] });
    expect(
      verdict(await hostChecks({ bundles: [variant], host: { ...host, architecture: 'arm64' } }), 'architecture'),
    ).toMatch(/^pass/);
  });

  it('warns of few processors and little memory; a single node needs more', async () => {
    const small = { ...host, cpus: 4, memoryBytes: 8.3e9 };
    expect(verdict(await hostChecks({ host: small }), 'cpus')).toBe('pass: 4 CPUs of 4');
    expect(verdict(await hostChecks({ host: small }), 'memory')).toMatch(/^pass/);
    const single = await hostChecks({ host: small, isSingleNode: true });
    expect(verdict(single, 'cpus')).toBe('warn: 4 CPUs of 6');
    expect(verdict(single, 'memory')).toBe('warn: 8.3 GB of 12.0 GB');
    expect(verdict(await hostChecks({ host: { ...host, cpus: 3, memoryBytes: 7.9e9 } }), 'cpus')).toMatch(/^warn/);
  });

  it('fails where the data has no place, and only warns where the place is a guess', async () => {
    const bundles = [await hugeBundle()];
    expect(verdict(await hostChecks({ bundles, dataPath: '/' }), 'storage')).toMatch(
      /^fail: '\/' has .* free; the images are/,
    );
    expect(verdict(await hostChecks({ bundles }), 'storage')).toMatch(/^warn: '\/var'/);
    expect(verdict(await hostChecks({ dataPath: '/nowhere/at/all' }), 'storage')).toMatch(/^fail/);
    // The same blob in two bundles needs its place once.
    const twice = [...bundles, ...bundles];
    expect(verdict(await hostChecks({ bundles: twice, dataPath: '/' }), 'storage')).toContain('the images are 2.0 PB,');
  });

  it('warns of a clock that is behind the content', async () => {
    const checks = await hostChecks({ host: { ...host, nowMs: 0 } });
    expect(verdict(checks, 'clock')).toBe(
      'warn: it is 1970-01-01T00:00:00.000Z here, and the content is of 2023-11-14T22:13:20.000Z',
    );
  });
});

describe('of a Harbor, preflight', () => {
  it('passes one that takes the content, and changes nothing there', async () => {
    const checks = await harborChecks('there', developer);
    expect(checks.slice(5).map(({ name, status }) => `${name} ${status}`)).toEqual([
      'address pass',
      'connection pass',
      // Of the test: it is good for two days.
      'certificate warn',
      'health pass',
      'credentials pass',
      'read-only pass',
      'project pass',
      'quota pass',
    ]);
    const changing = front.requests.filter(({ method }) => /PUT|PATCH/.test(method));
    expect(changing).toEqual([]);
    expect(front.count('POST', /blobs\/uploads\/$/)).toBe(1);
    expect(front.count('DELETE', /blobs\/uploads\/./)).toBeGreaterThan(0);
    expect(front.state.violations).toEqual([]);
  });

  it('says whether a project that is not there can be made', async () => {
    expect(verdict(await harborChecks('absent'), 'project')).toBe('pass: it does not exist, and will be created');
    expect(verdict(await harborChecks('absent', developer), 'project')).toMatch(/^fail: .* may not create it/);
    expect(verdict(await harborChecks('absent', robot), 'project')).toMatch(/^warn: .* cannot be told/);
    expect(front.state.projects.has('absent')).toBe(false);
  });

  it('fails where the login may only read', async () => {
    const checks = await harborChecks('there', guest);
    expect(checks.find(({ name }) => name === 'project')).toMatchObject({ subject: 'there', status: 'fail' });
  });

  it('fails with a wrong password, and asks for nothing more', async () => {
    const checks = await harborChecks('there', { name: 'nobody', password: 'wrong-password' });
    expect(checks.at(-1)).toMatchObject({ name: 'credentials', status: 'fail' });
    expect(JSON.stringify(checks)).not.toContain('wrong-password');
  });

  it('warns where there is no login', async () => {
    expect(verdict(await harborChecks('there', 'nobody'), 'credentials')).toMatch(/^warn: there is no login/);
  });

  it('compares what is needed with what the quota leaves', async () => {
    front.state.knobs.quotaBytes = contentBytes - 1;
    expect(verdict(await harborChecks('there', developer), 'quota')).toMatch(/^fail: .* are free/);
    front.state.knobs.quotaBytes = contentBytes;
    expect(verdict(await harborChecks('there', developer), 'quota')).toMatch(/^pass/);
  });

  it('counts charts in their own project, and what both have in each', async () => {
    const shared = layer('shared', 50_000);
    const app = image([shared, layer('a', 100_000)]);
    const content = image([shared, layer('chart', 7_000)]);
    const chart = { kind: 'chart', name: 'web', version: '1.0.0', reference: 'localhost/charts/web:1.0.0' } as const;
    const charts: readonly SampleChart[] = [{ ...chart, content }];
    const both = await bundleOf({ 'docker.io/library/a:1': app }, charts);
    const bytesOf = (...roots: readonly Content[]): number =>
      contentsOf(...roots).reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const images = front.state.addProject({ name: 'images', quotaBytes: bytesOf(app) });
    const packs = front.state.addProject({ name: 'packs', quotaBytes: bytesOf(content) });
    const check = async (packsProject = 'packs', project = 'images'): Promise<readonly string[]> => {
      const checks = await harborChecks(project, harborAdmin, { ca: front.ca }, { bundles: [both], packsProject });
      return checks.filter(({ name }) => name === 'quota').map(({ subject, status }) => `${subject ?? ''} ${status}`);
    };
    expect(await check()).toEqual(['images pass', 'packs pass']);
    images.quotaBytes = bytesOf(app) - 1;
    expect(await check()).toEqual(['images fail', 'packs pass']);
    packs.quotaBytes = bytesOf(content) - 1;
    expect(await check()).toEqual(['images fail', 'packs fail']);
    // Both in one project: what they share counts once.
    const one = front.state.addProject({ name: 'one', quotaBytes: bytesOf(app, content) });
    expect(await check('one', 'one')).toEqual(['one pass']);
    one.quotaBytes = bytesOf(app, content) - 1;
    expect(await check('one', 'one')).toEqual(['one fail']);
  });

  it('fails where an image has no place in the project', async () => {
    const named = await bundleOf({ [`docker.io/library/${'a'.repeat(250)}:1`]: image([layer('a')]) });
    const checks = await hostChecks({ bundles: [named] });
    expect(checks.find(({ name }) => name === 'project')).toMatchObject({ subject: 'sample', status: 'fail' });
  });

  it('fails while it is read-only or ill, and warns where only what a load does not need is ill', async () => {
    front.state.knobs.readOnly = true;
    expect(verdict(await harborChecks('there'), 'read-only')).toBe(
      'fail: Harbor v2.15.2-e0a4b1c2 is in read-only mode',
    );
    front.reset();
    front.state.knobs.unhealthy.add('trivy');
    expect(verdict(await harborChecks('there'), 'health')).toMatch(/^warn: not healthy: trivy/);
    front.state.knobs.unhealthy.add('redis');
    const ill = await harborChecks('there');
    expect(verdict(ill, 'health')).toMatch(/^fail: not healthy: redis .*, trivy/);
    expect(ill.at(-1)?.name).toBe('health');
  });

  it('names the authority that is not trusted', async () => {
    const checks = await harborChecks('there', harborAdmin, {});
    expect(verdict(checks, 'certificate')).toMatch(
      /^fail: the certificate is not trusted .*issued by CN=edge-bundle test CA/,
    );
    expect(checks.at(-1)?.name).toBe('certificate');
    const insecure = await harborChecks('there', harborAdmin, { insecure: true });
    expect(verdict(insecure, 'certificate')).toMatch(/^warn: the certificate is not trusted/);
    expect(verdict(insecure, 'project')).toBe('pass: this login may push');
  });
});

describe('of the way to a registry, preflight', () => {
  const facts = { isPlainHttp: false, isInsecure: false, address: undefined } as const;
  const now = Date.now() + 60_000;

  it('tells a name that nobody knows, and a port where nobody listens', async () => {
    const unknown = await checkConnection({ ...facts, host: 'harbor.invalid', port: 443, ca: undefined }, now);
    expect(unknown.map(({ name, status }) => `${name} ${status}`)).toEqual(['address fail']);
    expect(unknown[0]?.hint).toContain('--resolve harbor.invalid:PORT:ADDRESS');
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const closed = await checkConnection({ ...facts, host: '127.0.0.1', port, ca: undefined }, now);
    expect(verdict(closed, 'connection')).toBe(`fail: 127.0.0.1:${port}: nothing listens there (connection refused)`);
  });

  it('uses the address that is given for a name, and the name in the certificate', async () => {
    const port = Number(front.host.split(':')[1]);
    const named = await checkConnection({ ...facts, host: 'localhost', port, address: '127.0.0.1', ca: front.ca }, now);
    expect(verdict(named, 'address')).toBe('pass: localhost is 127.0.0.1, by --resolve');
    // The certificate of the test is good for two days.
    expect(verdict(named, 'certificate')).toMatch(/^warn: trusted, names localhost, expires on .*, in 1 days$/);
    const other = await checkConnection(
      { ...facts, host: 'harbor.other.local', port, address: '127.0.0.1', ca: front.ca },
      now,
    );
    expect(verdict(other, 'certificate')).toMatch(
      /^fail: the certificate names IP Address:127\.0\.0\.1, DNS:localhost, .*and not harbor\.other\.local/,
    );
  });

  it('compares the dates of the certificate with the clock', async () => {
    const port = Number(front.host.split(':')[1]);
    const at = (ms: number): Promise<readonly Check[]> =>
      checkConnection({ ...facts, host: '127.0.0.1', port, ca: front.ca }, ms);
    expect(verdict(await at(0), 'certificate')).toMatch(
      /^fail: the certificate is valid from .*, and it is 1970-01-01/,
    );
    expect(verdict(await at(now + 10 * 86_400_000), 'certificate')).toMatch(/^fail: the certificate expired on /);
  });

  it('tells what speaks no TLS from what does', async () => {
    const server = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const checks = await checkConnection({ ...facts, host: '127.0.0.1', port, ca: undefined }, now);
    server.close();
    expect(verdict(checks, 'certificate')).toMatch(/^fail: 127\.0\.0\.1:\d+ does not speak TLS/);
    await expect(
      checkConnection({ ...facts, host: '127.0.0.1', port: Number(front.host.split(':')[1]), ca: 'no PEM' }, now),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('of a delta, preflight', () => {
  let full: BundleReader;
  let delta: BundleReader;

  beforeAll(async () => {
    const out = await temporaryFolder();
    const base = await build(first, out);
    const built = await build(second, out, { base: await readBundleDocument(base.bundle.path) });
    full = await BundleReader.open(base.bundle.path);
    delta = await BundleReader.open(built.bundle.path);
  });

  afterAll(async () => {
    await full.close();
    await delta.close();
  });

  function deltaChecks(project: string, bundles: readonly BundleReader[] = [delta]): Promise<readonly Check[]> {
    return harborChecks(project, harborAdmin, { ca: front.ca }, { bundles, packsProject: `${project}-packs` });
  }

  it('counts only what it carries, and once what its base carries too', async () => {
    const own = new Map<string, number>(delta.document.blobs.map(({ digest, size }) => [digest, size]));
    const all = new Map([...full.document.blobs.map(({ digest, size }) => [digest, size] as const), ...own]);
    const bytesOf = (sizes: ReadonlyMap<string, number>): number =>
      [...sizes.values()].reduce((sum, size) => sum + size, 0);
    for (const [bundles, expected] of [
      [[delta], bytesOf(own)],
      [[delta, full], bytesOf(all)],
    ] as const) {
      const storage = verdict(await hostChecks({ bundles, dataPath: '/' }), 'storage');
      expect(storage).toContain(`the images are ${formatBytes(expected)},`);
    }
    front.state.addProject({ name: 'delta-quota', quotaBytes: bytesOf(own) });
    expect(verdict(await deltaChecks('delta-quota'), 'quota')).toMatch(/^pass/);
  });

  it('wants its base among the bundles, or in the registry, and changes nothing there', async () => {
    const name = `its base 'site', ${full.id},`;
    expect(verdict(await deltaChecks('delta', [delta, full]), 'base')).toBe(`pass: ${name} is loaded before it`);
    const absent = await deltaChecks('delta');
    expect(verdict(absent, 'base')).toContain(`fail: ${name} is not in the registry`);
    expect(absent.find((check) => check.name === 'base')).toMatchObject({
      subject: 'site',
      hint: expect.stringContaining('merge') as string,
    });
    expect(front.state.projects.has('delta')).toBe(false);
    const closing: (() => Promise<void>)[] = [];
    const into = intoHarbor(front, bundle, { project: 'delta', packsProject: 'delta-packs', closing });
    await loadBundle({ ...into, bundle: full });
    for (const close of closing) await close();
    front.requests.length = 0;
    expect(verdict(await deltaChecks('delta'), 'base')).toBe(`pass: ${name} is in the registry`);
    const written = front.requests.filter(({ method }) => /POST|PUT|PATCH/.test(method));
    // What shows whether it may push.
    expect(written.every(({ path }) => path.includes('/edge-bundle-preflight/'))).toBe(true);
    // Where a blob of the base is lost.
    front.state.knobs.collecting.add(delta.document.base?.blobs[0]?.digest ?? '');
    expect(verdict(await deltaChecks('delta'), 'base')).toContain(' lacks 1 of the blobs ');
    expect(front.state.violations).toEqual([]);
  });

  it('is told by the command, of several bundles at once', async () => {
    const paths = [delta, full].map(({ paths: [path = ''] }) => path);
    const { exitCode, stdout } = await runInProcess(['preflight', ...paths, '--output', 'json']);
    expect(exitCode).toBe(0);
    const { checks } = documentSchemas.preflight.parse(JSON.parse(stdout));
    expect(verdict(checks, 'base')).toContain('is loaded before it');
  });

  it('only warns where the registry is not asked', async () => {
    expect(verdict(await hostChecks({ bundles: [delta] }), 'base')).toMatch(/^warn: .* the registry is not asked$/);
  });
});
