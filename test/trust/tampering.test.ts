/** Whoever holds the medium changes a signed bundle in every way that there is: it is never loaded, and what is wrong is named. */
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import type { BundleTrust } from '../../src/bundle/read-head.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { type EdgeBundleError, isEdgeBundleError } from '../../src/errors.ts';
import { loadBundle } from '../../src/loader/load-bundle.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { readSigner } from '../../src/trust/signer.ts';
import { trustOf } from '../../src/trust/trust-policy.ts';
import { framesOf, seekTable, signatureFile } from '../support/bundle-archive.ts';
import { everyKind, expectSame, type PlannedBundle, smallBundle, writeBundle } from '../support/bundles.ts';
import { craftBundle } from '../support/crafted-bundle.ts';
import { startCredulousRegistry } from '../support/credulous-registry.ts';
import { expectError, failureOf } from '../support/expect-error.ts';
import { noise, sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { type KeyPair, makeKey } from '../support/signing-keys.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let key: KeyPair;
let trust: BundleTrust | undefined;
let small: PlannedBundle;
let signed: Buffer;
let lines: string[];

beforeAll(async () => {
  key = await makeKey('ed25519');
  trust = trustOf({ keys: readPublicKeys([{ name: key.publicPath, text: key.publicPem }]) });
  small = await smallBundle({ sourceDateEpoch: 1_700_000_000 });
  signed = await readFile(await signedBundle(small));
  const [, , ...rest] = signatureText(signed).trimEnd().split('\n');
  lines = rest.slice(0, -1);
});

async function signedBundle(planned: PlannedBundle): Promise<string> {
  const path = await writeBundle(await memoryFolder(), planned);
  await signBundle(path, { signers: [readSigner({ name: key.privatePath, text: key.privatePem })] });
  return path;
}

function signatureText(file: Buffer): string {
  const start = (framesOf(file)[1]?.start ?? 0) + 525;
  return file.toString('latin1', start, start + 15_872);
}

/** What a host that has the key finds, when it opens the bundle or when it hashes the content. */
async function findings(path: string): Promise<readonly EdgeBundleError[]> {
  let bundle: BundleReader;
  try {
    bundle = await BundleReader.open(path, { trust });
  } catch (error) {
    if (isEdgeBundleError(error)) return [error];
    throw error;
  }
  try {
    return (await verifyBundle(bundle)).failures;
  } finally {
    await bundle.close();
  }
}

async function findingsIn(bytes: Buffer): Promise<readonly EdgeBundleError[]> {
  const path = join(await memoryFolder(), 'core-changed.tar.zst');
  await writeFile(path, bytes);
  return findings(path);
}

/** The bundle that `signers` signed over `document`, with this text as its bundle.json: the rest of the file goes with the text. */
async function withText(document: BundleDocument, text: string, signers: readonly string[]): Promise<string> {
  return craftBundle(document, small.contents, {
    file: (file) => {
      if (file.path === 'bundle.json') return { ...file, content: Buffer.from(text) };
      return file.path === 'bundle.json.sig' ? { ...file, content: signatureFile(Buffer.from(text), signers) } : file;
    },
  });
}

/** A document with something in every member that there is. */
function everyMember(): BundleDocument {
  const [image] = small.document.images;
  if (image === undefined) throw new Error('the bundle is empty');
  const { reference, digest, mediaType, size } = image;
  const named = { reference, digest, mediaType, size };
  const other = `sha256:${'b'.repeat(64)}` as const;
  const sources = [
    { profile: 'edge', pack: 'web', chart: 'web-1.tgz', path: 'values.yaml', class: 'rendered' },
  ] as const;
  const chart = { kind: 'chart', name: 'web', version: '1.0.0', ...named } as const;
  const attachment = { ...named, subject: other };
  const content = { digest: other, size: 7 };
  return {
    ...{ formatVersion: 1, name: 'site', platforms: ['linux/amd64', 'linux/arm64'], sourceDateEpoch: 1_700_000_000 },
    profiles: [{ name: 'edge', version: '1.2.0', digest: other }],
    images: [{ ...named, originalDigest: other, sources: [...sources] }],
    charts: [{ ...chart, sources: [...sources] }],
    attachments: [attachment],
    files: [{ name: 'setup.sh', executable: true, ...named, content }],
    base: {
      name: 'site',
      digest: other,
      images: [named],
      charts: [chart],
      attachments: [attachment],
      blobs: [content],
    },
    blobs: small.document.blobs,
  };
}

/** `value` with one thing in it changed: each value, each member left out, each element left out or there twice, each two swapped. */
function* changesOf(value: unknown): Generator {
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    for (const [at, element] of list.entries()) {
      yield list.toSpliced(at, 1);
      yield list.toSpliced(at, 0, element);
      if (at > 0) yield list.with(at - 1, element).with(at, list[at - 1]);
      for (const change of changesOf(element)) yield list.with(at, change);
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      yield Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
      for (const change of changesOf(member)) yield { ...value, [name]: change };
    }
  } else if (typeof value === 'string') {
    yield value.startsWith('sha256:') ? `sha256:${'c'.repeat(64)}` : `${value}x`;
  } else {
    yield typeof value === 'number' ? value + 1 : value !== true;
  }
}

describe('a signed bundle', () => {
  it('is taken as it was signed', async () => {
    expect(await findingsIn(signed)).toEqual([]);
  });

  it('is refused with any field of bundle.json changed, one at a time, whatever the rest of the file says', async () => {
    const document = everyMember();
    const text = JSON.stringify(document);
    const unsigned = await withText(document, text, []);
    await signBundle(unsigned, { signers: [readSigner({ name: key.privatePath, text: key.privatePem })] });
    const own = signatureText(await readFile(unsigned))
      .trimEnd()
      .split('\n')
      .slice(2, -1);
    await (await BundleReader.open(await withText(document, text, own), { trust })).close();
    const changes = [...changesOf(document)]
      .map((change) => JSON.stringify(change))
      .filter((change) => change !== text);
    expect(changes.length).toBeGreaterThan(200);
    // Nothing in it is looked at: another format version, or what is malformed, is no news where nobody vouches for it.
    for (const change of [...changes, `${text}\n`, text.slice(0, -1), '']) {
      const [finding, ...more] = await findings(await withText(document, change, own));
      expect([change, finding?.code, more]).toEqual([change, 'SIGNATURE_INVALID', []]);
      expect(finding?.exitCode).toBe(4);
      expect(finding?.message).toContain(key.keyId);
    }
  });

  it('is refused with any byte of its metadata changed, and a sample of the others', async () => {
    const path = join(await memoryFolder(), 'core-changed.tar.zst');
    await writeFile(path, signed);
    const frames = framesOf(signed);
    const tableStart = frames.reduce((sum, { compressed }) => sum + compressed, 0);
    const random = noise(4000, 'which bytes');
    const positions = new Set<number>();
    for (const [number, { start, compressed }] of frames.entries()) {
      // Head, and the signatures up to where their text ends.
      const all = number === 0 ? compressed : number === 1 ? 900 : 0;
      for (let at = 0; at < all; at += 1) positions.add(start + at);
      for (let at = 0; at < 20; at += 1)
        positions.add(start + (random.readUInt32LE((number * 20 + at) * 4) % compressed));
    }
    for (let at = tableStart; at < signed.byteLength; at += 1) positions.add(at);
    const archive = runProgram('zstd', ['-dc'], { input: signed });
    const handle = await open(path, 'r+');
    for (const position of positions) {
      const byte = signed.readUInt8(position);
      await handle.write(Buffer.from([byte ^ (1 << (position % 8))]), 0, 1, position);
      const found = await findings(path);
      // Some bits of a compressed frame say nothing: then the content is the one that was signed.
      if (found.length === 0) expectSame(runProgram('zstd', ['-dc', path]), archive);
      await handle.write(Buffer.from([byte]), 0, 1, position);
    }
    await handle.close();
    expect(positions.size).toBeGreaterThan(1500);
    expect(await findings(path)).toEqual([]);
  });

  it('is refused where two frames have changed places, with a seek table to match', async () => {
    const frames = framesOf(signed);
    for (let one = 0; one < frames.length; one += 1) {
      for (let other = one + 1; other < frames.length; other += 1) {
        const order = frames.map((_, at) => (at === one ? other : at === other ? one : at)).map((at) => frames[at]);
        const bytes = order.map((frame) =>
          signed.subarray(frame?.start, (frame?.start ?? 0) + (frame?.compressed ?? 0)),
        );
        const table = seekTable(order.map((frame) => [frame?.compressed ?? 0, frame?.content ?? 0]));
        expect((await findingsIn(Buffer.concat([...bytes, table]))).length, `${one} and ${other}`).toBeGreaterThan(0);
      }
    }
  });

  it('is refused where a blob was replaced by another of the same size, and names the blob', async () => {
    for (const blob of small.document.blobs) {
      const path = await craftBundle(small.document, small.contents, {
        file: (file) => {
          if (file.path === 'bundle.json.sig') {
            return { ...file, content: signatureFile(Buffer.from(JSON.stringify(small.document)), lines) };
          }
          return file.path.endsWith(blob.digest.slice(7)) ? { ...file, content: noise(blob.size, 'evil') } : file;
        },
      });
      const found = await findings(path);
      expect(found.some(({ code, message }) => code === 'DIGEST_MISMATCH' && message.includes(blob.digest))).toBe(true);
    }
  });

  it('is never loaded with a blob that was replaced, even into a registry that takes anything, and names the blob', async () => {
    const client = new RegistryClient({ plainHttp: 'all', retries: 0 });
    const signatures = signatureFile(Buffer.from(JSON.stringify(small.document)), lines);
    const root = small.document.images[0]?.digest;
    for (const { digest, size } of small.document.blobs) {
      const path = await craftBundle(small.document, small.contents, {
        file: (file) => {
          if (file.path === 'bundle.json.sig') return { ...file, content: signatures };
          return file.path.endsWith(digest.slice(7)) ? { ...file, content: noise(size, 'evil') } : file;
        },
      });
      const registry = await startCredulousRegistry();
      const bundle = await BundleReader.open(path, { trust });
      const error = await failureOf(loadBundle({ bundle, client, registry: registry.host, project: 'p' }));
      await bundle.close();
      await registry.stop();
      expect([error, ...error.failures].map(({ message }) => message).join('\n')).toContain(digest);
      // Of the others some may have come. Not the blob, nor what needs it: no manifest, no tag.
      const names = [...registry.taken.keys()];
      expect(names).not.toContain(digest);
      expect(names).not.toContain(root);
      for (const [name, bytes] of registry.taken) expect(name).toBe(sha256(bytes));
    }
    await client.close();
  });

  it('is refused with the signatures of another bundle, as they are and with their owner changed', async () => {
    const other = await readFile(await signedBundle(await everyKind()));
    const start = (framesOf(signed)[1]?.start ?? 0) + 525;
    const swapped = Buffer.from(signed);
    swapped.write(signatureText(other), start, 'latin1');
    const [foreign, ...more] = await findingsIn(swapped);
    expect([foreign?.code, more]).toEqual(['SIGNATURE_INVALID', []]);
    expect(foreign?.message).toContain(`not of ${sha256(JSON.stringify(small.document))}`);
    // Nor without a key: who signed it is shown.
    const path = join(await memoryFolder(), 'core-swapped.tar.zst');
    await writeFile(path, swapped);
    await expectError('SIGNATURE_INVALID', 'signatures are those of', () => BundleReader.open(path));
    const line = signatureText(other).split('\n')[2] ?? '';
    signatureFile(Buffer.from(JSON.stringify(small.document)), [line]).copy(swapped, start);
    const [finding] = await findingsIn(swapped);
    expect(finding?.code).toBe('SIGNATURE_INVALID');
    expect(finding?.message).toContain("is not one over this bundle's bundle.json");
  });

  it('is refused without its signatures, or with those of a key that nobody knows', async () => {
    const start = (framesOf(signed)[1]?.start ?? 0) + 525;
    const bytes = Buffer.from(signed);
    signatureFile(Buffer.from(JSON.stringify(small.document))).copy(bytes, start);
    expect((await findingsIn(bytes)).map(({ code }) => code)).toEqual(['SIGNATURE_MISSING']);
    const path = await writeBundle(await memoryFolder(), small);
    const stranger = await makeKey('ed25519');
    await signBundle(path, { signers: [readSigner({ name: 'other', text: stranger.privatePem })] });
    expect((await findings(path)).map(({ code }) => code)).toEqual(['SIGNATURE_INVALID']);
  });
});

describe('the file with the signatures', () => {
  it.each<[string, (text: string) => string]>([
    ['another title', (text) => text.replace('signatures 1', 'signatures 2')],
    ['a line more', (text) => text.replace('\nend', '\nnote hello\nend')],
    ['the same signature twice', (text) => text.replace(/(signature .*\n)/, '$1$1')],
    ['white space', (text) => text.replace('signature ', 'signature  ')],
    ['carriage returns', (text) => text.replaceAll('\n', '\r\n')],
    ['base64 in another form', (text) => text.replace(/==\nend/, '\nend')],
    ['an algorithm that nobody knows', (text) => text.replace('ed25519', 'md5-rsa')],
    ['a key id in capitals', (text) => text.replace(/ sha256:[0-9a-f]{64} /, (id) => id.toUpperCase())],
    ['a line that says nothing', (text) => text.replace(/signature .*\n/, 'signature undefined undefined \n')],
    [
      'more signatures than there may be',
      (text) => {
        const line = (number: number): string =>
          `signature ed25519 sha256:${String(number).padStart(64, '0')} ${Buffer.alloc(64).toString('base64')}\n`;
        return text.replace(/signature .*\n/, Array.from({ length: 17 }, (_, number) => line(number)).join(''));
      },
    ],
    ['something behind its end', (text) => `${text.trimEnd()}\n\nhidden`],
    ['nothing', () => ''],
    ['zeros', () => '\0'.repeat(15_872)],
  ])('is refused with %s, its checksum made anew', async (_, change) => {
    const start = (framesOf(signed)[1]?.start ?? 0) + 525;
    const changed = change(signatureText(signed));
    const [covered = ''] = /^.*\n(?=end )/s.exec(changed) ?? [];
    const sum = runProgram('openssl', ['dgst', '-sha256', '-r'], { input: Buffer.from(covered, 'latin1') }).toString();
    const text = changed.replace(/^end .*$/m, `end sha256:${sum.slice(0, 64)}`);
    const bytes = Buffer.from(signed);
    bytes.fill('\n', start, start + 15_872);
    bytes.write(text.slice(0, 15_872), start, 'latin1');
    expect((await findingsIn(bytes)).map(({ code }) => code)).toEqual(['SIGNATURE_INVALID']);
    // Nobody takes it without a key either.
    const path = join(await memoryFolder(), 'core-changed.tar.zst');
    await writeFile(path, bytes);
    await expect(BundleReader.open(path)).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });
});
