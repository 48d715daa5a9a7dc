import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { planBundle, writeBundle } from '../support/bundles.ts';
import { craftBundle } from '../support/crafted-bundle.ts';
import { blob, image, noise } from '../support/graphs.ts';
import { extractFrom, installerIso } from '../support/installer-iso.ts';
import { type KeyPair, makeKey } from '../support/signing-keys.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from '../cli/run-cli.ts';

const content = '/opt/spectrocloud/content';

let ours: KeyPair;
let theirs: KeyPair;
let signed: string;
let unsigned: string;
let out: string;

beforeAll(async () => {
  [ours, theirs, out] = await Promise.all([makeKey('rsa'), makeKey('ed25519'), temporaryFolder()]);
  [signed, unsigned] = [await bundleOf('signed'), await bundleOf('unsigned')];
  await edgeBundle('sign', signed, '--private-key', ours.privatePath);
});

async function bundleOf(name: string): Promise<string> {
  const layer = blob(noise(200_000, name), 'application/vnd.oci.image.layer.v1.tar+gzip');
  const plan = await planBundle({ [`docker.io/library/${name}:1`]: image([layer]) }, { name });
  return writeBundle(await temporaryFolder(), plan);
}

async function edgeBundle(...args: string[]): ReturnType<typeof runInProcess> {
  const result = await runInProcess([...args, '--quiet']);
  if (result.exitCode !== 0) throw new Error(result.stderr);
  return result;
}

/** Runs a command that has to end with exit code 4, and to leave nothing. @returns its stderr */
async function refused(...args: string[]): Promise<string> {
  const before = await readdir(out);
  const { exitCode, stdout, stderr } = await runInProcess([...args, '--quiet']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 4, stdout: '' });
  expect(await readdir(out)).toEqual(before);
  return stderr;
}

/** As an installer's `.edge_custom_config.yaml` names it. */
function configWith(pem: string): string {
  return `content: {signing: {publicKey: {base64EncodedValue: ${Buffer.from(pem).toString('base64')}}}}\n`;
}

describe('commands for ISOs that are given public keys', () => {
  it('refuse a bundle that is not signed, or by another key only, and name it', async () => {
    const iso = join(out, 'x.iso');
    const installer = await installerIso();
    for (const args of [
      ['iso', 'create', signed, unsigned, '--out', iso],
      ['iso', 'embed', signed, unsigned, '--iso', installer, '--out', iso],
    ]) {
      const stderr = await refused(...args, '--public-key', ours.publicPath);
      expect(stderr).toContain(`'${unsigned}': the bundle is not signed`);
    }
    expect(await refused('iso', 'parts', unsigned, '--out', out, '--public-key', ours.publicPath)).toContain(
      'the bundle is not signed',
    );
    const other = ['--public-key', theirs.publicPath];
    expect(await refused('iso', 'create', signed, '--out', iso, ...other)).toContain(`only sha256:`);
    expect(await refused('iso', 'parts', signed, '--out', out, ...other)).toContain(`only sha256:`);
  });

  it('take one that any of the keys signed', async () => {
    const keys = ['--public-key', theirs.publicPath, '--public-key', ours.publicPath];
    const iso = join(out, 'any.iso');
    await edgeBundle('iso', 'create', signed, '--out', iso, ...keys);
    await edgeBundle('iso', 'parts', signed, '--size', '100000', '--out', join(out, 'parts'), ...keys);
    await edgeBundle('iso', 'inspect', iso, ...keys);
  });

  it('refuse one that is older than they, or the first boot, are told', async () => {
    const stderr = await refused('iso', 'create', signed, '--out', join(out, 'x.iso'), '--minimum-date', '2026-11-28');
    expect(stderr).toContain('2026-11-28T00:00:00Z is the least that is taken');
    const config = join(await temporaryFolder(), 'first-boot.yaml');
    await writeFile(
      config,
      'sources: [{label: EDGE_CONTENT}]\nharbor: https://10.0.0.5:30003\nminimumDate: "2025-01-01T00:00:00Z"\n',
    );
    const create = ['iso', 'create', signed, '--out', join(out, 'x.iso'), '--first-boot-config', config];
    expect(await refused(...create)).toContain('2025-01-01T00:00:00Z is the least that is taken');
  });

  it('show nothing of it in inspect, and go on with the others', async () => {
    const iso = join(out, 'both.iso');
    await edgeBundle('iso', 'create', signed, unsigned, '--out', iso);
    const args = ['iso', 'inspect', iso, '--public-key', ours.publicPath, '--output', 'json', '--quiet'];
    const { exitCode, stdout } = await runInProcess(args);
    expect(exitCode).toBe(4);
    const { bundles, problems } = JSON.parse(stdout) as { bundles: { name: string }[]; problems: string[] };
    expect(bundles).toMatchObject([{ name: 'signed', isVerified: true }]);
    expect(problems).toEqual([
      `'${content}/${basename(unsigned)}': the bundle is not signed, and a public key is configured`,
    ]);
  });

  it('say so before they say what else is wrong with it', async () => {
    const { document, contents } = await planBundle({ 'docker.io/library/hostile:1': image([]) });
    const hostile = await craftBundle(document, contents, {
      file: (file) => (file.path === 'bundle.json' ? { ...file, content: Buffer.from('[') } : file),
    });
    const create = ['iso', 'create', hostile, '--out', join(out, 'x.iso')];
    expect(await runInProcess(create)).toMatchObject({ exitCode: 3 });
    expect(await refused(...create, '--public-key', ours.publicPath)).toMatch(/signature|not signed/);
  });
});

describe('a public key that goes onto the ISO', () => {
  it('keeps content off it that the first boot there would refuse', async () => {
    const create = ['iso', 'create', '--out', join(out, 'x.iso'), '--content-key', ours.publicPath];
    const stderr = await refused(...create, signed, unsigned);
    expect(stderr).toContain(`'${unsigned}': hosts would refuse it, for the key in '${ours.publicPath}'`);
    expect(stderr).toContain('edge-bundle sign');
    expect(
      await refused('iso', 'create', signed, '--out', join(out, 'x.iso'), '--content-key', theirs.publicPath),
    ).toContain('hosts would refuse it');
    const embed = ['iso', 'embed', '--iso', await installerIso(), '--out', join(out, 'x.iso')];
    expect(await refused(...embed, unsigned, '--content-key', ours.publicPath)).toContain('hosts would refuse it');
    await edgeBundle(...create.with(3, join(out, 'good.iso')), signed);
  });

  it('counts where the installer has it already', async () => {
    const installer = await installerIso({ '/.edge_custom_config.yaml': configWith(ours.publicPem) });
    const iso = join(out, 'keyed.iso');
    const stderr = await refused('iso', 'embed', unsigned, '--iso', installer, '--out', iso);
    expect(stderr).toContain(`hosts would refuse it, for the key in '/.edge_custom_config.yaml of ${installer}'`);
    await edgeBundle('iso', 'embed', signed, '--iso', installer, '--out', iso);
    expect(await readFile(await extractFrom(iso, '/.edge_custom_config.yaml'), 'utf8')).toBe(
      configWith(ours.publicPem),
    );
  });

  it('counts as it will be, where another one is replaced', async () => {
    const installer = await installerIso({ '/.edge_custom_config.yaml': configWith(theirs.publicPem) });
    const iso = join(out, 'replaced.iso');
    const options = ['--iso', installer, '--out', iso, '--content-key', ours.publicPath, '--replace'];
    await refused('iso', 'embed', unsigned, ...options);
    await edgeBundle('iso', 'embed', signed, ...options);
  });

  it('is told where the installer names one that cannot be read, and is not missed in another configuration', async () => {
    const odd = await installerIso({ '/.edge_custom_config.yaml': configWith('no key') });
    const { exitCode, stderr } = await runInProcess([
      'iso',
      'embed',
      signed,
      '--iso',
      odd,
      '--out',
      join(out, 'x.iso'),
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('has no public key that can be read');
    const without = await installerIso({ '/.edge_custom_config.yaml': 'install: {debug: true}\n' });
    await edgeBundle('iso', 'embed', unsigned, '--iso', without, '--out', join(out, 'without.iso'));
  });

  it('counts where the installer names it by an anchor, and is not put through that into other places', async () => {
    const anchored = `base: &base {publicKey: {base64EncodedValue: ${Buffer.from(theirs.publicPem).toString('base64')}}}\ncontent: {signing: *base}\n`;
    const embed = ['iso', 'embed', signed, '--iso', await installerIso({ '/.edge_custom_config.yaml': anchored })];
    const options = ['--out', join(out, 'x.iso')];
    expect(await refused(...embed, ...options)).toContain('hosts would refuse it');
    const other = await runInProcess([...embed, ...options, '--content-key', ours.publicPath, '--replace']);
    expect(other.exitCode).toBe(1);
    expect(other.stderr).toContain('no place for content.signing.publicKey.base64EncodedValue');
  });

  it.each(['content: [', '- a list\n', 'content: {}\ncontent: {}\n'])(
    'is never taken for none where the configuration cannot be read: %j',
    async (text) => {
      const iso = await installerIso({ '/.edge_custom_config.yaml': text });
      const { exitCode, stderr } = await runInProcess([
        'iso',
        'embed',
        unsigned,
        '--iso',
        iso,
        '--out',
        join(out, 'x.iso'),
      ]);
      expect(exitCode).toBe(1);
      expect(stderr).toContain("the ISO's .edge_custom_config.yaml cannot be read as YAML");
    },
  );

  it('is one for an installer, which has no place for two', async () => {
    const two = join(await temporaryFolder(), 'two.pem');
    await writeFile(two, ours.publicPem + theirs.publicPem);
    const options = ['--iso', await installerIso(), '--out', join(out, 'x.iso'), '--content-key', two];
    const { exitCode, stderr } = await runInProcess(['iso', 'embed', signed, ...options]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('has 2 keys; the installer takes one');
  });
});

describe('mirror configuration on an ISO', () => {
  it('is made from all its bundles, as mirror-config makes it of one', async () => {
    const target = ['--harbor', 'https://10.0.0.5:30003', '--project', 'edge'];
    const iso = join(out, 'mirrors.iso');
    await edgeBundle('iso', 'create', signed, '--out', iso, ...target);
    const folder = join(await temporaryFolder(), 'mirror-config');
    await edgeBundle('mirror-config', signed, '--out', folder, ...target);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.sha256'))
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const onIso = await extractFrom(iso, `/mirror-config${file.slice(folder.length)}`);
      expect(await readFile(onIso, 'utf8')).toBe(await readFile(file, 'utf8'));
    }
    const { stdout } = await edgeBundle('iso', 'inspect', iso);
    expect(stdout).toMatch(/checksums .* files are as they were made/);
  });

  it('covers the registries of every bundle', async () => {
    const layer = blob(noise(1000, 'quay'), 'application/vnd.oci.image.layer.v1.tar+gzip');
    const quay = await writeBundle(
      await temporaryFolder(),
      await planBundle({ 'quay.io/org/app:1': image([layer]) }, { name: 'quay' }),
    );
    const iso = join(out, 'two.iso');
    await edgeBundle('iso', 'create', signed, dirname(quay), '--out', iso, '--harbor', 'https://10.0.0.5:30003');
    for (const registry of ['docker.io', 'quay.io']) {
      const hosts = await readFile(
        await extractFrom(iso, `/mirror-config/containerd/certs.d/${registry}/hosts.toml`),
        'utf8',
      );
      expect(hosts).toContain(`https://10.0.0.5:30003/v2/spectro-images/${registry}`);
    }
  });

  it('comes from a folder or is made, not both', async () => {
    const create = ['iso', 'create', signed, '--out', join(out, 'x.iso')];
    const both = await runInProcess([...create, '--mirror-config', out, '--harbor', 'https://10.0.0.5:30003']);
    expect(both).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--mirror-config excludes') as string });
    const alone = await runInProcess([...create, '--ca-cert', ours.publicPath]);
    expect(alone.exitCode).not.toBe(0);
  });
});
