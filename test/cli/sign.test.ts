import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { framesOf } from '../support/bundle-archive.ts';
import { smallBundle, writeBundle } from '../support/bundles.ts';
import { type CountingRegistry, startCountingRegistry } from '../support/counting-registry.ts';
import { runProgram } from '../support/run-program.ts';
import { type KeyPair, makeKey } from '../support/signing-keys.ts';
import { memoryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from './run-cli.ts';

let [key, other]: KeyPair[] = [];
let path: string;

beforeAll(async () => {
  [key, other] = [await makeKey('rsa'), await makeKey('ed25519')];
  path = await writeBundle(await memoryFolder(), await smallBundle({ sourceDateEpoch: 1_700_000_000 }));
});

async function copyOf(file: string): Promise<string> {
  const copy = join(await memoryFolder(), 'core-copy.tar.zst');
  await writeFile(copy, await readFile(file));
  return copy;
}

describe('edge-bundle sign', () => {
  it('signs with an encrypted key, whose passphrase is in a file or the environment and nowhere else', async () => {
    const folder = await temporaryFolder();
    const [encrypted, passphrase] = [join(folder, 'private.pem'), join(folder, 'passphrase')];
    await writeFile(passphrase, 'correct horse\n');
    runProgram('openssl', [
      ...['pkcs8', '-topk8', '-in', key?.privatePath ?? '', '-out', encrypted, '-passout', `file:${passphrase}`],
    ]);
    const args = ['--private-key', encrypted, '--output', 'json'];
    const signed = await runInProcess(['sign', await copyOf(path), ...args, '--passphrase-file', passphrase]);
    expect(signed.exitCode, signed.stderr).toBe(0);
    expect(JSON.parse(signed.stdout)).toMatchObject({
      changed: true,
      signatures: [{ algorithm: 'rsa-pkcs1-sha256', keyId: key?.keyId }],
    });
    const environment = { EDGE_BUNDLE_KEY_PASSPHRASE: 'correct horse' };
    expect((await runInProcess(['sign', await copyOf(path), ...args], { environment })).exitCode).toBe(0);
    const wrong = await runInProcess(['sign', await copyOf(path), ...args], {
      environment: { EDGE_BUNDLE_KEY_PASSPHRASE: 'wrong battery' },
    });
    expect([wrong.exitCode, wrong.stdout]).toEqual([1, '']);
    expect(wrong.stderr).toContain('cannot be decrypted');
    expect(wrong.stderr).not.toContain('wrong battery');
    expect((await runInProcess(['sign', await copyOf(path), ...args])).stderr).toContain('is encrypted');
  });

  it('wants something to sign with, and puts in what was signed elsewhere', async () => {
    const copy = await copyOf(path);
    expect(await runInProcess(['sign', copy])).toMatchObject({ exitCode: 2 });
    const folder = await temporaryFolder();
    runProgram('tar', ['--zstd', '-xf', copy, 'bundle.json'], { cwd: folder });
    runProgram('openssl', ['dgst', '-sha256', '-sign', key?.privatePath ?? '', '-out', 'sig', 'bundle.json'], {
      cwd: folder,
    });
    const half = await runInProcess(['sign', copy, '--signature', join(folder, 'sig')]);
    expect(half).toMatchObject({ exitCode: 2 });
    const publicKey = ['--public-key', key?.publicPath ?? ''];
    expect(await runInProcess(['sign', copy, '--signature', join(folder, 'sig'), ...publicKey])).toMatchObject({
      exitCode: 0,
    });
    const inspected = await runInProcess(['inspect', copy, ...publicKey]);
    expect(inspected.stdout).toMatch(new RegExp(`signed by +${key?.keyId ?? ''} \\(rsa-pkcs1-sha256\\)`));
  });
});

describe('edge-bundle sign, of a bundle in parts', () => {
  const signArgs = (folder: string): string[] => ['sign', folder, '--private-key', key?.privatePath ?? ''];

  /** Cut in the middle of the signature, so that it is in two parts. */
  async function inParts(): Promise<string> {
    const border = (framesOf(await readFile(path))[1]?.start ?? 0) + 525 + 300;
    const folder = await memoryFolder();
    const { exitCode, stderr } = await runInProcess(['iso', 'parts', path, '--out', folder, '--size', String(border)]);
    expect(exitCode, stderr).toBe(0);
    return folder;
  }

  async function filesOf(folder: string): Promise<Map<string, Buffer>> {
    const names = (await readdir(folder)).sort();
    return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)));
  }

  async function expectVerified(folder: string): Promise<void> {
    const files = await filesOf(folder);
    const lists = [...files.keys()].filter((name) => !/_part\d+$/.test(name));
    expect(lists).toEqual([`${basename(path)}.parts.json`]);
    const { parts } = JSON.parse(files.get(lists[0] ?? '')?.toString() ?? '') as {
      parts: { name: string; sha256: string }[];
    };
    const names = parts.map(({ name }) => name);
    const sums = runProgram('sha256sum', names, { cwd: folder }).toString();
    expect(parts.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')).toBe(sums);
    const verified = await runInProcess(['verify', folder, '--public-key', key?.publicPath ?? '']);
    expect(verified.exitCode, verified.stderr).toBe(0);
  }

  it('is not looked into to tell what is wrong with its parts, where nobody vouches for it', async () => {
    const folder = await inParts();
    const last = join(
      folder,
      [...(await filesOf(folder)).keys()].filter((name) => /_part\d+$/.test(name)).at(-1) ?? '',
    );
    const content = await readFile(last);
    const at = Math.floor(content.byteLength / 2);
    content.writeUInt8(content.readUInt8(at) ^ 1, at);
    await writeFile(last, content);
    const trusting = await runInProcess(['verify', folder]);
    expect([trusting.exitCode, trusting.stderr]).toEqual([3, expect.stringMatching(/was made: it is damaged$/m)]);
    const wary = await runInProcess(['verify', folder, '--public-key', key?.publicPath ?? '']);
    expect([wary.exitCode, wary.stderr]).toEqual([
      3,
      expect.stringMatching(/was made: it is damaged, or belongs to another bundle$/m),
    ]);
  });

  it('renews their list, with which they are verified', async () => {
    const folder = await inParts();
    const before = await filesOf(folder);
    expect(await runInProcess(signArgs(folder))).toMatchObject({ exitCode: 0 });
    const after = await filesOf(folder);
    const changed = [...after].filter(([name, content]) => before.get(name)?.equals(content) !== true);
    const endings = changed.map(([name]) => name.slice(basename(path).length));
    expect(endings).toEqual(['.parts.json', '_part00', '_part01']);
    expect(changed.length).toBeLessThan(after.size);
    await expectVerified(folder);
  });

  it('goes on where it was killed, before and after the list was written, and in the middle of the parts', async () => {
    const [unsigned, folder] = [await filesOf(await inParts()), await inParts()];
    await runInProcess(signArgs(folder));
    const signed = await filesOf(folder);
    const whole = await copyOf(path);
    await runInProcess(['sign', whole, '--private-key', key?.privatePath ?? '']);
    runProgram('tar', ['--zstd', '-xf', whole, 'bundle.json.sig'], { cwd: folder });
    const pending = await readFile(join(folder, 'bundle.json.sig'));
    const changed = [...signed.keys()].filter(
      (name) => unsigned.get(name)?.equals(signed.get(name) ?? Buffer.of()) !== true,
    );
    const list = `${basename(path)}.parts.json`;
    expect(changed.length).toBe(3);
    const firstPart = changed.find((name) => name !== list) ?? '';
    for (const done of [[], [list], [list, firstPart], changed]) {
      const killed = await memoryFolder();
      for (const [name, content] of unsigned) {
        await writeFile(join(killed, name), done.includes(name) ? (signed.get(name) ?? '') : content);
      }
      await writeFile(join(killed, `${basename(path)}.signing`), pending);
      const { exitCode, stderr } = await runInProcess(signArgs(killed));
      expect([done, exitCode, stderr]).toEqual([done, 0, expect.any(String)]);
      await expectVerified(killed);
      expect(await filesOf(killed)).toEqual(signed);
    }
  });

  it('does not make a damaged part good', async () => {
    const folder = await inParts();
    const list = JSON.parse(await readFile(join(folder, `${basename(path)}.parts.json`), 'utf8')) as {
      parts: { name: string }[];
    };
    const last = join(folder, list.parts.at(-1)?.name ?? '');
    const bytes = await readFile(last);
    bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    await writeFile(last, bytes);
    await runInProcess(signArgs(folder));
    const verified = await runInProcess(['verify', folder, '--public-key', key?.publicPath ?? '']);
    expect(verified.exitCode).not.toBe(0);
    expect(verified.stderr + verified.stdout).toContain(basename(last));
  });
});

describe('a public key that is given', () => {
  let signed: string;
  let registry: CountingRegistry;

  beforeAll(async () => {
    signed = await copyOf(path);
    await runInProcess(['sign', signed, '--private-key', key?.privatePath ?? '']);
    registry = await startCountingRegistry({ username: 'a', password: 'b' });
  });
  afterAll(() => registry.stop());

  const commands = (bundle: string): string[][] => [
    ['verify', bundle],
    ['inspect', bundle],
    ['load', bundle, '--registry', `http://${registry.host}`],
    ['verify', bundle, '--registry', `http://${registry.host}`],
    ['serve', bundle, '--listen', '127.0.0.1:0'],
  ];

  it('refuses an unsigned bundle in every command, with exit code 4, before a registry is asked', async () => {
    for (const command of commands(path)) {
      const result = await runInProcess([...command, '--public-key', key?.publicPath ?? '']);
      expect([command[0], result.exitCode, result.stdout]).toEqual([command[0], 4, '']);
      expect(result.stderr).toMatch(/^error: the bundle is not signed/);
    }
    expect([...registry.counts]).toEqual([]);
  });

  it('refuses a bundle that somebody else signed', async () => {
    for (const command of commands(signed)) {
      const result = await runInProcess([...command, '--public-key', other?.publicPath ?? '']);
      expect([command[0], result.exitCode, result.stdout]).toEqual([command[0], 4, '']);
      expect(result.stderr).toContain(key?.keyId);
    }
    expect([...registry.counts]).toEqual([]);
  });

  it('takes it where one of several keys signed it, and its date is not too old', async () => {
    const keys = ['--public-key', other?.publicPath ?? '', '--public-key', key?.publicPath ?? ''];
    for (const date of ['2023-11-14', '2023-11-14T22:13:20Z', '1700000000']) {
      expect(await runInProcess(['verify', signed, ...keys, '--minimum-date', date])).toMatchObject({ exitCode: 0 });
    }
    for (const date of ['2023-11-15', '1700000001']) {
      const result = await runInProcess([
        'load',
        signed,
        '--registry',
        `http://${registry.host}`,
        ...keys,
        '--minimum-date',
        date,
      ]);
      expect(result.exitCode).toBe(4);
      expect(result.stderr).toContain('is of 2023-11-14T22:13:20Z');
    }
    expect([...registry.counts]).toEqual([]);
    for (const date of ['soon', '2023-13-01', '14.11.2023', '']) {
      expect(await runInProcess(['verify', signed, '--minimum-date', date])).toMatchObject({ exitCode: 2 });
    }
  });

  it('is never passed over where its file has none, or is not there', async () => {
    const empty = join(await temporaryFolder(), 'empty.pem');
    await writeFile(empty, '');
    for (const file of [empty, '/nonexistent.pem', '']) {
      const result = await runInProcess(['verify', signed, '--public-key', file]);
      expect([file, result.exitCode]).toEqual([file, 1]);
    }
  });
});
