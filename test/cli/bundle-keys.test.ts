import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import { apps, build, first, second } from '../delta/world.ts';
import { type CountingRegistry, startCountingRegistry } from '../support/counting-registry.ts';
import { runProgram } from '../support/run-program.ts';
import { type KeyPair, makeKey } from '../support/signing-keys.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type CliResult, runInProcess } from './run-cli.ts';

const [old, recent] = [1_700_000_000, 1_720_000_000];

let [key, other]: KeyPair[] = [];
let registry: CountingRegistry;
let folder: string;
let list: string;
let base: string;
let delta: string;
/** The same two, signed by `key`. */
let signedBase: string;
let signedDelta: string;

beforeAll(async () => {
  [key, other] = [await makeKey('ecdsa'), await makeKey('ed25519')];
  [folder, registry] = [await temporaryFolder(), await startCountingRegistry({ username: 'a', password: 'b' })];
  registry.add('app', apps.two, '2');
  list = join(folder, 'images.txt');
  await writeFile(list, `${registry.host}/app:2\n`);
  base = (await build(first, join(folder, 'made'), { sourceDateEpoch: old })).bundle.path;
  const options = { sourceDateEpoch: recent, base: await readBundleDocument(base) };
  delta = (await build(second, join(folder, 'made'), options)).bundle.path;
  signedBase = await signed(base, 'base', key);
  signedDelta = await signed(delta, 'delta', key);
});
afterAll(() => registry.stop());
beforeEach(() => registry.reset());

async function signed(bundle: string, name: string, pair: KeyPair | undefined): Promise<string> {
  await mkdir(join(folder, 'signed'), { recursive: true });
  const copy = join(folder, 'signed', `core-${name}.tar.zst`);
  await copyFile(bundle, copy);
  const { exitCode, stderr } = await runInProcess(['sign', copy, '--private-key', pair?.privatePath ?? '']);
  expect(exitCode, stderr).toBe(0);
  return copy;
}

/** `bundle.json` and its signatures, as tar takes them out. */
async function outline(bundle: string, ...names: readonly string[]): Promise<string> {
  const place = await temporaryFolder();
  runProgram('tar', ['--zstd', '-xf', bundle, ...names], { cwd: place });
  return join(place, 'bundle.json');
}

function keysOf(...pairs: readonly (KeyPair | undefined)[]): string[] {
  return pairs.flatMap((pair) => ['--public-key', pair?.publicPath ?? '']);
}

async function expectRefused(args: readonly string[], message: string | RegExp): Promise<void> {
  const result = await runInProcess(args);
  expect([args, result.exitCode, result.stdout]).toEqual([args, 4, '']);
  expect(result.stderr).toMatch(message);
  expect([...registry.counts]).toEqual([]);
}

async function run(args: readonly string[]): Promise<CliResult> {
  const result = await runInProcess(args);
  expect([result.exitCode, result.stderr]).toEqual([0, expect.not.stringContaining('error')]);
  return result;
}

let runs = 0;

/** Each into a folder of its own. */
function buildArgs(...more: readonly string[]): string[] {
  return [
    ...['build', list, '--name', 'site', '--out', join(folder, `out-${(runs += 1)}`), '--plain-http'],
    ...['--output', 'json', ...more],
  ];
}

describe('a public key for commands that read several bundles', () => {
  const commands = (one: string, two: string): string[][] => [
    ['diff', one, two],
    ['merge', one, two, '--out', join(folder, 'never')],
  ];

  it('has to have signed each of them', async () => {
    for (const [one, two] of [
      [base, signedDelta],
      [signedBase, delta],
      [base, delta],
    ] as const) {
      for (const command of commands(one, two)) await expectRefused([...command, ...keysOf(key)], /is not signed/);
    }
    for (const command of commands(signedBase, signedDelta)) {
      await expectRefused([...command, ...keysOf(other)], key?.keyId ?? '-');
    }
    expect(await readdir(folder)).not.toContain('never');
    await run(['diff', signedBase, signedDelta, ...keysOf(other, key)]);
    await run(['merge', signedBase, signedDelta, '--out', join(folder, 'merged'), ...keysOf(key)]);
  });

  it('goes with a date that the last of them has to have, for the first is older by its nature', async () => {
    const minimum = ['--minimum-date', '2024-01-01'];
    await run(['diff', signedBase, signedDelta, ...keysOf(key), ...minimum]);
    await run(['merge', signedBase, signedDelta, '--out', join(folder, 'merged'), ...keysOf(key), ...minimum]);
    await expectRefused(['diff', signedDelta, signedBase, ...minimum], /is of 2023-11-14T22:13:20Z/);
    const later = ['--minimum-date', '2024-12-01'];
    for (const command of commands(signedBase, signedDelta)) {
      await expectRefused([...command, ...keysOf(key), ...later], /is of 2024-07-03T09:46:40Z/);
    }
  });
});

describe('a public key for the bundles of a build', () => {
  it('refuses a base and an existing bundle that it has not signed, before a registry is asked', async () => {
    for (const option of ['--base', '--existing-bundle']) {
      await expectRefused(buildArgs(option, base, ...keysOf(key)), /is not signed/);
      await expectRefused(buildArgs(option, signedBase, ...keysOf(other)), key?.keyId ?? '-');
    }
    await expectRefused(buildArgs('--base', signedBase, '--existing-bundle', delta, ...keysOf(key)), /is not signed/);
  });

  it('takes those that it has signed', async () => {
    const { exitCode, stdout, stderr } = await runInProcess(
      [
        ...buildArgs('--base', signedBase, '--existing-bundle', signedDelta, ...keysOf(other, key)),
        ...['--username', 'a', '--password-stdin', '--minimum-date', String(old)],
      ],
      { stdin: 'b' },
    );
    expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
    const built = documentSchemas.build.parse(JSON.parse(stdout));
    expect(built.base?.id).toBe((await readBundleDocument(base)).id);
    expect(built.bytes.reused.bundles).toBeGreaterThan(0);
  });

  it('goes with a date for the base', async () => {
    const minimum = ['--minimum-date', '2023-11-15'];
    await expectRefused(buildArgs('--base', signedBase, ...keysOf(key), ...minimum), /is of 2023-11-14T22:13:20Z/);
    await expectRefused(buildArgs('--base', signedBase, ...minimum), /is of 2023-11-14T22:13:20Z/);
  });

  it('is a mistake where there is no such bundle', async () => {
    for (const args of [
      keysOf(key),
      ['--minimum-date', '2023-11-15'],
      ['--existing-bundle', signedBase, '--minimum-date', '2023-11-15'],
    ]) {
      const result = await runInProcess(buildArgs(...args));
      expect([result.exitCode, result.stdout]).toEqual([2, '']);
      expect(result.stderr).toContain('and none is given');
    }
    expect([...registry.counts]).toEqual([]);
  });
});

describe('preflight', () => {
  it.each([
    ['--public-key', () => keysOf(key)],
    ['--minimum-date', () => ['--minimum-date', '2023-11-15']],
  ])('is mistaken where %s is given, and no bundle', async (option, args) => {
    const result = await runInProcess(['preflight', ...args()]);
    expect([result.exitCode, result.stdout]).toEqual([2, '']);
    expect(result.stderr).toContain(`${option} is for bundles, and none is given`);
  });
});

describe('a public key for a bundle.json alone', () => {
  const commands = (document: string): string[][] => [
    buildArgs('--base', document),
    ['diff', document, signedDelta],
    ['diff', signedBase, document],
  ];

  it('wants the signatures beside it, in the form that they have in the bundle', async () => {
    const document = await outline(signedBase, 'bundle.json', 'bundle.json.sig');
    await run(['diff', document, signedDelta, ...keysOf(key)]);
    for (const command of commands(document)) {
      await expectRefused([...command, ...keysOf(other)], key?.keyId ?? '-');
    }
  });

  it('refuses it where there are none, and says how to get them', async () => {
    const document = await outline(signedBase, 'bundle.json');
    for (const command of commands(document)) {
      await expectRefused([...command, ...keysOf(key)], /bundle\.json\.sig'[^]*hint: .*tar --zstd -xf/);
    }
    await run(['diff', document, signedDelta]);
  });

  it('refuses it where its bundle was not signed', async () => {
    const document = await outline(base, 'bundle.json', 'bundle.json.sig');
    for (const command of commands(document)) await expectRefused([...command, ...keysOf(key)], /is not signed/);
  });

  it('refuses signatures of another bundle, and damaged ones', async () => {
    const document = await outline(signedBase, 'bundle.json', 'bundle.json.sig');
    const others = await outline(signedDelta, 'bundle.json', 'bundle.json.sig');
    const own = await readFile(`${document}.sig`);
    for (const [content, message] of [
      [await readFile(`${others}.sig`), /are those of sha256:/],
      [own.subarray(0, -1), /are damaged/],
      [Buffer.concat([own, Buffer.from('\n')]), /are damaged/],
      [Buffer.alloc(0), /are damaged/],
    ] as const) {
      await writeFile(`${document}.sig`, content);
      for (const command of commands(document)) await expectRefused([...command, ...keysOf(key)], message);
    }
  });

  it('refuses one that was changed before it is read', async () => {
    const document = await outline(signedBase, 'bundle.json', 'bundle.json.sig');
    await writeFile(document, '{"not": a document');
    for (const command of commands(document)) await expectRefused([...command, ...keysOf(key)], /are those of sha256:/);
  });

  it('goes with a date', async () => {
    const document = await outline(signedBase, 'bundle.json', 'bundle.json.sig');
    const minimum = ['--minimum-date', '2023-11-15'];
    await expectRefused(buildArgs('--base', document, ...minimum), /is of 2023-11-14T22:13:20Z/);
    await expectRefused(['diff', signedBase, document, ...keysOf(key), ...minimum], /is of 2023-11-14T22:13:20Z/);
  });
});

describe('a public key for commands that read one bundle', () => {
  it('refuses what it has not signed, whatever is wanted of it', async () => {
    for (const command of [
      ['extract', base, '--out', join(folder, 'files')],
      ['mirror-config', base, '--serve', 'http://127.0.0.1:5000', '--out', join(folder, 'mirrors')],
      ['preflight', base],
      ['iso', 'parts', base, '--out', join(folder, 'parts')],
    ]) {
      await expectRefused([...command, ...keysOf(key)], /is not signed/);
    }
    expect((await readdir(folder)).sort()).not.toContain('mirrors');
  });
});
