import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { readProfile } from '../../src/profile/profile.ts';
import { problemsOf, profileJson, withFiles } from './profile-files.ts';
import { failureOf } from '../support/expect-error.ts';

const read = (content: string | Uint8Array, name = 'file.yaml') =>
  withFiles({ [name]: content }, ([path = '']) => readProfile(path));

describe('readProfile', () => {
  it('reads the same profile from JSON and from YAML', async () => {
    const yaml = [
      'metadata:',
      '  name: shop',
      'spec:',
      '  version: 1.0.0',
      '  template:',
      '    type: add-on',
      '    packs:',
      '      - name: web',
      '        layer: addon',
      '        type: oci',
      '        values: |',
      '          pack: {}',
      '',
    ].join('\n');
    const fromYaml = await read(yaml);
    const fromJson = await read(profileJson('shop', [{ name: 'web', values: 'pack: {}\n' }]), 'file.json');
    expect(fromYaml).toMatchObject({ kind: 'profile', name: 'shop', version: '1.0.0' });
    expect(fromYaml.kind === 'profile' && fromYaml.document).toEqual(fromJson.kind === 'profile' && fromJson.document);
  });

  it('names the profile by the digest of its bytes', async () => {
    const text = profileJson('shop', []);
    const profile = await read(text);
    expect(profile.digest).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
  });

  it('accepts members that it does not know, nulls for absent members, and a byte order mark', async () => {
    const text = JSON.stringify({
      metadata: { name: 'a', uid: 'x', labels: null },
      spec: {
        template: {
          type: 'infra',
          packs: [{ name: 'os', layer: 'os', type: 'oci', values: null, manifests: null, uid: 'y' }],
        },
        variables: null,
      },
    });
    await expect(read(`\uFEFF${text}`)).resolves.toMatchObject({ name: 'a', version: undefined });
  });

  it('reads a list of references with comments, blank lines and Windows line ends', async () => {
    const list = await read(
      '# tools\r\nnginx:1.27\r\n\r\n  localhost:5000/a/b@sha256:00 # by digest\r\n',
      'extra.images.txt',
    );
    expect(list).toMatchObject({
      kind: 'list',
      name: 'extra.images',
      entries: [
        { reference: 'nginx:1.27', line: 2 },
        { reference: 'localhost:5000/a/b@sha256:00', line: 4 },
      ],
    });
  });

  it('reports all problems of a malformed profile together, each with path, pack and reason', async () => {
    const text = JSON.stringify({
      metadata: {},
      spec: {
        template: {
          type: 'cluster',
          packs: [
            { name: 'first', layer: 'os', type: 'oci' },
            { name: 'second', layer: 'roof', type: 'oci', values: 7 },
          ],
        },
      },
    });
    const error = await failureOf(read(text));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(error.message).toMatch(/3 problems/);
    expect(problemsOf(error)).toEqual([
      expect.stringMatching(/, metadata\.name: .*expected string/),
      expect.stringMatching(/, pack 'second', spec\.template\.packs\[1\]\.layer: .*"csi"/),
      expect.stringMatching(/, pack 'second', spec\.template\.packs\[1\]\.values: .*expected string/),
    ]);
  });

  it("names each manifest without content, as Palette's plain API gives them", async () => {
    const error = await failureOf(
      read(
        profileJson('api', [
          { name: 'apps', type: 'manifest', manifests: [{ name: 'deploy' }, { name: 'rest', content: 'kind: Pod' }] },
          { name: 'more', type: 'manifest', manifests: [{ name: 'blank', content: ' \n' }] },
        ]),
      ),
    );
    expect(problemsOf(error)).toEqual([
      expect.stringMatching(
        /pack 'apps', manifest 'deploy', .*packs\[0\]\.manifests\[0\]\.content: the manifest has no content/,
      ),
      expect.stringMatching(
        /pack 'more', manifest 'blank', .*packs\[1\]\.manifests\[0\]\.content: the manifest has no content/,
      ),
    ]);
    expect(error.hint).toMatch(/export/);
  });

  it.each([
    [
      'a key that stands twice',
      'metadata: {name: a}\nmetadata: {name: b}\n',
      /line 2, column 1: Map keys must be unique/,
    ],
    ['a tab', 'metadata:\n\tname: a\n', /line 2, column 1: Tabs are not allowed/],
    ['broken JSON', '{"metadata": {"name": "a"}, "spec": ', /line 1, column/],
    ['several documents', 'metadata: {name: a}\n---\nmetadata: {name: b}\n', /2 YAML documents; a profile is one/],
    ['a JSON array', '["nginx"]', /expected object, received array/],
    ['nothing', '# only a comment\n', /holds no profile and no image reference/],
    ['no text', Buffer.from([0x6e, 0xff, 0xfe]), /is not text in UTF-8/],
  ])('refuses a file with %s', async (_what, content, reason) => {
    const error = await failureOf(read(content));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(problemsOf(error).join('\n')).toMatch(reason);
  });

  it('refuses a file that is too large without parsing it', async () => {
    const error = await failureOf(read(Buffer.alloc(33 * 1024 * 1024, 'a: 1\n')));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(error.message).toMatch(/34603008 bytes; a profile has at most 33554432/);
  });

  it('says which file cannot be read', async () => {
    const error = await failureOf(readProfile('/nowhere/profile.json'));
    expect(error.code).toBe('FILE_FAILED');
    expect(error.message).toContain("'/nowhere/profile.json'");
  });
});
