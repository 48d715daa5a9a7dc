import { copyFile, mkdir, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { generateKeyPairSync } from 'node:crypto';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { readSigner } from '../../src/trust/signer.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { failureOf } from '../support/expect-error.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { EdgeHost } from './edge-host.ts';

const locked = { name: 'locked', password: 'locked-password', admin: true };

let front: HarborFront;
let host: EdgeHost;

beforeAll(async () => {
  front = await HarborFront.start({ users: [harborAdmin, locked] });
});

beforeEach(async () => {
  front.reset();
  host = await EdgeHost.create(front);
});

afterEach(() => {
  expect(front.state.violations).toEqual([]);
});

afterAll(() => front.close());

/** Waits until something stands on the console. */
async function line(pattern: RegExp): Promise<string> {
  for (;;) {
    const found = host.lines.find((text) => pattern.test(text));
    if (found !== undefined) return found;
    await sleep(10);
  }
}

describe('the first boot', () => {
  it('loads every bundle that it finds, once, and then says so without a request', async () => {
    const [one, two] = [await host.bundle('one'), await host.bundle('two')];
    const first = await host.boot();
    expect(first).toMatchObject({ state: 'done', exitCode: 0, attempts: 1, line: 'done: 2 bundles loaded' });
    const byPath = [one, two].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    expect(first.bundles.map(({ id, state, images }) => ({ id, state, images }))).toEqual(
      byPath.map(({ id }) => ({ id, state: 'loaded', images: 1 })),
    );
    expect(await host.status()).toEqual(first);
    expect([await host.isLoaded('one'), await host.isLoaded('two')]).toEqual([true, true]);

    front.reset();
    const second = await host.boot();
    expect(second).toMatchObject({ state: 'done', attempts: 2, line: 'done: 2 already loaded' });
    expect(front.requests).toEqual([]);
  });

  it('needs the medium no more when its content was loaded', async () => {
    const { path } = await host.bundle('one');
    await host.boot();
    await rm(dirname(path), { recursive: true });
    await expect(host.boot()).resolves.toMatchObject({ state: 'done', bundles: [] });
  });

  it('loads the same bundle again into another project, and where a marker was lost', async () => {
    const { path } = await host.bundle('one');
    await host.boot();
    const other = await host.boot({ project: `${host.project}-other` });
    expect(other.bundles).toMatchObject([{ state: 'loaded' }]);
    expect(front.state.projects.has(`${host.project}-other`)).toBe(true);
    const folder = join(host.folder, 'state', 'loaded');
    expect(await readdir(folder)).toHaveLength(2);
    // What a file system can leave of a file after a power cut.
    for (const name of await readdir(folder)) await writeFile(join(folder, name), '');
    expect((await host.boot()).bundles).toMatchObject([{ path, state: 'loaded' }]);
  });

  it('asks the registry at every boot where that is wanted, and mends it', async () => {
    await host.bundle('one');
    await host.boot();
    const repository = `${host.project}/docker.io/library/one`;
    const head = await fetch(`${front.backend.url}/v2/${repository}/manifests/1`, {
      headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    const digest = head.headers.get('docker-content-digest') ?? '';
    await fetch(`${front.backend.url}/v2/${repository}/manifests/${digest}`, { method: 'DELETE' });
    expect(await host.isLoaded('one')).toBe(false);
    await host.boot();
    expect(await host.isLoaded('one')).toBe(false);
    await host.boot({ recheck: true });
    expect(await host.isLoaded('one')).toBe(true);
  });

  it('finds bundles and parts in folders, and passes over what others wrote, by name', async () => {
    const out = await temporaryFolder();
    const whole = await host.bundle('whole');
    const split = await host.bundle('split', { out });
    const bytes = await readFile(split.path);
    const folder = join(host.content, 'iso', 'content-1f');
    await mkdir(folder, { recursive: true });
    const base = join(folder, 'core-split.tar.zst');
    await writeFile(`${base}_part00`, bytes.subarray(0, 60_000));
    await writeFile(`${base}_part01`, bytes.subarray(60_000));
    const foreign = join(host.content, 'core-vendor-1.tar.zst');
    // A zstd frame with 'hello' in it, as `zstd` writes it.
    await writeFile(foreign, Buffer.from('28b52ffd2005290000' + Buffer.from('hello').toString('hex'), 'hex'));
    const again = join(host.content, 'a-copy.tar.zst');
    await copyFile(whole.path, again);
    const status = await host.boot();
    expect(status.bundles.map(({ path }) => path).toSorted()).toEqual([again, base].toSorted());
    expect(status.skipped).toEqual([
      { path: foreign, reason: 'not a content bundle of edge-bundle' },
      { path: whole.path, reason: `the same as '${again}'` },
    ]);
    expect([await host.isLoaded('whole'), await host.isLoaded('split')]).toEqual([true, true]);
  });

  it('loads the good bundles where others are damaged, and names each of these', async () => {
    await host.bundle('good');
    const [short, parted] = [await host.bundle('short'), await host.bundle('parted')];
    await truncate(short.path, 90_000);
    await rename(parted.path, `${parted.path}_part01`);
    const error = await failureOf(host.boot());
    expect(await host.isLoaded('good')).toBe(true);
    expect(error.exitCode).toBe(1);
    expect(error.failures.map(({ code }) => code).toSorted()).toEqual(['BUNDLE_INVALID', 'BUNDLE_PART_MISSING']);
    const status = await host.status();
    expect(status).toMatchObject({ state: 'failed', exitCode: 1 });
    expect(status.bundles.map(({ state }) => state).toSorted()).toEqual(['failed', 'failed', 'loaded']);
    const failed = status.bundles.find(({ path }) => path === short.path);
    expect(failed?.error?.message).toContain('cut short');
    expect(status.bundles.find(({ path }) => path === parted.path)?.error?.message).toContain('_part00');
    // Mended, the next run loads it.
    await rename(`${parted.path}_part01`, parted.path);
    await rm(short.path);
    expect((await host.boot()).bundles.map(({ state }) => state).toSorted()).toEqual(['already-loaded', 'loaded']);
  });

  it('has one line a state for people, and none of a password', async () => {
    await host.bundle('one');
    await host.boot();
    expect(host.lines[0]).toBe('looking for content');
    expect(host.lines.some((text) => /^loading one [0-9a-f]{16}: .* of \d+ kB/.test(text))).toBe(true);
    expect(host.lines.at(-1)).toBe('done: 1 bundle loaded');
    expect(JSON.stringify([host.lines, await host.status()])).not.toContain('Harbor12345');
  });
});

describe('the first boot waits', () => {
  it('for content that comes later', async () => {
    const away = await temporaryFolder();
    const { path } = await host.bundle('late', { out: away });
    const run = host.boot();
    expect(await line(/^waiting for content/)).toMatch(/there is no bundle; not there: no other medium/);
    await expect.poll(() => host.status()).toMatchObject({ state: 'waiting-for-content', waiting: { for: 'content' } });
    await rename(dirname(path), join(host.content, 'content-late'));
    const status = await run;
    expect(status).toMatchObject({ state: 'done', bundles: [{ name: 'late', state: 'loaded' }] });
    expect(status.waiting).toBeUndefined();
  });

  it('for the bundles that are required, and loads meanwhile what is there', async () => {
    const away = await temporaryFolder();
    const [here, later] = [await host.bundle('here'), await host.bundle('later', { out: away })];
    const run = host.boot({
      require: [here.id, later.id],
      sources: [{ directory: host.content }, { directory: `${away}/usb` }],
    });
    expect(await line(/^waiting for content/)).toContain(`no bundle ${later.id}; not there: '${away}/usb'`);
    await expect.poll(() => host.status()).toMatchObject({ missing: [later.id], bundles: [{ state: 'loaded' }] });
    await rename(dirname(later.path), join(away, 'usb'));
    expect((await run).bundles.map(({ state }) => state)).toEqual(['loaded', 'loaded']);
    // The disk may be taken away.
    await rm(join(away, 'usb'), { recursive: true });
    await expect(host.boot({ require: [here.id, later.id] })).resolves.toMatchObject({ state: 'done', missing: [] });
  });

  it('for so long as is configured, and then says what is missing', async () => {
    await host.bundle('here');
    const error = await failureOf(host.boot({ require: ['0123456789abcdef'], wait: { content: '1s' } }));
    expect(error).toMatchObject({ code: 'BUNDLE_MISSING', exitCode: 3 });
    expect(error.message).toContain('bundle 0123456789abcdef, which is required, is not there');
    expect(await host.isLoaded('here')).toBe(true);
    const none = await failureOf(
      host.boot({ sources: [{ directory: join(host.folder, 'absent') }], project: 'x', wait: { content: '1s' } }),
    );
    expect(none).toMatchObject({ code: 'BUNDLE_MISSING', message: 'there is no bundle anywhere' });
    expect(none.hint).toContain("/absent'");
  });

  it('for Harbor, whatever is ill in it, and while it is not there at all', async () => {
    await host.bundle('one');
    front.state.knobs.unhealthy.add('database');
    const run = host.boot();
    expect(await line(/^waiting for 127/)).toContain('database');
    await expect
      .poll(() => host.status())
      .toMatchObject({ state: 'waiting-for-registry', waiting: { for: 'registry' } });
    await front.pause();
    front.state.knobs.unhealthy.clear();
    await line(/connection refused/);
    await front.resume();
    await expect(run).resolves.toMatchObject({ state: 'done' });
    expect(await host.isLoaded('one')).toBe(true);
  });

  it('for Harbor so long as is configured; the next run goes on', async () => {
    await host.bundle('one');
    front.state.knobs.readOnly = true;
    const error = await failureOf(host.boot({ wait: { registry: '1s' } }));
    expect(error).toMatchObject({ code: 'READ_ONLY', exitCode: 75 });
    expect(await host.status()).toMatchObject({ state: 'failed', exitCode: 75, bundles: [{ state: 'failed' }] });
    front.state.knobs.readOnly = false;
    await expect(host.boot()).resolves.toMatchObject({ state: 'done', attempts: 2 });
  });
});

describe('the first boot ends', () => {
  it('in order where it is stopped while it waits, with its state', async () => {
    const stop = new AbortController();
    const run = failureOf(host.boot({}, { signal: stop.signal }));
    await line(/^waiting for content/);
    stop.abort();
    expect(await run).toMatchObject({ code: 'ABORTED' });
    expect(await host.status()).toMatchObject({ state: 'stopped', bundles: [] });
    await host.bundle('one');
    await expect(host.boot()).resolves.toMatchObject({ state: 'done' });
  });

  it('in order where it is stopped while it waits for Harbor, and says that the bundle is still to load', async () => {
    await host.bundle('one');
    front.state.knobs.unhealthy.add('core');
    const stop = new AbortController();
    const run = failureOf(host.boot({}, { signal: stop.signal }));
    await line(/^waiting for 127/);
    stop.abort();
    expect(await run).toMatchObject({ code: 'ABORTED' });
    const status = await host.status();
    expect(status).toMatchObject({ state: 'stopped', bundles: [{ state: 'found' }] });
    expect(status.line).toBe('stopped: 1 still to load; the next run goes on');
    expect(host.lines.at(-1)).toBe(status.line);
  });

  it('at once where another one is at work', async () => {
    const stop = new AbortController();
    const run = failureOf(host.boot({}, { signal: stop.signal }));
    await line(/^waiting for content/);
    expect(await failureOf(host.boot())).toMatchObject({ code: 'LOCKED', exitCode: 75 });
    stop.abort();
    await run;
  });

  it('with hints in the words of the configuration, where there is no command line', async () => {
    await host.bundle('one');
    const error = await failureOf(host.boot({ caCert: undefined }));
    expect(error.code).toBe('TLS_UNTRUSTED');
    expect(error.hint).toContain("'caCert'");
    expect(error.hint).not.toContain('--');
    expect((await host.status()).error?.hint).toBe(error.hint);
    const { preflight } = await host.boot({ preflight: true, dataPath: join(host.folder, 'absent') });
    expect(preflight.find(({ name }) => name === 'storage')?.hint).toContain("'dataPath'");
  });

  it('with a wrong password, and does not wait for it to get better', async () => {
    await host.bundle('one');
    await writeFile(join(host.folder, 'password'), 'wrong-password');
    // Of another user: after a failed login Harbor refuses that one for a while.
    expect(await failureOf(host.boot({ username: locked.name }))).toMatchObject({ code: 'AUTH_FAILED', exitCode: 1 });
    expect(await host.status()).toMatchObject({ state: 'failed', error: { code: 'AUTH_FAILED' } });
    const missing = await failureOf(host.boot({ passwordFile: join(host.folder, 'absent') }));
    expect(missing).toMatchObject({ code: 'FILE_FAILED' });
    expect(missing.message).toContain("/absent'");
  });

  it('with the code of trust where content is not signed by one of the keys, and loads what is', async () => {
    const pem = { type: 'pkcs8', format: 'pem' } as const;
    const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: pem,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const stranger = generateKeyPairSync('ed25519').privateKey.export(pem).toString();
    const keyPath = join(host.folder, 'content.pub');
    await writeFile(keyPath, publicKey);
    const [signed, strange] = [
      await host.bundle('signed'),
      await host.bundle('strange'),
      await host.bundle('unsigned'),
    ];
    await signBundle(signed.path, { signers: [readSigner({ name: 'key', text: privateKey })] });
    await signBundle(strange.path, { signers: [readSigner({ name: 'stranger', text: stranger })] });
    const error = await failureOf(host.boot({ keys: [keyPath] }));
    expect(error.failures.map(({ code }) => code).toSorted()).toEqual(['SIGNATURE_INVALID', 'SIGNATURE_MISSING']);
    expect([await host.isLoaded('signed'), await host.isLoaded('strange'), await host.isLoaded('unsigned')]).toEqual([
      true,
      false,
      false,
    ]);
    await rm(dirname(strange.path), { recursive: true });
    expect(await failureOf(host.boot({ keys: [keyPath] }))).toMatchObject({ code: 'SIGNATURE_MISSING', exitCode: 4 });
    expect(await failureOf(host.boot({ keys: [join(host.folder, 'absent')] }))).toMatchObject({ code: 'FILE_FAILED' });
  });

  it.skipIf(whyNoMount !== undefined)(
    'with the reason where its own disk is full, and has sent nothing in vain',
    async () => {
      await host.bundle('one');
      await withSmallDisk(64 * 1024, async (disk) => {
        await writeFile(join(disk, 'full'), Buffer.alloc(64 * 1024)).catch(() => undefined);
        expect(await failureOf(host.boot({ stateDir: join(disk, 'state') }))).toMatchObject({ code: 'NO_SPACE' });
        await rm(join(disk, 'full'));
        await expect(host.boot({ stateDir: join(disk, 'state') })).resolves.toMatchObject({ state: 'done' });
      });
    },
  );
});
