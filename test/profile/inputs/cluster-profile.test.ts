import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../../src/errors.ts';
import { parseProfileDocument } from '../../../src/profile/profile-document.ts';
import { readProfile } from '../../../src/profile/profile.ts';
import { problemsOf, withFiles } from '../profile-files.ts';
import { failureOf } from '../../support/expect-error.ts';

const read = (value: unknown) =>
  withFiles({ 'profile.json': JSON.stringify(value) }, ([path = '']) => readProfile(path));

/** What `GET /v1/clusterprofiles/{uid}` answers. */
const apiAnswer = (manifests: readonly object[]) => ({
  apiVersion: 'cluster.spectrocloud.com/v1alpha1',
  kind: 'ClusterProfile',
  metadata: { name: 'store', uid: '65f0c0ffee0123456789abcd', annotations: { scope: 'project' } },
  spec: {
    version: '2.0.0',
    published: {
      type: 'cluster',
      cloudType: 'edge-native',
      packs: [{ name: 'apps', layer: 'addon', type: 'manifest', values: '', manifests }],
    },
  },
  status: { isPublished: true },
});

describe('the raw forms of a cluster profile', () => {
  it("is read like an export where it is the API's answer", async () => {
    const profile = await read(apiAnswer([{ kind: 'Manifest', name: 'web', uid: 'm1', content: 'kind: Pod' }]));
    expect(profile).toMatchObject({
      kind: 'profile',
      name: 'store',
      version: '2.0.0',
      document: {
        metadata: { uid: '65f0c0ffee0123456789abcd' },
        spec: {
          version: '2.0.0',
          template: { type: 'cluster', cloudType: 'edge-native', packs: [{ name: 'apps', type: 'manifest' }] },
        },
      },
    });
  });

  it('names each manifest without content at its place in the file, and says how to get it', async () => {
    const error = await failureOf(
      read(
        apiAnswer([
          { name: 'web', uid: 'm1' },
          { name: 'api', uid: 'm2', content: '' },
        ]),
      ),
    );
    expect(error.code).toBe('PROFILE_INVALID');
    expect(problemsOf(error)).toEqual([
      expect.stringMatching(
        /pack 'apps', manifest 'web', spec\.published\.packs\[0\]\.manifests\[0\]\.content: .*no content/,
      ),
      expect.stringMatching(
        /pack 'apps', manifest 'api', spec\.published\.packs\[0\]\.manifests\[1\]\.content: .*no content/,
      ),
    ]);
    expect(error.hint).toMatch(/export.*--palette-endpoint.*manifests\/\{manifestUid\}/);
  });

  it.each([
    [['os', 'k8s', 'cni', 'csi'], 'infra'],
    [['os', 'k8s', 'cni', 'csi', 'addon'], 'cluster'],
    [['addon'], 'add-on'],
  ])('tells the type of an object with layers %j that does not say it: %s', async (layers, type) => {
    const profile = await read({
      kind: 'ClusterProfile',
      metadata: { name: 'raw' },
      spec: { version: 3, packs: layers.map((layer) => ({ name: layer, layer, tag: '1.0.0' })) },
    });
    expect(profile).toMatchObject({
      version: '3',
      document: {
        spec: { template: { type, packs: layers.map((layer) => ({ name: layer, layer, type: 'spectro' })) } },
      },
    });
  });

  it('is an error where it has no packs, at the path in the file', async () => {
    const { message } = await failureOf(read({ metadata: { name: 'a' }, spec: { published: { type: 'infra' } } }));
    expect(message).toMatch(/spec\.published\.packs: .*expected array/);
  });
});

describe('profile variables', () => {
  const variables = [
    {
      name: 'cidr',
      displayName: 'CIDR',
      defaultValue: '10.0.0.0/8',
      format: 'ipv4cidr',
      regex: '^.+$',
      required: true,
    },
    { name: 'password', defaultValue: 'hunter2-of-the-store', isSensitive: true, hidden: false, immutable: false },
    { name: 'later', format: 'a format of a later Palette', inputType: 'dropdown' },
  ];
  const document = {
    metadata: { name: 'a' },
    spec: { template: { type: 'add-on', packs: [] }, variables },
  };

  it('are read with all that they say', () => {
    expect(parseProfileDocument(document, 'x').spec.variables).toEqual(variables);
  });

  it('are not printed where they are sensitive', () => {
    parseProfileDocument(document, 'x');
    expect(new EdgeBundleError('FAILED', 'with hunter2-of-the-store in it').message).not.toContain('hunter2');
  });

  it('have defaults that are text: a number would lose its zeros', async () => {
    const value = { ...document, spec: { ...document.spec, variables: [{ name: 'v', defaultValue: 1.1 }] } };
    const { message } = await failureOf(read(value));
    expect(message).toMatch(/spec\.variables\[0\]\.defaultValue: .*expected string, received number/);
  });
});
