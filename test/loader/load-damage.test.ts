import { readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { writeParts } from '../../src/bundle/write-parts.ts';
import { withFailingFile, whyNoFailingDisk } from '../support/failing-disk.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { planBundle, writeBundle } from '../support/bundles.ts';
import { contentsOf, image } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from '../cli/run-cli.ts';
import { layer } from './sample-bundle.ts';

const images = Object.fromEntries(
  [1, 2, 3].map((number) => [`quay.io/a/app-${number}:1`, image([layer(`damage ${number}`, 300_000)])]),
);
const partBytes = 200_000;

let front: HarborFront;
let folder: string;
let whole: Buffer;
let to: readonly string[];
let projects = 0;

beforeAll(async () => {
  front = await HarborFront.start();
  folder = await temporaryFolder();
  whole = await readFile(await writeBundle(join(folder, 'whole'), await planBundle(images)));
  await writeFile(join(folder, 'password'), harborAdmin.password);
});

beforeEach(() => {
  front.reset();
  to = [
    ...['--harbor', front.url, '--ca-cert', front.caPath, '--project', `damage-${++projects}`],
    ...['--username', harborAdmin.name, '--password-file', join(folder, 'password')],
  ];
});

afterAll(async () => {
  expect(front.state.violations).toEqual([]);
  await front.close();
});

async function inParts(): Promise<readonly string[]> {
  const place = await temporaryFolder();
  const paths: string[] = [];
  for (let at = 0; at * partBytes < whole.byteLength; at += 1) {
    const path = join(place, `core-sample.tar.zst_part${String(at).padStart(2, '0')}`);
    await writeFile(path, whole.subarray(at * partBytes, (at + 1) * partBytes));
    paths.push(path);
  }
  return paths;
}

async function swap(one = '', other = ''): Promise<void> {
  await rename(one, `${one}.aside`);
  await rename(other, one);
  await rename(`${one}.aside`, other);
}

describe('a bundle in parts', () => {
  it('two of which were swapped is refused, or not completed, and loads when that is mended', async () => {
    const parts = await inParts();
    expect(parts.length).toBeGreaterThan(4);
    await swap(parts[1], parts[2]);
    const bad = await runInProcess(['load', parts[0] ?? '', ...to]);
    expect(bad.exitCode).toBeGreaterThan(0);
    expect(bad.stderr).toMatch(/digest|damaged|BUNDLE_INVALID|bundle/i);
    await swap(parts[1], parts[2]);
    const good = await runInProcess(['load', parts[0] ?? '', ...to, '--output', 'json']);
    expect([good.exitCode, JSON.parse(good.stdout)]).toEqual([0, expect.objectContaining({ images: 3, missing: [] })]);
  });

  it.skipIf(whyNoFailingDisk !== undefined)(
    `one of which its disk does not give is named with the place, the other images come, and the next load goes on (${whyNoFailingDisk ?? 'a loop device'})`,
    async () => {
      const parts = await inParts();
      const [, , part = ''] = parts;
      // What begins in the third part is in the middle of the second image.
      await withFailingFile(part, 100_000, async (copy) => {
        await rename(part, `${part}.good`);
        await symlink(copy, part);
        const journal = await temporaryFolder();
        // The parts are looked at first, and that it begins and ends well says nothing.
        const looked = await runInProcess(['load', part, ...to, '--journal', journal]);
        expect(looked.stderr).toMatch(new RegExp(`cannot read '[^']*${basename(part)}' at byte \\d+: EIO`));
        expect([looked.exitCode, front.requests]).toEqual([1, []]);
        const unchecked = ['load', part, ...to, '--journal', journal, '--check-parts=false'];
        const { exitCode, stderr } = await runInProcess(unchecked);
        expect(exitCode).toBe(1);
        // The disk is read in pages of 4,096 bytes.
        expect(stderr).toMatch(new RegExp(`app-2:1: cannot read '[^']*${basename(part)}' at byte 98304: EIO`));
        expect(stderr).toContain('copy the file from another one');
        expect(stderr).toContain('1 of 3 images could not be loaded');
        const before = front.requests.length;
        await rename(`${part}.good`, part);
        const { exitCode: next, stdout } = await runInProcess([
          ...['load', part, ...to, '--journal', journal, '--output', 'json'],
        ]);
        expect([next, JSON.parse(stdout)]).toMatchObject([0, { images: 3, missing: [] }]);
        const sent = front.requests
          .slice(before)
          .filter(({ method, path }) => method === 'PUT' && path.includes('/blobs/'));
        expect(sent.every(({ path }) => path.includes('/app-2/'))).toBe(true);
      });
    },
  );

  it.skipIf(whyNoFailingDisk !== undefined)(
    `two of which are wrong, one of them unreadable, are both named before anything is sent (${whyNoFailingDisk ?? 'a loop device'})`,
    async () => {
      const place = await temporaryFolder();
      const file = join(place, 'core-sample.tar.zst');
      await writeFile(file, whole);
      const { paths } = await writeParts(file, { partBytes, out: join(place, 'parts') });
      const [, , part = '', other = ''] = paths;
      await withFailingFile(part, 100_000, async (copy) => {
        await rm(part);
        await symlink(copy, part);
        const bytes = await readFile(other);
        await writeFile(other, bytes.fill(1, 5_000, 6_000));
        const { exitCode, stderr } = await runInProcess(['load', part, ...to]);
        expect(exitCode).not.toBe(0);
        expect(stderr).toContain(`${basename(part)}' at byte 98304: EIO`);
        expect(stderr).toContain(`part '${basename(other)}' is not the one that was made`);
        expect(front.requests).toEqual([]);
      });
    },
  );

  it('with one damaged layer brings the other images, and names the one', async () => {
    const parts = await inParts();
    const layers = contentsOf(...Object.values(images)).filter(({ descriptor }) => descriptor.size === 300_000);
    const at = whole.indexOf((layers[1]?.bytes ?? Buffer.alloc(1)).subarray(150_000, 150_064));
    expect(at).toBeGreaterThan(0);
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    for (const [number, path] of parts.entries()) {
      await writeFile(path, damaged.subarray(number * partBytes, (number + 1) * partBytes));
    }
    const bad = await runInProcess(['load', parts[0] ?? '', ...to]);
    expect([bad.exitCode, bad.stderr]).toEqual([4, expect.stringContaining('1 of 3 images') as string]);
    expect(bad.stderr).toMatch(/quay\.io\/a\/app-\d:1: .*digest/);
    for (const [number, path] of parts.entries()) {
      await writeFile(path, whole.subarray(number * partBytes, (number + 1) * partBytes));
    }
    const good = await runInProcess(['load', parts[0] ?? '', ...to, '--output', 'json']);
    const { blobs } = JSON.parse(good.stdout) as { blobs: { uploaded: number; present: number } };
    expect([good.exitCode, blobs.uploaded]).toEqual([0, 1]);
  });
});

describe('a registry that does not tell the truth', () => {
  it('about the length of a blob has it sent again, and verified', async () => {
    const bundle = join(folder, 'whole');
    expect((await runInProcess(['load', ...(await only(bundle)), ...to])).exitCode).toBe(0);
    const lies = new Set<string>();
    front.intercept = ({ method, url = '' }, response) => {
      if (method !== 'HEAD' || !url.includes('/blobs/') || lies.has(url) || lies.size > 0) return false;
      lies.add(url);
      response.writeHead(200, { 'content-length': '17' }).end();
      return true;
    };
    const again = await runInProcess(['load', ...(await only(bundle)), ...to, '--output', 'json']);
    expect([again.exitCode, JSON.parse(again.stdout)]).toEqual([0, expect.objectContaining({ missing: [] })]);
    expect(lies.size).toBe(1);
  });

  it('about a blob is found out by verify --deep only, which names it and says exit code 3', async () => {
    const bundle = await only(join(folder, 'whole'));
    expect((await runInProcess(['load', ...bundle, ...to])).exitCode).toBe(0);
    const digest = contentsOf(...Object.values(images)).find(({ descriptor }) => descriptor.size === 300_000)
      ?.descriptor.digest;
    const path = join(front.backend.storage, 'docker/registry/v2/blobs/sha256');
    const hex = digest?.slice('sha256:'.length) ?? '';
    const file = join(path, hex.slice(0, 2), hex, 'data');
    const stored = await readFile(file);
    stored[1000] = (stored[1000] ?? 0) ^ 1;
    await writeFile(file, stored);
    expect((await runInProcess(['verify', ...bundle, ...to])).exitCode).toBe(0);
    const deep = await runInProcess(['verify', ...bundle, ...to, '--deep', '--output', 'json']);
    expect(deep.exitCode).toBe(3);
    const { missing } = JSON.parse(deep.stdout) as { missing: readonly { digest: string; damage: string }[] };
    expect(missing).toEqual([expect.objectContaining({ digest, damage: expect.stringContaining('digest') as string })]);
  });
});

async function only(out: string): Promise<readonly string[]> {
  return [await writeBundle(out, await planBundle(images))];
}
