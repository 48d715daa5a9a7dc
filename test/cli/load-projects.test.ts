import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { build } from '../delta/world.ts';
import { layer } from '../loader/sample-bundle.ts';
import { image } from '../support/graphs.ts';
import type { HarborUser } from '../support/harbor-accounts.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import type { HarborProject } from '../support/harbor-state.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { pullDigest } from '../loader/skopeo.ts';
import { runInProcess } from './run-cli.ts';

const robot = { name: 'robot$creator', password: 'robot-password', mayCreateProjects: true } satisfies HarborUser;

const app = image([layer('app')]);

let front: HarborFront;
let folder: string;
let bundle: string;
/** Of all that the bundle has. */
let bundleBytes: number;
let project: string;
let projects = 0;

beforeAll(async () => {
  front = await HarborFront.start({ users: [harborAdmin, robot] });
  folder = await temporaryFolder();
  const world = { images: { 'quay.io/a/app:1': app }, packs: { web: Buffer.alloc(3_000, 7) } };
  bundle = (await build(world, join(folder, 'bundles'))).bundle.path;
  const { document } = await readBundleDocument(bundle);
  bundleBytes = document.blobs.reduce((sum, { size }) => sum + size, 0);
  for (const user of [harborAdmin, robot]) await writeFile(join(folder, user.name), user.password);
});

beforeEach(() => {
  front.reset();
  project = `projects-${++projects}`;
});

afterEach(() => expect(front.state.violations).toEqual([]));

afterAll(() => front.close());

async function load(
  args: readonly string[],
  { name } = harborAdmin,
): Promise<{ exitCode: number | null; stderr: string }> {
  const login = ['--username', name, '--password-file', join(folder, name)];
  const names = ['--project', project, '--packs-project', `${project}-packs`];
  return runInProcess(['load', bundle, '--harbor', front.url, '--ca-cert', front.caPath, ...login, ...names, ...args]);
}

function made(): readonly (HarborProject | undefined)[] {
  return [project, `${project}-packs`].map((name) => front.state.projects.get(name));
}

describe('the projects of a load', () => {
  it('are private and without a limit of their own where nothing else is asked for', async () => {
    expect(await load([])).toMatchObject({ exitCode: 0 });
    expect(made()).toMatchObject([
      { public: false, quotaBytes: undefined },
      { public: false, quotaBytes: undefined },
    ]);
    const access = { registry: front.host, caPath: front.caPath };
    await expect(pullDigest(access, `${project}/quay.io/a/app:1`)).rejects.toThrow('unauthorized');
  });

  it('are public with --public, and limited with --quota', async () => {
    const { exitCode, stderr } = await load(['--public', '--quota', '1.5Mi']);
    expect([exitCode, stderr]).toEqual([0, expect.not.stringMatching(/warning|error/) as string]);
    expect(made()).toMatchObject([
      { public: true, quotaBytes: 1_572_864 },
      { public: true, quotaBytes: 1_572_864 },
    ]);
    const access = { registry: front.host, caPath: front.caPath };
    expect(await pullDigest(access, `${project}/quay.io/a/app:1`)).toBe(app.descriptor.digest);
  });

  it('with a quota that is too small are QUOTA_EXCEEDED, in numbers, and nothing is sent', async () => {
    const { exitCode, stderr } = await load(['--quota', '5K']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(new RegExp(`${project}: the quota has 5000 bytes left, and the load needs \\d+`));
    expect(Number(/the load needs (\d+)/.exec(stderr)?.[1])).toBeLessThan(bundleBytes);
    expect(front.state.uploadedBytes).toBe(0);
  });

  it('stay as they are where they exist; a warning names in what they differ, and the load goes on', async () => {
    front.state.addProject({ name: project, quotaBytes: 3_000_000 });
    front.state.addProject({ name: `${project}-packs`, public: true });
    const { exitCode, stderr } = await load(['--public', '--quota', '2M']);
    expect(exitCode).toBe(0);
    expect(made()).toMatchObject([
      { public: false, quotaBytes: 3_000_000 },
      { public: true, quotaBytes: undefined },
    ]);
    const warnings = stderr.split('\n').filter((line) => line.includes("project '"));
    expect(warnings).toEqual([
      expect.stringContaining(`project '${project}' is not public: it was there already`) as string,
      expect.stringContaining(
        `project '${project}' is limited to 3000000 bytes, and not limited to 2000000 bytes`,
      ) as string,
      expect.stringContaining(
        `project '${project}-packs' is without a limit, and not limited to 2000000 bytes`,
      ) as string,
    ]);
    // As they are now, the same options say nothing.
    for (const each of made()) if (each !== undefined) each.quotaBytes = 2_000_000;
    front.state.projects.set(project, { ...(made()[0] ?? expect.fail('no project')), public: true });
    expect((await load(['--public', '--quota', '2M'])).stderr).not.toContain("project '");
  });

  it('that exist say nothing where nothing is asked for', async () => {
    front.state.addProject({ name: project, quotaBytes: 3_000_000, public: true });
    const { exitCode, stderr } = await load([]);
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining("project '") as string]);
  });

  it('of a user whose quota Harbor ignores are told of', async () => {
    const { exitCode, stderr } = await load(['--quota', '2M'], robot);
    expect([exitCode, stderr]).toEqual([
      0,
      expect.stringContaining(`project '${project}' is without a limit, and not limited to 2000000 bytes`) as string,
    ]);
  });

  it('cannot be limited to nothing, and no other registry has any', async () => {
    expect(await load(['--quota', '0'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--quota') as string,
    });
    const args = ['load', bundle, '--registry', 'http://127.0.0.1:1'];
    for (const option of [['--public'], ['--quota', '1G']]) {
      const { exitCode, stderr } = await runInProcess([...args, ...option]);
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining('need --harbor') as string]);
    }
    expect(front.requests).toEqual([]);
  });
});
