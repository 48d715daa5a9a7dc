import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isEdgeBundleError } from '../../src/errors.ts';
import { firstBootConfigJsonSchema } from '../../src/first-boot/config-schema.ts';
import { firstBootStatusJsonSchema } from '../../src/report/first-boot-status.ts';
import { parseFirstBootConfig, readFirstBootConfig } from '../../src/first-boot/read-config.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const folder = fileURLToPath(new URL('../../manifests/first-boot/', import.meta.url));

const least = { sources: [{ directory: '/opt/content' }], harbor: 'https://10.0.0.5:30003' };

/** What is wrong with a configuration, as a list; JSON is YAML. */
function problemsOf(config: unknown): readonly string[] {
  const text = typeof config === 'string' ? config : JSON.stringify(config);
  try {
    parseFirstBootConfig(text, "'first-boot.yaml'");
  } catch (error) {
    if (!isEdgeBundleError(error, 'CONFIG_INVALID')) throw error;
    expect(error.message).toContain("'first-boot.yaml'");
    return error.failures.length === 0 ? [error.message] : error.failures.map(({ message }) => message);
  }
  return [];
}

describe('the configuration of first-boot', () => {
  it('has defaults for all but the sources and the registry', () => {
    expect(parseFirstBootConfig(JSON.stringify(least), 'x')).toEqual({
      ...least,
      insecure: false,
      resolve: [],
      project: 'spectro-images',
      packsProject: 'spectro-packs',
      concurrency: 4,
      keys: [],
      require: [],
      checkParts: true,
      recheck: false,
      preflight: true,
      stateDir: '/var/lib/edge-bundle',
      mountDir: '/run/edge-bundle',
      wait: { content: Infinity, registry: Infinity },
      ready: 'started',
    });
  });

  it('takes the example as it is, and with every line that is a comment there', async () => {
    const example = await readFile(`${folder}first-boot.yaml`, 'utf8');
    expect((await readFirstBootConfig(`${folder}first-boot.yaml`)).sources).toEqual([
      { directory: '/opt/spectrocloud/content' },
      { label: 'COS_CONTENT', path: 'bundle-content' },
      { label: 'EDGE_CONTENT' },
      { removable: true },
    ]);
    const all = example
      .replaceAll(/^# (?=(?: *- |  )?[a-zA-Z"/]+(?::| *$))/gm, '')
      .replaceAll(/^# (?= +- )/gm, '')
      .split('\n')
      .filter((line) => !/^(caFingerprint|credFile)/.test(line))
      .filter((line) => !/^(What|Every|Where|Media|Its|Or)\b/.test(line))
      .join('\n');
    const config = parseFirstBootConfig(all, 'the example');
    const { username, keys, require: ids, dataPath, wait, ready, stateDir } = config;
    expect({ username, keys, ids, dataPath, wait, ready, stateDir }).toEqual({
      username: 'admin',
      keys: ['/oem/.edge_custom_config.yaml', '/etc/edge-bundle/content-signing.pub'],
      ids: ['0123456789abcdef'],
      dataPath: '/var',
      wait: { content: Infinity, registry: Infinity },
      ready: 'started',
      stateDir: '/var/lib/edge-bundle',
    });
  });

  it('has the JSON Schema that is committed, for editors', async () => {
    const committed: unknown = JSON.parse(await readFile(`${folder}first-boot.schema.json`, 'utf8'));
    expect(committed).toEqual(firstBootConfigJsonSchema());
    const status: unknown = JSON.parse(await readFile(`${folder}status.schema.json`, 'utf8'));
    expect(status).toEqual(firstBootStatusJsonSchema());
  });

  it('reads durations', () => {
    const wait = { content: '90s', registry: '2d' };
    expect(parseFirstBootConfig(JSON.stringify({ ...least, wait }), 'x').wait).toEqual({
      content: 90_000,
      registry: 172_800_000,
    });
  });

  it('names all that is wrong at once, with its place', () => {
    expect(problemsOf({ sources: [{ directory: 'opt' }, { label: '' }], harbour: 1, concurrency: 0 })).toEqual([
      'sources.0.directory: expected an absolute path',
      expect.stringMatching(/^sources\.1\.label: /),
      expect.stringMatching(/^concurrency: /),
      expect.stringMatching(/harbour/),
      'harbor: https://HOST:PORT is missing',
    ]);
  });

  it.each([
    ['no registry', { sources: least.sources }, /harbor: https:\/\/HOST:PORT is missing/],
    ['two registries', { ...least, registry: 'https://b' }, /exclude each other/],
    ['a CA and a fingerprint', { ...least, caCert: '/a', caFingerprint: 'ab'.repeat(32) }, /exclude each other/],
    ['a CA that is not checked', { ...least, caCert: '/a', insecure: true }, /exclude each other/],
    ['a user without a password', { ...least, username: 'admin' }, /go together/],
    ['a password in a URL', { ...least, harbor: 'https://admin:secret@a' }, /without a path or a user/],
    ['a medium path that leads out', { ...least, sources: [{ label: 'A', path: 'a/../../etc' }] }, /without '\.\.'/],
    ['an absolute medium path', { ...least, sources: [{ label: 'A', path: '/etc' }] }, /within the medium/],
    ['a path with a NUL', { ...least, stateDir: '/var\0/lib' }, /absolute path/],
    ['a source of no kind', { ...least, sources: [{ device: '/dev/sda' }] }, /sources\.0: expected one of/],
    ['a source of two kinds', { ...least, sources: [{ label: 'A', removable: true }] }, /sources\.0/],
    ['removable: false', { ...least, sources: [{ removable: false }] }, /sources\.0/],
    ['an id that YAML reads as a number', { ...least, require: [1234567890123456] }, /require\.0/],
    ['a duration of nothing', { ...least, wait: { content: '0s' } }, /wait\.content: expected a duration/],
    ['a resolve entry without an address', { ...least, resolve: ['a:1'] }, /HOST:PORT:ADDRESS/],
    ['a resolve entry whose address is none', { ...least, resolve: ['a:1:999.1.1.1'] }, /HOST:PORT:ADDRESS/],
    ['a port that is none', { ...least, harbor: 'https://a:99999' }, /harbor: it is the address of no host/],
    ['a short fingerprint', { ...least, caFingerprint: 'ab:cd' }, /fingerprint/],
    ['no mapping', '- a', /expected object/],
    ['an empty file', '', /expected object/],
    ['the same member twice', 'harbor: https://a\nharbor: https://b', /line 2, column 1: Map keys must be unique/],
    ['an alias', 'sources: &a [*a]', /alias/i],
    ['what is no YAML', 'a: [', /line 1/],
    ['a file that is too large', `# ${'x'.repeat(300_000)}`, /more than 262144 bytes/],
  ])('refuses %s', (_what, config, reason) => {
    expect(problemsOf(config).join('\n')).toMatch(reason);
  });

  it('fails in no other way, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => problemsOf(text).length >= 1),
      { numRuns: 50 },
    );
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...Object.keys(least), 'wait', 'keys', 'x'), fc.jsonValue()),
        (config) => Array.isArray(problemsOf(config)),
      ),
      { numRuns: 50 },
    );
  });

  it('says where the file is that is not there', async () => {
    const path = join(await temporaryFolder(), 'first-boot.yaml');
    await expect(readFirstBootConfig(path)).rejects.toMatchObject({ code: 'FILE_FAILED' });
    await writeFile(path, JSON.stringify(least));
    await expect(readFirstBootConfig(path)).resolves.toMatchObject(least);
  });
});
