import { createPublicKey } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { isEdgeBundleError } from '../../src/errors.ts';
import { redact } from '../../src/redaction.ts';
import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { readSigner } from '../../src/trust/signer.ts';
import { expectError } from '../support/expect-error.ts';
import { noise } from '../support/graphs.ts';
import { processorTime } from '../support/processor-time.ts';
import { runProgram } from '../support/run-program.ts';
import { keyKinds, type KeyPair, makeKey, makeKeyOf } from '../support/signing-keys.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let rsa: KeyPair;
let ecdsa: KeyPair;
let ed25519: KeyPair;

beforeAll(async () => {
  [rsa, ecdsa, ed25519] = [await makeKey('rsa'), await makeKey('ecdsa'), await makeKey('ed25519')];
});

/** A public key of Ed25519 from any 32 bytes (RFC 8410, section 10.1). */
function publicPemOf(seed: string): string {
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), noise(32, seed)]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
}

function idsIn(text: string): string[] {
  return readPublicKeys([{ name: 'keys.pem', text }]).map(({ keyId }) => keyId);
}

describe('public keys', () => {
  it('are read in SubjectPublicKeyInfo and PKCS #1, several in a file and with text around them', () => {
    const pkcs1 = runProgram('openssl', ['rsa', '-pubin', '-in', rsa.publicPath, '-RSAPublicKey_out']).toString();
    expect(pkcs1).toContain('BEGIN RSA PUBLIC KEY');
    expect(idsIn(pkcs1)).toEqual([rsa.keyId]);
    const all = ['the old key:', rsa.publicPem, ecdsa.publicPem.replaceAll('\n', '\r\n'), ed25519.publicPem].join('\n');
    expect(idsIn(all)).toEqual([rsa.keyId, ecdsa.keyId, ed25519.keyId]);
    expect(idsIn(`${all}${rsa.publicPem}`)).toHaveLength(3);
  });

  it('are read from a certificate', async () => {
    const path = join(await temporaryFolder(), 'certificate.pem');
    runProgram('openssl', ['req', '-x509', '-new', '-key', ecdsa.privatePath, '-subj', '/CN=signer', '-out', path]);
    expect(idsIn(await readFile(path, 'utf8'))).toEqual([ecdsa.keyId]);
  });

  it("are read from the installer's .edge_custom_config.yaml, in PEM and in DER", () => {
    const der = runProgram('openssl', ['pkey', '-pubin', '-in', rsa.publicPath, '-outform', 'DER']);
    for (const bytes of [Buffer.from(rsa.publicPem), der]) {
      const text = `content:\n  signing:\n    publicKey:\n      base64EncodedValue: ${bytes.toString('base64')}\nother: 1\n`;
      expect(idsIn(text)).toEqual([rsa.keyId]);
      const folded = bytes.toString('base64').replace(/.{64}/g, '$&\n        ');
      expect(idsIn(`content:\n  signing:\n    publicKey:\n      base64EncodedValue: |\n        ${folded}\n`)).toEqual([
        rsa.keyId,
      ]);
    }
  });

  it("are read from the installer's configuration where it names them by an anchor", () => {
    const text = `key: &key ${Buffer.from(rsa.publicPem).toString('base64')}\ncontent: {signing: {publicKey: {base64EncodedValue: *key}}}\n`;
    expect(idsIn(text)).toEqual([rsa.keyId]);
  });

  it('are 64 at most, in one file or in several', async () => {
    const pems = Array.from({ length: 65 }, (_, number) => publicPemOf(`key ${number}`));
    expect(idsIn(pems.slice(1).join(''))).toHaveLength(64);
    await expectError('KEY_INVALID', "'keys.pem' has more than 64 keys", () => idsIn(pems.join('')));
    const [first = '', ...others] = pems;
    const texts = [first, others.join('')].map((text) => ({ name: 'keys.pem', text }));
    await expectError('KEY_INVALID', 'there are 65 keys, at most 64', () => readPublicKeys(texts));
  });

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['a YAML file without a key', 'content:\n  signing: {}\n'],
    [
      'a YAML file that is cut short in the key',
      `content: {signing: {publicKey: {base64EncodedValue: "${Buffer.from(publicPemOf('any')).toString('base64')}`,
    ],
    ['an empty key', 'content:\n  signing:\n    publicKey:\n      base64EncodedValue: ""\n'],
    ['many aliases', `a: &a [x]\nb: [${'*a,'.repeat(1000)}]\n`],
    ['more text than any has', `${'#'.repeat(1024 * 1024)}\n${publicPemOf('any')}`],
    [
      'a certificate that was asked for',
      '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n',
    ],
    ['half a block', '-----BEGIN PUBLIC KEY-----\nAAAA\n'],
    ['a block of nothing', '-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n'],
    ['something else in PEM', '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n'],
  ])('are not found in %s, which is an error and never "no key is configured"', async (_, text) => {
    await expectError('KEY_INVALID', "'keys.pem'", () => idsIn(text));
  });

  it.each(['[', '{a: ', '- '])('are not looked for in %j nested without end', async (piece) => {
    const text = piece.repeat(1_000_000 / piece.length);
    const spentMs = processorTime();
    await expectError('KEY_INVALID', "'keys.pem'", () => idsIn(text));
    // The library for YAML would take many times as long, or the whole process.
    expect(spentMs()).toBeLessThan(1_500);
  });

  it('are never made of a private key that was given by mistake', async () => {
    const error = await expectError('KEY_INVALID', 'a private key', () => idsIn(rsa.privatePem));
    expect(error.hint).toContain('openssl pkey');
  });

  it.each([
    ['RSA of 1024 bits', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'], '1024 bits'],
    ['RSA-PSS', ['-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'], "'rsa-pss'"],
    ['P-384', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'], "'secp384r1'"],
    ['X25519', ['-algorithm', 'X25519'], "'x25519'"],
    ['Ed448', ['-algorithm', 'ED448'], "'ed448'"],
  ])('of the kind %s are refused, and so are their private keys', async (_, options, message) => {
    const key = await makeKeyOf(options);
    await expectError('KEY_INVALID', message, () => idsIn(key.publicPem));
    await expectError('KEY_INVALID', message, () => readSigner({ name: 'private.pem', text: key.privatePem }));
  });
});

/** A public key of RSA with any modulus of so many bits: whether it has two factors, nobody looks. */
function rsaKeyOf(bits: number, exponent: number): string {
  const modulus = noise(Math.ceil(bits / 8), `modulus of ${bits} bits`);
  const highest = (bits - 1) % 8;
  modulus[0] = ((modulus[0] ?? 0) & ((1 << highest) - 1)) | (1 << highest);
  modulus.writeUInt8(modulus.readUInt8(modulus.byteLength - 1) | 1, modulus.byteLength - 1);
  const e = Buffer.from(exponent.toString(16).padStart(6, '0'), 'hex').toString('base64url');
  const key = { kty: 'RSA', n: modulus.toString('base64url'), e };
  return createPublicKey({ format: 'jwk', key }).export({ type: 'spki', format: 'pem' }).toString();
}

describe('a public key of RSA', () => {
  it.each([
    [2048, 65_537],
    [2048, 3],
    [8192, 65_537],
  ])('of %d bits with the exponent %d is taken', (bits, exponent) => {
    expect(idsIn(rsaKeyOf(bits, exponent))).toHaveLength(1);
  });

  it.each([
    [2047, 65_537, '2047 bits; 2048 to 8192'],
    // It takes longer to check with than to sign anything.
    [8193, 65_537, '8193 bits; 2048 to 8192'],
    // Every text is its own signature.
    [2048, 1, 'an exponent that proves nothing'],
  ])('of %d bits with the exponent %d is refused', async (bits, exponent, message) => {
    await expectError('KEY_INVALID', message, () => idsIn(rsaKeyOf(bits, exponent)));
  });
});

describe('private keys', () => {
  it.each(keyKinds)('of the kind %s are read in PKCS #8, encrypted or not', async (kind) => {
    const key = await makeKey(kind);
    const encrypted = runProgram('openssl', [
      ...['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', key.privatePath, '-passout', 'pass:correct horse'],
    ]).toString();
    expect(encrypted).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const idOf = (text: string, passphrase?: string): string =>
      readSigner({ name: 'private.pem', text }, passphrase).publicKey.keyId;
    expect(idOf(key.privatePem)).toBe(key.keyId);
    expect(idOf(encrypted, 'correct horse')).toBe(key.keyId);
    // One of several keys is encrypted.
    expect(idOf(key.privatePem, 'correct horse')).toBe(key.keyId);
    const missing = await expectError('KEY_INVALID', "'private.pem' is encrypted", () => idOf(encrypted));
    expect(missing.hint).toContain('EDGE_BUNDLE_KEY_PASSPHRASE');
    await expectError('KEY_INVALID', 'cannot be decrypted', () => idOf(encrypted, 'wrong battery'));
  });

  it('are read in PKCS #1 and SEC 1, encrypted or not', () => {
    const idOf = (text: string): string => readSigner({ name: 'private.pem', text }, 'a passphrase').publicKey.keyId;
    const options = ['-aes256', '-passout', 'pass:a passphrase'];
    const pkcs1 = ['rsa', '-traditional', '-in', rsa.privatePath];
    const sec1 = ['ec', '-in', ecdsa.privatePath];
    for (const [args, label, id] of [
      [pkcs1, 'RSA PRIVATE KEY', rsa.keyId],
      [sec1, 'EC PRIVATE KEY', ecdsa.keyId],
    ] as const) {
      for (const more of [[], options]) {
        const text = runProgram('openssl', [...args, ...more]).toString();
        expect(text).toContain(`BEGIN ${label}`);
        expect(text.includes('ENCRYPTED')).toBe(more.length > 0);
        expect(idOf(text)).toBe(id);
        expect(idOf(text.replaceAll('\n', '\r\n'))).toBe(id);
      }
    }
  });

  it('are read behind the parameters that openssl ecparam writes', async () => {
    const path = join(await temporaryFolder(), 'ec.pem');
    await writeFile(path, runProgram('openssl', ['ecparam', '-name', 'prime256v1', '-genkey']));
    const text = await readFile(path, 'utf8');
    expect(text).toContain('BEGIN EC PARAMETERS');
    expect(readSigner({ name: path, text }).publicKey.algorithm).toBe('ecdsa-p256-sha256');
  });

  it.each([
    ['nothing', (): string => '', 'no private key'],
    ['a public key', (): string => rsa.publicPem, 'no private key'],
    ['two keys', (): string => `${rsa.privatePem}${ecdsa.privatePem}`, 'more than one'],
    ['damaged ones', (): string => rsa.privatePem.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'), 'cannot be read'],
  ])('are not taken from %s', async (_, text, message) => {
    await expectError('KEY_INVALID', message, () => readSigner({ name: 'private.pem', text: text() }));
  });

  it('are in no error, and redacted wherever they would be printed', () => {
    const broken = rsa.privatePem.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n');
    try {
      readSigner({ name: 'private.pem', text: broken }, 'swordfish');
    } catch (error) {
      if (!isEdgeBundleError(error)) throw error;
      expect(`${error.message} ${error.hint ?? ''} ${String(error.cause)}`).not.toMatch(/[A-Za-z0-9+/]{40}|swordfish/);
    }
    expect(redact(broken)).not.toMatch(/[A-Za-z0-9+/]{40}/);
    expect(redact('swordfish')).not.toContain('swordfish');
  });
});
