import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { loadBundle } from '../../src/loader/load-bundle.ts';
import { verifyRegistry } from '../../src/loader/verify-registry.ts';
import type { Action } from '../support/harbor-accounts.ts';
import { passTime } from '../support/clock.ts';
import { contentsOf, image } from '../support/graphs.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { apps, intoHarbor } from './into-harbor.ts';
import { bundleOf, layer, type MemoryBundle, sampleBundle } from './sample-bundle.ts';
import { pullDigest } from './skopeo.ts';

type Rights = Record<string, readonly Action[]>;

const skopeo = { name: 'skopeo', password: 'skopeo-password', admin: true, isPeer: true };
const locked = { name: 'locked', password: 'locked-password', admin: true };
const developer = { name: 'dev', password: 'dev-password', rights: {} as Rights };
const guest = { name: 'guest', password: 'guest-password', rights: {} as Rights };

let front: HarborFront;
let project: string;
let packsProject: string;
let projects = 0;
let closing: (() => Promise<void>)[];

beforeAll(async () => {
  front = await HarborFront.start({ users: [harborAdmin, skopeo, locked, developer, guest] });
});

beforeEach(() => {
  project = `spectro-images-${++projects}`;
  packsProject = `spectro-packs-${projects}`;
  developer.rights[project] = ['pull', 'push'];
  guest.rights[project] = ['pull'];
  front.reset();
  closing = [];
});

afterEach(async () => {
  for (const close of closing) await close();
  // A client that was wrong about Harbor anywhere fails the test.
  expect(front.state.violations).toEqual([]);
});

afterAll(() => front.close());

function into(bundle: MemoryBundle, user?: { readonly name: string; readonly password: string }) {
  return intoHarbor(front, bundle, { project, packsProject, closing, ...(user === undefined ? {} : { user }) });
}

const writes = /^(POST|PUT|PATCH|DELETE)$/;

function writesSince(from: number): readonly string[] {
  return front.requests
    .slice(from)
    .filter(({ method }) => writes.test(method))
    .map(({ method, path }) => `${method} ${path}`);
}

describe('a load into Harbor', () => {
  it('creates the projects, logs in once, keeps the rules, and skopeo pulls every image', async () => {
    const { bundle, places, chartPlaces } = await sampleBundle();
    const result = await loadBundle(into(bundle));
    expect(result).toMatchObject({
      images: 7,
      charts: 2,
      blobs: { uploaded: 17, mounted: 7, present: 0 },
      missing: [],
    });
    for (const name of [project, packsProject])
      expect(front.state.projects.get(name)).toMatchObject({ public: false, quotaBytes: undefined });
    expect(
      front.requests.slice(0, 12).map(({ method, path, status }) => `${method} ${path.split('?')[0] ?? ''} ${status}`),
    ).toEqual([
      'GET /v2/ 401',
      'GET /service/token 200',
      'GET /v2/ 200',
      'GET /api/v2.0/health 200',
      'GET /v2/ 200',
      'GET /api/v2.0/systeminfo 200',
      'HEAD /api/v2.0/projects 404',
      'POST /api/v2.0/projects 201',
      'HEAD /api/v2.0/projects 404',
      'POST /api/v2.0/projects 201',
      `GET /api/v2.0/projects/${project}/summary 200`,
      `GET /api/v2.0/projects/${packsProject}/summary 200`,
    ]);
    const access = { registry: front.host, caPath: front.caPath, login: skopeo };
    for (const [name, contents] of Object.entries({ [project]: places, [packsProject]: chartPlaces })) {
      for (const [place, content] of Object.entries(contents)) {
        expect(await pullDigest(access, `${name}/${place}`), place).toBe(content.descriptor.digest);
      }
    }
  });

  it('creates no project for charts where the bundle has none', async () => {
    await loadBundle(into(await apps(1)));
    expect(front.state.projects.has(project)).toBe(true);
    expect(front.state.projects.has(packsProject)).toBe(false);
  });

  it('writes nothing the second time', async () => {
    const { bundle } = await sampleBundle();
    await loadBundle(into(bundle));
    const from = front.requests.length;
    expect(await loadBundle(into(bundle))).toMatchObject({ blobs: { uploaded: 0, mounted: 0, present: 24 } });
    expect(writesSince(from)).toEqual([]);
  });

  it('counts every byte of the blobs once against the quota', async () => {
    const { bundle, places, chartPlaces } = await sampleBundle();
    const options = into(bundle);
    await loadBundle(options);
    for (const [name, contents] of Object.entries({ [project]: places, [packsProject]: chartPlaces })) {
      const stored = contentsOf(...Object.values(contents)).reduce(
        (bytes, { descriptor }) => bytes + descriptor.size,
        0,
      );
      expect(await options.harbor.projectQuota(name)).toEqual({ hardBytes: undefined, usedBytes: stored });
    }
  });

  it('never has more requests under way than it may, those for tags among them', async () => {
    const layers = Array.from({ length: 12 }, (_, number) => layer(`one of twelve ${number}`, 1_000));
    const small = Array.from({ length: 9 }, (_, number) => image([layer(`small ${number}`, 1_000)]));
    const bundle = await bundleOf({
      ...Object.fromEntries(small.map((each, number) => [`quay.io/a/small-${number}:1`, each])),
      'quay.io/a/large:1': image(layers),
    });
    let [underWay, most] = [0, 0];
    front.intercept = async ({ url = '' }, response) => {
      if (!url.startsWith('/v2/')) return false;
      most = Math.max(most, (underWay += 1));
      response.once('finish', () => (underWay -= 1));
      // Long enough for all that can be under way at once to be so.
      await sleep(30);
      return false;
    };
    expect(await loadBundle({ ...into(bundle), concurrency: 3 })).toMatchObject({ images: 10, missing: [] });
    expect(most).toBe(3);
  });

  it('goes on after Harbor has restarted in the middle', async () => {
    const bundle = await apps(10, 60_000);
    let uploads = 0;
    let paused: Promise<void> | undefined;
    front.intercept = (request) => {
      if (request.method === 'PUT' && request.url?.includes('/blobs/') === true && ++uploads === 7)
        paused = front.pause();
      return false;
    };
    const error: unknown = await loadBundle(into(bundle)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'REGISTRY_UNAVAILABLE', exitCode: 75 });
    await paused;
    front.intercept = undefined;
    await front.resume();
    const result = await loadBundle(into(bundle));
    expect(result.blobs.uploaded + result.blobs.present).toBe(20);
    expect(result.blobs.present).toBeGreaterThanOrEqual(3);
    expect((await verifyRegistry(into(bundle))).missing).toEqual([]);
  });

  it('gets new tokens before the old ones expire', async () => {
    front.state.knobs.tokenLifetimeMs = 20_000;
    const bundle = await apps(12);
    // Slow uploads, so that the load takes longer than a token lasts.
    front.intercept = (request) => {
      if (request.method === 'PUT') passTime(800);
      return false;
    };
    const startedMs = performance.now();
    await loadBundle(into(bundle));
    expect(performance.now() - startedMs).toBeGreaterThan(25_000);
    expect(front.requests.filter(({ path, status }) => path.startsWith(`/v2/${project}/`) && status === 401)).toEqual(
      [],
    );
  });
});

describe('a refusal of Harbor', () => {
  it('of the password is AUTH_FAILED after one login, and no project is created', async () => {
    await expect(
      loadBundle(into(await apps(6), { name: locked.name, password: 'wrong-password' })),
    ).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      exitCode: 1,
    });
    expect(front.count('GET', /^\/service\/token/)).toBe(1);
    expect(front.state.projects.has(project)).toBe(false);
  });

  it('to create the project is ACCESS_DENIED', async () => {
    await expect(loadBundle(into(await apps(2), developer))).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(`cannot create project '${project}'`) as string,
    });
  });

  it('to let the user push is ACCESS_DENIED for each image, and no bad password', async () => {
    front.state.addProject({ name: project });
    const error: unknown = await loadBundle(into(await apps(2), guest)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'ACCESS_DENIED',
      message: `2 of 2 images could not be loaded into ${front.host}/${project}`,
      hint: expect.stringContaining('no right') as string,
    });
  });

  it('does not befall a user who may push into a project that is there', async () => {
    front.state.addProject({ name: project });
    expect(await loadBundle(into(await apps(2), developer))).toMatchObject({ images: 2, missing: [] });
  });

  it('for a project that does not exist names the project, without the help of the API', async () => {
    const { harbor, ...options } = into(await apps(1));
    expect(harbor).toBeDefined();
    await expect(loadBundle(options)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('project does not exist') as string,
    });
  });

  it('for a project that does not exist is an error of the verification, and nothing is called missing', async () => {
    await expect(verifyRegistry(into(await apps(1)))).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('project does not exist') as string,
    });
  });

  it('for want of space is QUOTA_EXCEEDED in numbers, before the first byte', async () => {
    const bundle = await apps(12);
    const neededBytes = bundle.document.blobs.reduce((sum, { size }) => sum + size, 0);
    front.state.knobs.quotaBytes = 100_000;
    await expect(loadBundle(into(bundle))).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      exitCode: 1,
      message: `${front.host}/${project}: the quota has 100000 bytes left, and the load needs ${neededBytes}: ${neededBytes - 100_000} too few`,
      hint: expect.stringContaining('quota') as string,
    });
    expect(writesSince(0)).toEqual([`POST /api/v2.0/projects`]);
    front.state.knobs.quotaBytes = neededBytes;
    expect(await loadBundle(into(bundle))).toMatchObject({ images: 12, missing: [] });
  });

  it('for want of space counts only what the project does not have yet, each content once', async () => {
    const base = layer('shared base', 50_000);
    const first = { 'quay.io/a/one:1': image([base, layer('one')]) };
    await loadBundle(into(await bundleOf(first)));
    const used = front.state.usedBytes(front.state.projects.get(project) ?? expect.fail('no project'));
    const two = image([base, layer('two')]);
    const three = image([base, layer('two')]);
    const added = contentsOf(two).filter(({ descriptor }) => descriptor.digest !== base.descriptor.digest);
    front.state.knobs.quotaBytes = used + added.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const more = await bundleOf({ ...first, 'quay.io/a/two:1': two, 'quay.io/a/three:1': three });
    expect(await loadBundle(into(more))).toMatchObject({ images: 3, missing: [] });
    front.state.knobs.quotaBytes -= 1;
    await expect(
      loadBundle(into(await bundleOf({ 'quay.io/a/four:1': image([layer('4', 1)]) }))),
    ).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
  });

  it('for want of space that nobody could foresee ends the load, which completes when there is space', async () => {
    const bundle = await apps(12);
    let uploads = 0;
    front.intercept = (request) => {
      if (request.method === 'PUT' && ++uploads === 6) front.state.knobs.quotaBytes = 1;
      return false;
    };
    await expect(loadBundle(into(bundle))).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringMatching(/were not tried/) as string,
    });
    front.reset();
    const result = await loadBundle(into(bundle));
    expect(result).toMatchObject({ images: 12, missing: [] });
    expect(result.blobs.present).toBeGreaterThan(0);
  });

  it('in read-only mode is READ_ONLY, try again later, before anything is written', async () => {
    front.state.knobs.readOnly = true;
    await expect(loadBundle(into(await apps(1)))).rejects.toMatchObject({ code: 'READ_ONLY', exitCode: 75 });
    expect(writesSince(0)).toEqual([]);
  });

  it('in read-only mode that begins during the load is READ_ONLY too', async () => {
    const bundle = await apps(8);
    let uploads = 0;
    front.intercept = (request) => {
      if (request.method === 'PUT' && ++uploads === 4) front.state.knobs.readOnly = true;
      return false;
    };
    await expect(loadBundle(into(bundle))).rejects.toMatchObject({ code: 'READ_ONLY', exitCode: 75 });
    front.intercept = undefined;
    front.state.knobs.readOnly = false;
    expect(await loadBundle(into(bundle))).toMatchObject({ images: 8, missing: [] });
  });

  it('does not befall an immutable tag that leads to the same content', async () => {
    front.state.knobs.immutableTags = /./;
    const bundle = await apps(2);
    await loadBundle(into(bundle));
    expect(await loadBundle(into(bundle))).toMatchObject({ blobs: { uploaded: 0 }, missing: [] });
  });

  it('to move an immutable tag names the tag, and the other images are loaded', async () => {
    front.state.knobs.immutableTags = /^1$/;
    await loadBundle(into(await bundleOf({ 'quay.io/a/app:1': image([layer('old')]) })));
    const current = { 'quay.io/a/app:1': image([layer('current')]), 'quay.io/a/other:1': image([layer('other')]) };
    await expect(loadBundle(into(await bundleOf(current)))).rejects.toMatchObject({
      code: 'TAG_IMMUTABLE',
      exitCode: 1,
      message: `1 of 2 images could not be loaded into ${front.host}/${project}`,
      failures: [
        expect.objectContaining({
          message: expect.stringMatching(/quay\.io\/a\/app:1.*412.*immutable/) as string,
          hint: expect.stringContaining('forbids') as string,
        }),
      ],
    });
    const access = { registry: front.host, caPath: front.caPath, login: skopeo };
    expect(await pullDigest(access, `${project}/quay.io/a/other:1`)).toBe(
      current['quay.io/a/other:1'].descriptor.digest,
    );
  });

  it('because the database is down is REGISTRY_UNAVAILABLE, try again later', async () => {
    front.state.knobs.unhealthy.add('database');
    await expect(loadBundle(into(await apps(1)))).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', exitCode: 75 });
  });
});
