import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { firstBootStatusSchema } from '../../src/report/first-boot-status.ts';
import { runCli, startCli } from '../cli/run-cli.ts';
import { HarborFront } from '../support/harbor-front.ts';
import { EdgeHost } from './edge-host.ts';

let front: HarborFront;

beforeAll(async () => {
  front = await HarborFront.start();
});

afterAll(() => front.close());

it('goes on after kill -9 in the middle of a load, and its status is never torn', async () => {
  const host = await EdgeHost.create(front);
  const { id } = await host.bundle('large', { layerBytes: 3_000_000 });
  const config = await host.writeConfig();
  const seen = new Set<string>();
  const watch = new AbortController();
  const watching = (async () => {
    while (!watch.signal.aborted) {
      const text = await readFile(host.statusPath, 'utf8').catch(() => undefined);
      if (text !== undefined) seen.add(firstBootStatusSchema.parse(JSON.parse(text)).state);
      await sleep(2);
    }
  })();
  // Killed as soon as so many bytes of it are on their way.
  for (const uploads of [1, 2]) {
    front.reset();
    const run = startCli(['first-boot', '--config', config]);
    while (front.count('PUT', /^\/v2\/.*blobs/) < uploads && run.process.exitCode === null) await sleep(1);
    run.process.kill('SIGKILL');
    await run.result();
  }
  const { exitCode, stdout, stderr } = await runCli(['first-boot', '--config', config, '--output', 'json']);
  watch.abort();
  await watching;
  expect(stderr).toMatch(/first-boot: done: 1 bundle (loaded|already loaded)|first-boot: done: 1 already loaded/);
  expect(exitCode).toBe(0);
  const status = firstBootStatusSchema.parse(JSON.parse(stdout));
  expect(status).toMatchObject({ state: 'done', attempts: 3, bundles: [{ id }] });
  expect(await host.isLoaded('large')).toBe(true);
  expect(seen.has('loading')).toBe(true);
  expect(front.state.violations).toEqual([]);
});

it('ends in order at SIGTERM, says so, and takes a wrong configuration for what it is', async () => {
  const host = await EdgeHost.create(front);
  const config = await host.writeConfig();
  expect(await runCli(['first-boot', '--config', config, '--check'])).toMatchObject({ exitCode: 0, stdout: '' });
  const run = startCli(['first-boot', '--config', config]);
  await run.waitFor(/first-boot: waiting for content/);
  run.process.kill('SIGTERM');
  const { exitCode, stderr } = await run.result();
  expect(exitCode).toBe(143);
  expect(stderr).toContain('first-boot: stopped: no bundle loaded; the next run goes on');
  expect((await host.status()).state).toBe('stopped');
  const wrong = await runCli(['first-boot', '--config', await host.writeConfig({ concurrency: 0, keyz: [] })]);
  expect(wrong.exitCode).toBe(1);
  expect(wrong.stderr).toMatch(/concurrency: [\s\S]*keyz/);
});
