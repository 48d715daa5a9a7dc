import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { detachedSigner, readSigner } from '../../src/trust/signer.ts';
import { trustOf } from '../../src/trust/trust-policy.ts';
import { smallBundle, writeBundle } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { runProgram } from '../support/run-program.ts';
import { type KeyKind, keyKinds, type KeyPair, makeKey } from '../support/signing-keys.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const keys = new Map<KeyKind, KeyPair>();
let bundlePath: string;

function keyOf(kind: KeyKind): KeyPair {
  const key = keys.get(kind);
  if (key === undefined) throw new Error(`there is no ${kind} key`);
  return key;
}

beforeAll(async () => {
  for (const kind of keyKinds) keys.set(kind, await makeKey(kind));
  bundlePath = await writeBundle(await memoryFolder(), await smallBundle());
  const signers = [...keys.values()].map(({ privatePath, privatePem }) =>
    readSigner({ name: privatePath, text: privatePem }),
  );
  await signBundle(bundlePath, { signers });
});

/** Whether openssl takes the signature, by the commands of docs/signing.md. */
async function opensslAccepts(kind: KeyKind, folder: string, publicPath: string): Promise<boolean> {
  const documentation = await readFile(new URL('../../docs/signing.md', import.meta.url), 'utf8');
  const commands = /```sh\n(?<commands>[^`]*# with openssl alone[^`]*)```/.exec(documentation)?.groups?.commands ?? '';
  const wanted = commands
    .split('\n')
    .filter((line) => !line.includes('openssl dgst -sha256 -verify') || kind !== 'ed25519')
    .filter((line) => !line.includes('openssl pkeyutl -verify') || kind === 'ed25519')
    .join('\n')
    .replaceAll('BUNDLE', bundlePath)
    .replaceAll('public.pem', publicPath);
  try {
    const printed = runProgram('sh', ['-ec', `cd '${folder}'\n${wanted}`]).toString();
    return /Verified OK|Signature Verified Successfully/.test(printed);
  } catch (error) {
    expect(String(error)).toMatch(/Command failed/);
    return false;
  }
}

describe.each(keyKinds)('openssl, with a key of the kind %s', (kind) => {
  it('accepts the signature that tar gives', async () => {
    expect(await opensslAccepts(kind, await memoryFolder(), keyOf(kind).publicPath)).toBe(true);
  });

  it('refuses the signature where another key of the same kind is asked', async () => {
    const other = await makeKey(kind);
    const file = runProgram('tar', ['--zstd', '-xOf', bundlePath, 'bundle.json.sig']).toString();
    expect(file).toContain(keyOf(kind).keyId);
    const folder = await memoryFolder();
    await extract(keyOf(kind), folder);
    expect(check(kind, other.publicPath, folder)).toBe(false);
    expect(check(kind, keyOf(kind).publicPath, folder)).toBe(true);
  });

  it('refuses it over a bundle.json in which one byte is another', async () => {
    const folder = await memoryFolder();
    await extract(keyOf(kind), folder);
    const document = await readFile(join(folder, 'bundle.json'));
    document[20] = (document[20] ?? 0) ^ 1;
    await writeFile(join(folder, 'bundle.json'), document);
    expect(check(kind, keyOf(kind).publicPath, folder)).toBe(false);
  });

  it('makes a signature that is put into a bundle, and accepted there', async () => {
    const path = await writeBundle(await memoryFolder(), await smallBundle());
    const folder = await memoryFolder();
    runProgram('tar', ['--zstd', '-xf', path, '-C', folder, 'bundle.json']);
    const signature = signWithOpenssl(kind, keyOf(kind), folder);
    const { publicPath, publicPem, keyId } = keyOf(kind);
    const [publicKey, ...others] = readPublicKeys([{ name: publicPath, text: publicPem }]);
    if (publicKey === undefined || others.length > 0) throw new Error('one key is expected');
    expect(publicKey.keyId).toBe(keyId);
    const wrong = Buffer.from(signature);
    wrong[10] = (wrong[10] ?? 0) ^ 1;
    await expectError('SIGNATURE_INVALID', keyId, () =>
      signBundle(path, { signers: [detachedSigner(publicKey, wrong)] }),
    );
    await signBundle(path, { signers: [detachedSigner(publicKey, signature)] });
    const bundle = await BundleReader.open(path, { trust: trustOf({ keys: [publicKey] }) });
    expect(bundle.signatures.map((each) => [each.keyId, each.value.equals(signature)])).toEqual([[keyId, true]]);
    await bundle.close();
  });
});

async function extract({ keyId }: KeyPair, folder: string): Promise<void> {
  runProgram('tar', ['--zstd', '-xf', bundlePath, '-C', folder, 'bundle.json', 'bundle.json.sig']);
  const lines = (await readFile(join(folder, 'bundle.json.sig'), 'utf8')).split('\n');
  const base64 = lines.find((line) => line.includes(keyId))?.split(' ')[3] ?? '';
  await writeFile(join(folder, 'signature'), Buffer.from(base64, 'base64'));
}

function check(kind: KeyKind, publicPath: string, folder: string): boolean {
  const args =
    kind === 'ed25519'
      ? ['pkeyutl', '-verify', '-pubin', '-inkey', publicPath, '-rawin', '-in', 'bundle.json', '-sigfile', 'signature']
      : ['dgst', '-sha256', '-verify', publicPath, '-signature', 'signature', 'bundle.json'];
  try {
    runProgram('openssl', args, { cwd: folder });
    return true;
  } catch {
    return false;
  }
}

function signWithOpenssl(kind: KeyKind, { privatePath }: KeyPair, folder: string): Buffer {
  const args =
    kind === 'ed25519'
      ? ['pkeyutl', '-sign', '-inkey', privatePath, '-rawin', '-in', 'bundle.json', '-out', 'made']
      : ['dgst', '-sha256', '-sign', privatePath, '-out', 'made', 'bundle.json'];
  runProgram('openssl', args, { cwd: folder });
  return runProgram('cat', ['made'], { cwd: folder });
}
