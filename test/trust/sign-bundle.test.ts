import { chmod, copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { type BundleSignature, encodeSignatureFile } from '../../src/bundle/signature-file.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { verifyParts } from '../../src/bundle/verify-parts.ts';
import { writeParts } from '../../src/bundle/write-parts.ts';
import { FileLock } from '../../src/files/file-lock.ts';
import type { PublicKey } from '../../src/trust/public-key.ts';
import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { detachedSigner, readSigner, type Signer } from '../../src/trust/signer.ts';
import { ensureSigned, trustOf } from '../../src/trust/trust-policy.ts';
import { framesOf, signatureFile } from '../support/bundle-archive.ts';
import { smallBundle, writeBundle } from '../support/bundles.ts';
import { craftBundle } from '../support/crafted-bundle.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { type KeyPair, makeKey } from '../support/signing-keys.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let [first, second]: KeyPair[] = [];
let unsigned: Buffer;
let name: string;

beforeAll(async () => {
  [first, second] = [await makeKey('ed25519'), await makeKey('ecdsa')];
  const path = await writeBundle(await memoryFolder(), await smallBundle({ sourceDateEpoch: 1_700_000_000 }));
  [unsigned, name] = [await readFile(path), basename(path)];
});

async function freshBundle(): Promise<string> {
  const path = join(await memoryFolder(), name);
  await writeFile(path, unsigned);
  return path;
}

function signerOf(key: KeyPair | undefined): Signer {
  if (key === undefined) throw new Error('there is no key');
  return readSigner({ name: key.privatePath, text: key.privatePem });
}

function publicKeys(...keys: readonly (KeyPair | undefined)[]): PublicKey[] {
  return readPublicKeys(keys.map((key) => ({ name: key?.publicPath ?? '', text: key?.publicPem ?? '' })));
}

/** Opens it for a host that has these keys. */
async function opened(path: string, ...keys: readonly (KeyPair | undefined)[]): Promise<BundleReader> {
  const bundle = await BundleReader.open(path, { trust: trustOf({ keys: publicKeys(...keys) }) });
  await bundle.close();
  return bundle;
}

/** The first and the last byte that differ. */
function changedRange(before: Buffer, after: Buffer): [number, number] {
  expect(after.byteLength).toBe(before.byteLength);
  const changed = [...before.keys()].filter((at) => before[at] !== after[at]);
  return [changed[0] ?? -1, changed.at(-1) ?? -1];
}

describe('signing a bundle', () => {
  it('overwrites the content of bundle.json.sig, and no other byte', async () => {
    const path = await freshBundle();
    const { changed, signatures, digest } = await signBundle(path, { signers: [signerOf(first), signerOf(second)] });
    expect([changed, signatures.length]).toEqual([true, 2]);
    const frame = framesOf(unsigned)[1];
    const contentStart = (frame?.start ?? 0) + 10 + 3 + 512;
    const [from, to] = changedRange(unsigned, await readFile(path));
    expect(from).toBeGreaterThanOrEqual(contentStart);
    expect(to).toBeLessThan(contentStart + 15_872);
    const bundle = await BundleReader.open(path);
    expect(bundle.digest).toBe(digest);
    expect(bundle.digest).toBe(sha256(runProgram('tar', ['--zstd', '-xOf', path, 'bundle.json'])));
    expect((await verifyBundle(bundle)).failures).toEqual([]);
    await bundle.close();
    expect(await readdir(dirname(path))).toEqual([name]);
  });

  it.each([-5, 0, 100, 300])('does so in parts, with a border %d bytes behind the first of them', async (offset) => {
    const folder = await memoryFolder();
    const frame = framesOf(unsigned)[1];
    const size = (frame?.start ?? 0) + 525 + offset;
    await writeFile(join(folder, 'whole'), unsigned);
    runProgram('split', [`--bytes=${size}`, '--numeric-suffixes', 'whole', `${name}_part`], { cwd: folder });
    runProgram('rm', ['whole'], { cwd: folder });
    await signBundle(folder, { signers: [signerOf(first)] });
    const bundle = await opened(folder, first);
    expect(bundle.paths.length).toBe(Math.ceil(unsigned.byteLength / size));
    const joined = runProgram('sh', ['-c', 'cat *_part*'], { cwd: folder });
    const whole = await freshBundle();
    await signBundle(whole, { signers: [signerOf(first)] });
    // Ed25519 is deterministic.
    expect(sha256(joined)).toBe(sha256(await readFile(whole)));
    expect((await readdir(folder)).filter((file) => !/_part\d+$/.test(file))).toEqual([]);
  });

  it('gives the same file in whatever order the keys come, and changes nothing when it is done again', async () => {
    const [one, other] = [await freshBundle(), await freshBundle()];
    const third = await makeKey('rsa');
    await signBundle(one, { signers: [signerOf(first), signerOf(third)] });
    await signBundle(other, { signers: [signerOf(third)] });
    await signBundle(other, { signers: [signerOf(first)] });
    const bytes = await readFile(one);
    expect(sha256(await readFile(other))).toBe(sha256(bytes));
    expect(await signBundle(one, { signers: [signerOf(first), signerOf(third)] })).toMatchObject({ changed: false });
    expect(sha256(await readFile(one))).toBe(sha256(bytes));
  });

  it('keeps a good signature by ECDSA, which would be another one each time', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(second)] });
    const bytes = await readFile(path);
    expect(await signBundle(path, { signers: [signerOf(second)] })).toMatchObject({ changed: false });
    expect(sha256(await readFile(path))).toBe(sha256(bytes));
  });

  it('drops the signatures of other keys when they are to be replaced', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(first)] });
    await signBundle(path, { signers: [signerOf(second)], replace: true });
    expect((await opened(path, second)).signatures.map(({ keyId }) => keyId)).toEqual([second?.keyId]);
    await expectError('SIGNATURE_INVALID', `only ${first?.keyId ?? ''} is trusted here`, () => opened(path, first));
  });

  it('has room for 16 signatures, and for 8 by RSA keys of 4096 bits; the 17th is refused', async () => {
    const path = await freshBundle();
    const keys = await Promise.all(Array.from({ length: 17 }, () => makeKey('ed25519')));
    await expectError('UNSUPPORTED', '17 signatures do not fit', () =>
      signBundle(path, { signers: keys.map(signerOf) }),
    );
    expect(sha256(await readFile(path))).toBe(sha256(unsigned));
    expect((await signBundle(path, { signers: keys.slice(1).map(signerOf) })).signatures).toHaveLength(16);
    const ofRsa = (bytes: number): BundleSignature[] =>
      Array.from({ length: 12 }, (_, number) => {
        return { algorithm: 'rsa-pkcs1-sha256', keyId: sha256(`key ${number}`), value: Buffer.alloc(bytes, 1) };
      });
    expect(encodeSignatureFile(sha256('bundle'), ofRsa(512).slice(0, 8))).toHaveLength(15_872);
    // Of keys of 8192 bits, less than 16.
    await expectError('UNSUPPORTED', '12 signatures do not fit', () =>
      encodeSignatureFile(sha256('bundle'), ofRsa(1024)),
    );
  });

  it('waits for nobody: another process that is at work there is an error', async () => {
    const path = await freshBundle();
    const lock = await FileLock.acquire(`${path}.lock`);
    await expectError('LOCKED', '', () => signBundle(path, { signers: [signerOf(first)] }));
    await lock.release();
  });

  it('is refused for a file whose bundle.json is none', async () => {
    const path = await freshBundle();
    const bytes = Buffer.from(unsigned);
    bytes.fill(0, 60, 90);
    await writeFile(path, bytes);
    await expectError('BUNDLE_INVALID', 'damaged', () => signBundle(path, { signers: [signerOf(first)] }));
  });
});

describe('signing', () => {
  it('is refused, before anything is written, for a bundle.json that no reader would take', async () => {
    const { document, contents } = await smallBundle();
    for (const [text, code] of [
      [JSON.stringify({ ...document, name: '../x' }), 'BUNDLE_INVALID'],
      [`${JSON.stringify(document)}\n`, 'BUNDLE_INVALID'],
      [JSON.stringify({ ...document, formatVersion: 2 }), 'UNSUPPORTED'],
    ] as const) {
      const path = await craftBundle(document, contents, {
        file: (file) => {
          if (file.path === 'bundle.json') return { ...file, content: Buffer.from(text) };
          return file.path === 'bundle.json.sig' ? { ...file, content: signatureFile(text) } : file;
        },
      });
      const before = await readFile(path);
      await expectError(code, '', () => signBundle(path, { signers: [signerOf(first)] }));
      expect(sha256(await readFile(path))).toBe(sha256(before));
      expect(await readdir(dirname(path))).toEqual([basename(path)]);
    }
  });

  it('says so where no reader would take the bundle for another reason', async () => {
    const { document, contents } = await smallBundle();
    const path = await craftBundle(document, contents, {
      file: (file) => (file.path === 'index.json' ? { ...file, content: Buffer.from('{}') } : file),
    });
    await expectError('BUNDLE_INVALID', "'index.json' is not as bundle.json implies", () =>
      signBundle(path, { signers: [signerOf(first)] }),
    );
  });

  it('puts a good signature in the place of a bad one by the same key', async () => {
    const path = await freshBundle();
    const bytes = Buffer.from(unsigned);
    const bad = `signature ed25519 ${first?.keyId ?? ''} ${Buffer.alloc(64, 7).toString('base64')}`;
    const document = runProgram('tar', ['--zstd', '-xOf', path, 'bundle.json']);
    signatureFile(document, [bad]).copy(bytes, (framesOf(bytes)[1]?.start ?? 0) + 525);
    await writeFile(path, bytes);
    await expectError('SIGNATURE_INVALID', 'is not one over', () => opened(path, first));
    expect(await signBundle(path, { signers: [signerOf(first)] })).toMatchObject({ changed: true });
    expect((await opened(path, first)).signatures).toHaveLength(1);
  });

  it('puts in nothing that is no signature by the key', async () => {
    const path = await freshBundle();
    const [publicKey] = publicKeys(first);
    if (publicKey === undefined) throw new Error('there is no key');
    const signers = [detachedSigner(publicKey, await signerOf(first).sign(Buffer.from('another bundle.json')))];
    await expectError('SIGNATURE_INVALID', 'is not one by', () => signBundle(path, { signers }));
    expect(sha256(await readFile(path))).toBe(sha256(unsigned));
    expect(await readdir(dirname(path))).toEqual([name]);
  });

  it('is not begun any more where it was interrupted before', async () => {
    const path = await freshBundle();
    await expectError('ABORTED', 'interrupted', () =>
      signBundle(path, { signers: [signerOf(first)], signal: AbortSignal.abort() }),
    );
    expect(sha256(await readFile(path))).toBe(sha256(unsigned));
  });

  it('asks no other key where it was interrupted at one', async () => {
    const path = await freshBundle();
    const controller = new AbortController();
    const asked: string[] = [];
    const signers = [first, second].map((key): Signer => {
      const signer = signerOf(key);
      return {
        publicKey: signer.publicKey,
        sign: (bytes) => {
          asked.push(signer.publicKey.keyId);
          controller.abort();
          return signer.sign(bytes);
        },
      };
    });
    await expectError('ABORTED', 'interrupted', () => signBundle(path, { signers, signal: controller.signal }));
    expect(asked).toEqual([first?.keyId]);
    expect(sha256(await readFile(path))).toBe(sha256(unsigned));
  });

  it.each([
    ['half of them', (pending: Buffer) => pending.subarray(0, 9000)],
    ['more than there is room for', (pending: Buffer) => Buffer.concat([pending, Buffer.alloc(4096)])],
    ['those of another bundle', (pending: Buffer) => signatureFile('x', [pending.toString().split('\n')[2] ?? ''])],
  ])('keeps the signatures that are there where the file beside the bundle has %s', async (_, change) => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(first)] });
    const start = (framesOf(unsigned)[1]?.start ?? 0) + 525;
    await writeFile(`${path}.signing`, change((await readFile(path)).subarray(start, start + 15_872)));
    await signBundle(path, { signers: [signerOf(second)] });
    expect((await opened(path, first)).signatures).toHaveLength(2);
    const bundle = await BundleReader.open(path);
    expect((await verifyBundle(bundle)).failures).toEqual([]);
    await bundle.close();
  });

  it('with a key that is given twice makes one signature', async () => {
    const path = await freshBundle();
    const { signatures } = await signBundle(path, { signers: [signerOf(second), signerOf(second)] });
    expect(signatures.map(({ keyId }) => keyId)).toEqual([second?.keyId]);
    expect((await opened(path, second)).signatures).toHaveLength(1);
  });
});

describe('signing that was interrupted', () => {
  /** A bundle with one signature, over which a second was half written. */
  async function torn(): Promise<{ path: string; pending: Buffer }> {
    const [before, after] = [await freshBundle(), await freshBundle()];
    await signBundle(before, { signers: [signerOf(first)] });
    await copyFile(before, after);
    await signBundle(after, { signers: [signerOf(second)] });
    const [old, done] = [await readFile(before), await readFile(after)];
    const [from, to] = changedRange(old, done);
    const middle = Math.floor((from + to) / 2);
    await writeFile(after, Buffer.concat([done.subarray(0, middle), old.subarray(middle)]));
    const start = (framesOf(old)[1]?.start ?? 0) + 525;
    return { path: after, pending: done.subarray(start, start + 15_872) };
  }

  it('before the bundle was changed is done by the next run, which another key signs', async () => {
    const whole = await freshBundle();
    const folder = await memoryFolder();
    await writeParts(whole, { partBytes: 100_000, out: folder });
    const controller = new AbortController();
    const signer = signerOf(first);
    const stopping: Signer = {
      publicKey: signer.publicKey,
      sign: (bytes) => {
        controller.abort();
        return signer.sign(bytes);
      },
    };
    await expectError('ABORTED', 'interrupted', () =>
      signBundle(folder, { signers: [stopping], signal: controller.signal }),
    );
    expect((await opened(folder)).signatures).toEqual([]);
    expect((await readdir(folder)).filter((file) => file.endsWith('.signing'))).toEqual([`${name}.signing`]);
    await signBundle(folder, { signers: [signerOf(second)] });
    await opened(folder, first);
    await opened(folder, second);
    expect(await verifyParts(folder)).toMatchObject({ hasChecksums: true });
  });

  it('is told from a signature, and never taken for one', async () => {
    const { path } = await torn();
    await expectError('SIGNATURE_INVALID', 'signatures are damaged', () => BundleReader.open(path));
    await expectError('SIGNATURE_INVALID', 'signatures are damaged', () => opened(path, first, second));
  });

  it('is done again, and no signature is lost', async () => {
    const { path, pending } = await torn();
    await writeFile(`${path}.signing`, pending);
    const third = await makeKey('ed25519');
    await signBundle(path, { signers: [signerOf(third)] });
    const bundle = await BundleReader.open(path);
    expect(ensureSigned(bundle, publicKeys(first, second, third)).sort()).toEqual(
      [first, second, third].map((key) => key?.keyId).sort(),
    );
    await bundle.close();
    expect(await readdir(dirname(path))).toEqual([name]);
  });

  it.each([
    ['half of them', (pending: Buffer) => pending.subarray(0, 9000)],
    [
      'those of another bundle',
      (pending: Buffer) => Buffer.from(pending.toString().replace(/[0-9a-f]{64}/, 'a'.repeat(64))),
    ],
  ])('does not believe a file beside the bundle that has %s', async (_, change) => {
    const { path, pending } = await torn();
    await writeFile(`${path}.signing`, change(pending));
    await expectError('SIGNATURE_INVALID', 'signatures are damaged', () =>
      signBundle(path, { signers: [signerOf(first)] }),
    );
    await signBundle(path, { signers: [signerOf(first)], replace: true });
    await opened(path, first);
  });
});

describe('a host with public keys', () => {
  it('takes a bundle that one of them signed, whichever it is: two are valid while one replaces the other', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(second)] });
    await opened(path, first, second);
    await opened(path, second);
    await expectError('SIGNATURE_INVALID', 'is trusted here', () => opened(path, first));
  });

  it('refuses one without signatures', async () => {
    const path = await freshBundle();
    await expectError('SIGNATURE_MISSING', 'not signed', () => opened(path, first));
  });

  it('refuses one with a good signature and a bad one, of keys that it has', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(first), signerOf(second)] });
    const bundle = await BundleReader.open(path);
    await bundle.close();
    const signatures = bundle.signatures.map((each) =>
      each.keyId === first?.keyId ? { ...each, value: Buffer.alloc(64, 7) } : each,
    );
    await expectError('SIGNATURE_INVALID', first?.keyId ?? '', () =>
      ensureSigned({ layout: bundle.layout, signatures }, publicKeys(first, second)),
    );
    expect(ensureSigned({ layout: bundle.layout, signatures }, publicKeys(second))).toEqual([second?.keyId]);
  });

  it('refuses the signature of another kind of key under a known key id', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(first)] });
    const bundle = await BundleReader.open(path);
    await bundle.close();
    const signatures = bundle.signatures.map((each) => ({ ...each, algorithm: 'rsa-pkcs1-sha256' as const }));
    await expectError('SIGNATURE_INVALID', first?.keyId ?? '', () =>
      ensureSigned({ layout: bundle.layout, signatures }, publicKeys(first)),
    );
  });

  it('refuses a bundle that is older than the date it takes at least, though it is signed', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(first)] });
    const openFor = async (minimumDate: number): Promise<void> => {
      const trust = trustOf({ keys: publicKeys(first), minimumDate });
      await (await BundleReader.open(path, { trust })).close();
    };
    await openFor(1_700_000_000);
    const error = await expectError('BUNDLE_OUTDATED', 'is of 2023-11-14T22:13:20Z', () => openFor(1_700_000_001));
    expect(error.exitCode).toBe(4);
  });

  it('refuses what is older where it asks for no signature, too; a bundle without a date says so', async () => {
    const path = await freshBundle();
    const openFor = async (minimumDate: number, bundle = path): Promise<void> =>
      (await BundleReader.open(bundle, { trust: trustOf({ keys: [], minimumDate }) })).close();
    await openFor(1_700_000_000);
    await expectError('BUNDLE_OUTDATED', '2023-11-14T22:13:21Z is the least', () => openFor(1_700_000_001));
    const undated = await writeBundle(await memoryFolder(), await smallBundle());
    const error = await expectError('BUNDLE_OUTDATED', 'states no date', () => openFor(1, undated));
    expect(error.hint).toContain('SOURCE_DATE_EPOCH');
  });

  it('looks at nothing in bundle.json before it knows who signed it', async () => {
    const path = await freshBundle();
    await signBundle(path, { signers: [signerOf(first)] });
    const bytes = await readFile(path);
    await writeFile(path, bytes);
    let parsed = false;
    const trust = {
      authenticate: (): never => {
        throw new Error('stop');
      },
      admit: (): void => void (parsed = true),
    };
    await expect(BundleReader.open(path, { trust })).rejects.toThrow('stop');
    expect(parsed).toBe(false);
  });

  it('cannot be made to take anything by a list of keys that is empty by mistake', async () => {
    const path = await freshBundle();
    const bundle = await BundleReader.open(path);
    await bundle.close();
    await expectError('KEY_INVALID', 'no public key', () => ensureSigned(bundle, []));
  });
});

describe('media that cannot be written', () => {
  it('is an error that changes nothing', async () => {
    const path = await freshBundle();
    await chmod(path, 0o444);
    if (process.getuid?.() === 0) return;
    await expectError('FILE_FAILED', 'cannot write', () => signBundle(path, { signers: [signerOf(first)] }));
    expect(sha256(await readFile(path))).toBe(sha256(unsigned));
  });
});
