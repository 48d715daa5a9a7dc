import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { loadBundle } from '../../src/loader/load-bundle.ts';
import type { LoadEvent } from '../../src/loader/load-events.ts';
import type { LoadOptions } from '../../src/loader/load-options.ts';
import { verifyRegistry } from '../../src/loader/verify-registry.ts';
import { passTime } from '../support/clock.ts';
import { image, index } from '../support/graphs.ts';
import { sendError } from '../support/harbor-answers.ts';
import { HarborFront } from '../support/harbor-front.ts';
import { apps, intoHarbor } from './into-harbor.ts';
import { bundleOf, layer, type MemoryBundle } from './sample-bundle.ts';

let front: HarborFront;
let project: string;
let projects = 0;
let closing: (() => Promise<void>)[];
let events: LoadEvent[];

beforeAll(async () => {
  front = await HarborFront.start();
});

beforeEach(() => {
  project = `patience-${++projects}`;
  front.reset();
  closing = [];
  events = [];
});

afterEach(async () => {
  for (const close of closing) await close();
  expect(front.state.violations).toEqual([]);
});

afterAll(() => front.close());

function into(bundle: MemoryBundle): LoadOptions {
  return intoHarbor(front, bundle, { project, closing, onEvent: (event) => events.push(event) });
}

function waited(): readonly string[] {
  return events.flatMap((event) => (event.type === 'waiting' ? [event.reason.code] : []));
}

/** The n-th request for which `matches` holds is when `happen` runs; the request goes on. */
function atRequest(number: number, matches: (method: string, path: string) => boolean, happen: () => void): void {
  let seen = 0;
  front.intercept = ({ method = '', url = '' }) => {
    if (matches(method, url) && ++seen === number) happen();
    return false;
  };
}

const isBlobPut = (method: string, path: string): boolean => method === 'PUT' && path.includes('/blobs/uploads/');

/** How long Harbor is of no use in a test; `npm run proof:outage` has it longer. */
const outageMs = Number(process.env.OUTAGE_MS ?? 1_500);

describe('a load that may wait', () => {
  it('waits until Harbor is healthy, answers at /v2/ and is not read-only, and then loads', async () => {
    front.state.knobs.unhealthy.add('redis');
    let isLying = false;
    front.intercept = ({ url }, response) => {
      if (!isLying || url !== '/v2/') return false;
      sendError(response, 502, 'UNKNOWN', 'bad gateway');
      return true;
    };
    // Each thing that is wrong is mended when it has been noticed, and the next one is wrong then.
    const steps = [
      () => (isLying = front.state.knobs.unhealthy.delete('redis')),
      () => ((isLying = false), (front.state.knobs.readOnly = true)),
      () => (front.state.knobs.readOnly = false),
    ];
    const onEvent = (event: LoadEvent): void => {
      events.push(event);
      if (event.type === 'waiting') steps.shift()?.();
    };
    expect(await loadBundle({ ...into(await apps(2)), wait: {}, onEvent })).toMatchObject({ images: 2, missing: [] });
    expect(waited()).toEqual(['REGISTRY_UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'READ_ONLY']);
    expect(events.filter(({ type }) => type === 'ready').length).toBeGreaterThan(0);
  });

  it('gives up after its limit, with the reason and an exit code to try again', async () => {
    front.state.knobs.readOnly = true;
    await expect(loadBundle({ ...into(await apps(1)), wait: { limitMs: 1_000 } })).rejects.toMatchObject({
      code: 'READ_ONLY',
      exitCode: 75,
      message: expect.stringContaining('waited 1 s') as string,
    });
  });

  it('waits while Harbor is read-only in the middle of it', { timeout: 240_000 + outageMs }, async () => {
    atRequest(4, isBlobPut, () => {
      front.state.knobs.readOnly = true;
      setTimeout(() => (front.state.knobs.readOnly = false), outageMs / 2);
    });
    expect(await loadBundle({ ...into(await apps(8)), wait: {} })).toMatchObject({ images: 8, missing: [] });
    expect(new Set(waited())).toEqual(new Set(['READ_ONLY']));
  });

  it(
    'waits while everything is answered with 503 in the middle of it',
    { timeout: 240_000 + 2 * outageMs },
    async () => {
      let uploads = 0;
      let isOut = false;
      front.intercept = ({ method = '', url = '' }, response) => {
        if (isBlobPut(method, url) && ++uploads === 4) {
          isOut = true;
          setTimeout(() => (isOut = false), outageMs);
        }
        if (isOut) sendError(response, 503, 'SERVICE_UNAVAILABLE', 'service unavailable');
        return isOut;
      };
      expect(await loadBundle({ ...into(await apps(8)), wait: {} })).toMatchObject({ images: 8, missing: [] });
      expect(front.requests.some(({ status }) => status === 503)).toBe(true);
    },
  );

  it('goes on in the same run when Harbor has restarted in the middle, and sends only what was under way again', async () => {
    const bundle = await apps(10, 60_000);
    atRequest(5, isBlobPut, () => void front.pause().then(() => setTimeout(() => void front.resume(), 1_000)));
    const result = await loadBundle({ ...into(bundle), wait: {} });
    expect(result).toMatchObject({ images: 10, missing: [] });
    const bytes = bundle.document.blobs.reduce((sum, { size }) => sum + size, 0);
    expect(front.state.uploadedBytes).toBeLessThanOrEqual(bytes + 4 * 60_000);
  });

  it('does not wait for what no wait mends', async () => {
    const options = into(await apps(1));
    const wrong = intoHarbor(front, await apps(1), { project, closing, user: { name: 'nobody', password: 'wrong' } });
    await expect(loadBundle({ ...options, client: wrong.client, wait: {} })).rejects.toMatchObject({
      code: 'AUTH_FAILED',
    });
  });

  it('stops waiting when it is interrupted', async () => {
    front.state.knobs.unhealthy.add('core');
    const interrupt = new AbortController();
    setTimeout(() => interrupt.abort(), 400);
    await expect(loadBundle({ ...into(await apps(1)), wait: {}, signal: interrupt.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });

  it('waits for the end of a garbage collection that has a blob of it', async () => {
    const bundle = await apps(2);
    const digest = bundle.document.blobs.find(({ size }) => size === 20_000)?.digest ?? '';
    front.state.knobs.collecting.add(digest);
    setTimeout(() => front.state.knobs.collecting.clear(), 2_500);
    expect(await loadBundle({ ...into(bundle), wait: {} })).toMatchObject({ images: 2, missing: [] });
  });
});

describe('a load that may not wait', () => {
  it('is told to try again while a blob is collected, and brings the other images', async () => {
    const bundle = await apps(3);
    const digest = bundle.document.blobs.find(({ size }) => size === 20_000)?.digest ?? '';
    front.state.knobs.collecting.add(digest);
    await expect(loadBundle(into(bundle))).rejects.toMatchObject({
      code: 'GARBAGE_COLLECTION',
      exitCode: 75,
      message: expect.stringContaining('1 of 3 images') as string,
    });
    front.state.knobs.collecting.clear();
    expect(await loadBundle(into(bundle))).toMatchObject({ missing: [] });
  });

  it.each([500, 502, 503, 504])('survives a few answers of %i to every kind of request', async (status) => {
    const spoilt = new Set<string>();
    front.intercept = ({ method = '', url = '' }, response) => {
      const kind = `${method} ${url.replace(/sha256:[0-9a-f]+|app-\d|uploads\/[^?]+.*|\?.*/g, '')}`;
      if (!url.startsWith('/v2/') || url === '/v2/' || spoilt.has(kind)) return false;
      spoilt.add(kind);
      sendError(response, status, 'UNKNOWN', 'internal server error');
      return true;
    };
    const bundle = await apps(4);
    expect(await loadBundle(into(bundle))).toMatchObject({ images: 4, missing: [] });
    expect([...spoilt].map((kind) => kind.split(' ')[0])).toEqual(expect.arrayContaining(['HEAD', 'POST', 'PUT']));
  });

  it('survives connections that break in the middle of an upload', async () => {
    let uploads = 0;
    front.intercept = (request) => {
      if (!isBlobPut(request.method ?? '', request.url ?? '') || ++uploads % 3 !== 1) return false;
      request.once('data', () => request.socket.destroy());
      return true;
    };
    expect(await loadBundle(into(await apps(4, 300_000)))).toMatchObject({ images: 4, missing: [] });
  });

  it('pushes a child again that was collected before its index came, and a blob before its manifest', async () => {
    const children = [image([layer('one')]), image([layer('two')])];
    const multi = index(children);
    const repository = `${project}/quay.io/a/multi`;
    let collected = 0;
    front.intercept = ({ method = '', url = '' }) => {
      const isIndex = method === 'PUT' && url.endsWith(`/manifests/${multi.descriptor.digest}`);
      if (isIndex && collected++ === 0) front.state.collect(repository, children[0]?.descriptor.digest ?? '');
      return false;
    };
    expect(await loadBundle(into(await bundleOf({ 'quay.io/a/multi:1': multi })))).toMatchObject({ missing: [] });
    expect(collected).toBe(2);

    const app = image([layer('three')]);
    const blob = layer('three').descriptor.digest;
    let puts = 0;
    front.intercept = ({ method = '', url = '' }) => {
      const isManifest = method === 'PUT' && url.endsWith(`/manifests/${app.descriptor.digest}`);
      if (isManifest && puts++ === 0) front.state.collect(`${project}/quay.io/a/app`, blob);
      return false;
    };
    expect(await loadBundle(into(await bundleOf({ 'quay.io/a/app:1': app })))).toMatchObject({ missing: [] });
    expect(puts).toBe(2);
  });

  it('asks again before a manifest for the blobs that it saw long ago, and sends again what was collected meanwhile', async () => {
    const [early, late] = [layer('early'), layer('late')];
    const app = image([early, late]);
    const repository = `${project}/quay.io/a/app`;
    const touchAgainMs = 200;
    // The manifest waits for both layers: the one that is sent first is collected while the other is on its way.
    front.intercept = async ({ method = '', url = '' }) => {
      if (!isBlobPut(method, url) || !url.includes(late.descriptor.digest.slice('sha256:'.length))) return false;
      while (!front.requests.some(({ path, status }) => isEarlyPut(path) && status === 201)) await sleep(5);
      front.state.collect(repository, early.descriptor.digest);
      await sleep(2 * touchAgainMs);
      return false;
    };
    const isEarlyPut = (path: string): boolean =>
      path.includes(`digest=${encodeURIComponent(early.descriptor.digest)}`);
    const bundle = await bundleOf({ 'quay.io/a/app:1': app });
    expect(await loadBundle({ ...into(bundle), touchAgainMs })).toMatchObject({ missing: [] });
    const sent = front.requests.filter(({ method, status }) => method === 'PUT' && status === 201);
    expect(sent.filter(({ path }) => isEarlyPut(path))).toHaveLength(2);
    // It came with all that it needs, at once.
    const manifestPuts = front.requests.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/'));
    expect(manifestPuts.map(({ status, path }) => `${status} ${path.split('/').at(-1) ?? ''}`)).toEqual([
      `201 ${app.descriptor.digest}`,
      '201 1',
    ]);
    const asked = front.requests.findLastIndex(
      ({ method, path, status }) => method === 'HEAD' && status === 404 && path.endsWith(early.descriptor.digest),
    );
    expect(asked).toBeGreaterThan(front.requests.findIndex(({ path }) => isEarlyPut(path)));
    expect(asked).toBeLessThan(front.requests.indexOf(manifestPuts[0] ?? expect.fail('no manifest')));
  });

  it('does not ask again for what it saw a moment ago', async () => {
    const app = image([layer('at once')]);
    await loadBundle(into(await bundleOf({ 'quay.io/a/app:1': app })));
    const manifest = front.requests.findIndex(({ method, path }) => method === 'PUT' && path.includes('/manifests/'));
    const heads = front.requests
      .slice(0, manifest)
      .filter(({ method, path }) => method === 'HEAD' && path.includes('/blobs/'));
    expect(heads.length).toBeGreaterThan(0);
    expect(new Set(heads.map(({ path }) => path)).size).toBe(heads.length);
  });

  it('keeps to the rules while its tokens end every few moments', async () => {
    front.state.knobs.tokenLifetimeMs = 20_000;
    let puts = 0;
    front.intercept = ({ method }) => {
      // Every other time a token is refused that was good when the upload began.
      if (method === 'PUT' && ++puts % 6 === 0) passTime(12_000);
      return false;
    };
    expect(await loadBundle(into(await apps(10)))).toMatchObject({ images: 10, missing: [] });
    expect(front.requests.some(({ method, status }) => method === 'PUT' && status === 401)).toBe(true);
  });
});

describe('a Harbor that keeps manifests back for their vulnerabilities', () => {
  it('is loaded and verified by what its API says', async () => {
    front.state.knobs.withheld = /quay/;
    const bundle = await apps(2);
    expect(await loadBundle(into(bundle))).toMatchObject({ images: 2, missing: [] });
    expect((await verifyRegistry({ ...into(bundle), deep: true })).missing).toEqual([]);
    front.state.collect(`${project}/quay.io/a/app-0`, bundle.document.images[0]?.digest ?? '');
    const { missing } = await verifyRegistry(into(bundle));
    expect(missing.map(({ kind }) => kind)).toEqual(['manifest']);
  });
});
