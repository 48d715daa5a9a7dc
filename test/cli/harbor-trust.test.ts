import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { image } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { writeBundle, planBundle } from '../support/bundles.ts';
import { layer } from '../loader/sample-bundle.ts';
import { runInProcess } from './run-cli.ts';

let front: HarborFront;
let bundle: string;
let login: readonly string[];
let fingerprint: string;
let port: string;

beforeAll(async () => {
  front = await HarborFront.start();
  port = front.host.split(':')[1] ?? '';
  const folder = await temporaryFolder();
  bundle = await writeBundle(
    join(folder, 'bundles'),
    await planBundle({ 'quay.io/a/app:1': image([layer('app')]), 'quay.io/a/two:1': image([layer('two')]) }),
  );
  await writeFile(join(folder, 'password'), harborAdmin.password);
  login = ['--username', harborAdmin.name, '--password-file', join(folder, 'password')];
  fingerprint = execFileSync('openssl', ['x509', '-in', front.caPath, '-noout', '-fingerprint', '-sha256'])
    .toString()
    .trim();
});

beforeEach(() => front.reset());

afterAll(() => front.close());

function load(...args: readonly string[]) {
  return runInProcess(['load', bundle, ...login, ...args]);
}

describe('a Harbor whose certificate nobody knows', () => {
  it('is trusted by the fingerprint of the CA that it gives', async () => {
    const { exitCode, stderr } = await load('--harbor', front.url, '--ca-fingerprint', fingerprint);
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('error') as string]);
    expect(front.count('GET', /getcert/)).toBe(1);
  });

  it('is not trusted where the fingerprint is another one: both are named, and no login is sent', async () => {
    const other = 'ab'.repeat(32);
    const { exitCode, stderr } = await load('--harbor', front.url, '--ca-fingerprint', other);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('the CA of Harbor at');
    expect(stderr).toContain(fingerprint.replace(/^.*=/, ''));
    expect(stderr).toContain('AB:AB:AB');
    expect(front.requests.map(({ path }) => path)).toEqual(['/api/v2.0/systeminfo/getcert']);
  });

  it('is not trusted where it gives no CA, and without a fingerprint', async () => {
    front.state.knobs.offersCertificate = false;
    expect(await load('--harbor', front.url, '--ca-fingerprint', fingerprint)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('Harbor gives none') as string,
    });
    expect(await load('--harbor', front.url)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('is not trusted') as string,
    });
  });

  it('is warned of loudly with --insecure', async () => {
    const { exitCode, stderr } = await load('--harbor', front.url, '--insecure');
    expect([exitCode, stderr]).toEqual([0, expect.stringContaining('CERTIFICATES ARE NOT CHECKED') as string]);
  });

  it.each([
    ['of no length', ['--ca-fingerprint', 'abcd'], 1, 'is no SHA-256 fingerprint'],
    ['of an address that is none', ['--resolve', 'host:port'], 1, 'expected HOST:PORT:ADDRESS'],
  ])('is not asked with an option %s', async (_name, args, code, text) => {
    const { exitCode, stderr } = await load('--harbor', front.url, ...args);
    expect([exitCode, stderr]).toEqual([code, expect.stringContaining(text) as string]);
    expect(front.requests).toEqual([]);
  });
});

describe('a Harbor whose name nobody knows', () => {
  it('is reached with --resolve, and its certificate is checked for the name', async () => {
    const named = ['--harbor', `https://spectro.registry.local:${port}`, '--ca-cert', front.caPath];
    const at = ['--resolve', `spectro.registry.local:${port}:127.0.0.1`];
    const { exitCode, stderr } = await load(...named, ...at, '--project', 'named');
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('error') as string]);
    expect(front.state.projects.has('named')).toBe(true);

    const other = ['--harbor', `https://other.registry.local:${port}`, '--ca-cert', front.caPath];
    const refused = await load(...other, '--resolve', `other.registry.local:${port}:127.0.0.1`);
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('is not trusted') as string]);
  });
});

describe('edge-bundle verify --output junit', () => {
  it('has a test case for each image, those that are missing as failures, and exit code 3', async () => {
    const to = ['--harbor', front.url, '--ca-cert', front.caPath, '--project', 'junit'];
    await load(...to);
    const good = await runInProcess(['verify', bundle, ...login, ...to, '--output', 'junit']);
    expect([good.exitCode, good.stdout]).toEqual([0, expect.stringContaining('tests="2" failures="0"') as string]);
    front.state.collect('junit/quay.io/a/two', '1');
    const bad = await runInProcess(['verify', bundle, ...login, ...to, '--output', 'junit', '--deep']);
    expect(bad.exitCode).toBe(3);
    expect(bad.stdout).toContain('tests="2" failures="1"');
    expect(bad.stdout).toMatch(
      /classname="junit\/quay\.io\/a\/two" name="quay\.io\/a\/two:1" time="0">\s*<failure message="[^"]*tag/,
    );
    expect(bad.stderr).toContain('1 tag, manifest or blob of 1 image');
  });
});
