import { execFileSync } from 'node:child_process';
import { cp, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { writeParts } from '../../src/bundle/write-parts.ts';
import { readSigner } from '../../src/trust/signer.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { build, first, second } from '../delta/world.ts';
import { failureOf } from '../support/expect-error.ts';
import { HarborFront } from '../support/harbor-front.ts';
import { makeKey } from '../support/signing-keys.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { EdgeHost } from './edge-host.ts';

/** Of a base of `first` and a delta of `second` on it. */
interface Chain {
  readonly base: { readonly path: string; readonly id: string };
  readonly delta: { readonly path: string; readonly id: string };
}

let front: HarborFront;
let host: EdgeHost;
let chain: Chain;

beforeAll(async () => {
  front = await HarborFront.start();
  const out = await temporaryFolder();
  const { bundle: base } = await build(first, out);
  const { bundle: delta } = await build(second, out, { base: await readBundleDocument(base.path) });
  chain = { base, delta };
});

beforeEach(async () => {
  front.reset();
  host = await EdgeHost.create(front);
});

afterEach(() => {
  expect(front.state.violations).toEqual([]);
});

afterAll(() => front.close());

/** A project for charts too, of this host alone. */
function projects() {
  return { packsProject: `${host.project}-packs` };
}

/** Where in the requests a repository was first written to. */
function firstWriteTo(repository: string): number {
  const path = `/v2/${host.project}/${repository}/`;
  return front.requests.findIndex((request) => request.method !== 'HEAD' && request.path.startsWith(path));
}

describe('a delta and its base', () => {
  it('on one medium are loaded base first, whatever their names', async () => {
    await cp(chain.delta.path, join(host.content, 'a.tar.zst'));
    await cp(chain.base.path, join(host.content, 'b.tar.zst'));
    const status = await host.boot(projects());
    expect(status).toMatchObject({
      state: 'done',
      line: 'done: 2 bundles loaded',
      bundles: [
        { id: chain.base.id, state: 'loaded' },
        { id: chain.delta.id, baseId: chain.base.id, state: 'loaded' },
      ],
    });
    // Only the base has the one, only the delta the other.
    expect(firstWriteTo('registry.k8s.io/old')).toBeGreaterThan(0);
    expect(firstWriteTo('ghcr.io/new/home')).toBeGreaterThan(firstWriteTo('registry.k8s.io/old'));
    for (const reference of [...Object.keys(first.images), ...Object.keys(second.images)])
      expect(await host.isThere(reference), reference).toBe(true);
  });

  it('are good where only the registry has the base, from another host', async () => {
    await cp(chain.base.path, join(host.content, 'base.tar.zst'));
    await host.boot({ ...projects(), stateDir: join(host.folder, 'state of another host') });
    await rm(join(host.content, 'base.tar.zst'));
    await cp(chain.delta.path, join(host.content, 'delta.tar.zst'));
    const status = await host.boot(projects());
    expect(status.bundles).toMatchObject([{ id: chain.delta.id, state: 'loaded' }]);
    expect(await host.isThere('ghcr.io/new/home:1')).toBe(true);
  });

  it('are BASE_MISSING where the base is nowhere: nothing is sent, and the next run with the base loads both', async () => {
    await cp(chain.delta.path, join(host.content, 'delta.tar.zst'));
    await host.bundle('other');
    const error = await failureOf(host.boot(projects()));
    expect(error).toMatchObject({ code: 'BASE_MISSING', exitCode: 3 });
    expect(error.message).toContain(`bundle site ${chain.delta.id}`);
    expect(error.hint).toContain(chain.base.id);
    expect([await host.isLoaded('other'), firstWriteTo('ghcr.io/new/home')]).toEqual([true, -1]);
    await cp(chain.base.path, join(host.content, 'the base.tar.zst'));
    const { bundles } = await host.boot(projects());
    expect(bundles.map(({ state }) => state).toSorted()).toEqual(['already-loaded', 'loaded', 'loaded']);
  });

  it('fail both where the base is damaged, and the delta names it', async () => {
    await cp(chain.delta.path, join(host.content, 'a-delta.tar.zst'));
    const base = join(host.content, 'b-base.tar.zst');
    await cp(chain.base.path, base);
    // Within the layers: the bundle can be opened, and not be loaded.
    const file = await open(base, 'r+');
    await file.write(Buffer.alloc(40_000, 1), 0, 40_000, Math.round((await file.stat()).size / 2));
    await file.close();
    const error = await failureOf(host.boot(projects()));
    expect(error.failures.some(({ message }) => message.includes(`builds on bundle ${chain.base.id}`))).toBe(true);
    const { bundles } = await host.status();
    expect(bundles.map(({ id, state }) => `${id ?? ''} ${state}`)).toEqual([
      `${chain.base.id} failed`,
      `${chain.delta.id} failed`,
    ]);
    expect(bundles[1]?.error).toMatchObject({ code: 'BUNDLE_MISSING' });
    await cp(chain.base.path, base);
    expect((await host.boot(projects())).line).toBe('done: 2 bundles loaded');
  });
});

describe('parts with their checksums', () => {
  it('are named where one is damaged: nothing of the bundle is sent, and the others are loaded', async () => {
    const parted = await host.bundle('parted', { out: await temporaryFolder(), layerBytes: 300_000 });
    const good = await host.bundle('good');
    const folder = join(host.content, 'iso');
    await mkdir(folder);
    const { paths } = await writeParts(parted.path, { partBytes: 150_000, out: folder });
    expect(paths).toHaveLength(5);
    const damaged = paths[2] ?? '';
    const whole = await readFile(damaged);
    const bytes = Buffer.from(whole);
    bytes.writeUInt8(bytes.readUInt8(70_000) ^ 1, 70_000);
    await writeFile(damaged, bytes);

    const error = await failureOf(host.boot());
    expect(error).toMatchObject({ code: 'BUNDLE_INVALID', exitCode: 3 });
    expect(error.message).toContain(`part '${basename(damaged)}' is not the one that was made: it is damaged`);
    expect(error.hint).toBe('Copy this part again.');
    expect(await host.isLoaded('good')).toBe(true);
    expect(front.requests.filter(({ path }) => path.includes('/library/parted/'))).toEqual([]);
    const { bundles } = await host.status();
    expect(bundles.find(({ id }) => id === good.id)).toMatchObject({ state: 'loaded' });
    expect(bundles.find(({ id }) => id === parted.id)).toMatchObject({
      state: 'failed',
      error: { code: 'BUNDLE_INVALID', message: expect.stringContaining(basename(damaged)) as string },
    });

    await writeFile(damaged, whole);
    expect((await host.boot()).bundles.map(({ state }) => state).toSorted()).toEqual(['already-loaded', 'loaded']);
    expect(await host.isLoaded('parted')).toBe(true);
  });

  it('are named, each of them, where one is missing, one is cut short and one is of another bundle', async () => {
    const parted = await host.bundle('parted', { out: await temporaryFolder(), layerBytes: 300_000 });
    const other = await host.bundle('other', { out: await temporaryFolder(), layerBytes: 300_000 });
    const swapped = await writeParts(other.path, { partBytes: 150_000, out: await temporaryFolder() });
    const { paths } = await writeParts(parted.path, { partBytes: 150_000, out: host.content });
    await rename(swapped.paths[1] ?? '', paths[1] ?? '');
    const swap = await failureOf(host.boot());
    // Of another bundle, or damaged: some of what it begins frames with may be the same by chance.
    expect(swap.message).toContain(`part '${basename(paths[1] ?? '')}' is not the one that was made: it `);
    await rm(paths[3] ?? '');
    const file = await open(paths[2] ?? '', 'r+');
    await file.truncate(1_000);
    await file.close();
    const both = await failureOf(host.boot());
    const told = [both, ...both.failures].map(({ message }) => message).join('\n');
    expect(told).toMatch(new RegExp(`part '${basename(paths[2] ?? '')}' has 1000 bytes; 150000 are expected`));
    expect(told).toMatch(new RegExp(`part '${basename(paths[3] ?? '')}' is missing`));
    expect(await readdir(join(host.folder, 'state'))).toEqual(['status.json']);
  });
});

describe('a Harbor that is known by the fingerprint of its CA, and by an address without a name server', () => {
  const name = 'spectro.registry.local';

  function members(fingerprint: string) {
    const [, port = ''] = front.host.split(':');
    return {
      harbor: `https://${name}:${port}`,
      caCert: undefined,
      caFingerprint: fingerprint,
      resolve: [`${name}:${port}:127.0.0.1`],
    };
  }

  it('is loaded', async () => {
    await host.bundle('one');
    const printed = execFileSync('openssl', ['x509', '-in', front.caPath, '-noout', '-fingerprint', '-sha256']);
    const fingerprint = printed.toString().trim().replace(/^.*=/, '');
    const status = await host.boot({ ...members(fingerprint), preflight: true });
    expect(status).toMatchObject({ state: 'done', bundles: [{ state: 'loaded' }] });
    expect(await host.isLoaded('one')).toBe(true);
    expect(front.count('GET', /getcert/)).toBe(1);
    const checks = new Map(status.preflight.map((check) => [check.name, check]));
    expect(checks.get('address')).toMatchObject({ status: 'pass' });
    // For the few days that certificates of tests have.
    expect(checks.get('certificate')?.message).toMatch(/trusted/);
  });

  it('is not loaded where its CA is another one, and gets no password', async () => {
    await host.bundle('one');
    expect(await failureOf(host.boot(members('ab'.repeat(32))))).toMatchObject({ code: 'TLS_UNTRUSTED' });
    expect(front.requests.map(({ path }) => path)).toEqual(['/api/v2.0/systeminfo/getcert']);
  });
});

describe('a least date of bundles', () => {
  it('refuses an older one, however well it is signed, and loads the newer one', async () => {
    const { privatePem, publicPath } = await makeKey('ecdsa');
    const epoch = (date: string): number => Date.parse(date) / 1000;
    const older = await host.bundle('older', { sourceDateEpoch: epoch('2026-01-31T23:59:59Z') });
    const newer = await host.bundle('newer', { sourceDateEpoch: epoch('2026-02-01T00:00:00Z') });
    for (const { path } of [older, newer])
      await signBundle(path, { signers: [readSigner({ name: 'key', text: privatePem })] });
    const members = { keys: [publicPath], minimumDate: '2026-02-01T00:00:00Z' };
    const error = await failureOf(host.boot(members));
    expect(error).toMatchObject({ code: 'BUNDLE_OUTDATED', exitCode: 4 });
    expect(error.message).toContain(older.path);
    expect(error.message).toContain('2026-01-31');
    expect([await host.isLoaded('older'), await host.isLoaded('newer')]).toEqual([false, true]);
    await rm(older.path);
    expect(await host.boot(members)).toMatchObject({ state: 'done', bundles: [{ state: 'already-loaded' }] });
  });
});
