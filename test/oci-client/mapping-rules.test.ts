import { describe, expect, it } from 'vitest';

import { mapRepository, parseMappingRule, parseMappingRules } from '../../src/oci-client/mapping-rules.ts';
import { parseReference } from '../../src/oci-client/reference.ts';
import { expectError } from '../support/expect-error.ts';

const rules = [
  'gcr.io=harbor.example/gcr',
  'gcr.io/team=us.example/team/images',
  'gcr.io/team/app=other.example/app',
  'docker.io/library=127.0.0.1:5000/hub',
  'index.docker.io/bitnami=bitnami.example',
].map((text) => parseMappingRule(text));

describe('mapping rules', () => {
  it.each([
    ['gcr.io/other/app:1', 'harbor.example', 'gcr/other/app'],
    ['gcr.io/team/web:1', 'us.example', 'team/images/web'],
    ['gcr.io/team/app/part:1', 'other.example', 'app/part'],
    ['gcr.io/teams/app:1', 'harbor.example', 'gcr/teams/app'],
    ['nginx:1', '127.0.0.1:5000', 'hub/nginx'],
    ['docker.io/bitnami/redis:1', 'bitnami.example', 'redis'],
    ['quay.io/team/app:1', 'quay.io', 'team/app'],
  ])('make of %s an image of %s, %s', (text, registry, repository) => {
    const reference = parseReference(text);
    expect(mapRepository(rules, reference)).toEqual({ ...reference, registry, repository });
  });

  it('come from the user data of an edge host, or from an object of nothing else', () => {
    const expected = [{ from: 'us-docker.pkg.dev/spectro', to: 'registry.example/internal' }];
    const userData = `#cloud-config
stylus:
  externalRegistries:
    registries:
      - domain: registry.example/internal
        username: user
        password: s3cret-word
    registryMappingRules:
      us-docker.pkg.dev/spectro: registry.example/internal
`;
    expect(parseMappingRules(userData, 'user-data')).toEqual(expected);
    expect(parseMappingRules('{"us-docker.pkg.dev/spectro": "registry.example/internal"}', 'x')).toEqual(expected);
  });

  it.each([
    ['a.example', 'expected FROM=TO'],
    ['a.example=b.example=c.example', 'expected FROM=TO'],
    ['=b.example', "not the beginning of an image's name"],
    ['a.example=', "not the beginning of an image's name"],
    ['https://a.example=b.example', "not the beginning of an image's name"],
    ['a.example/UPPER=b.example', "not the beginning of an image's name"],
  ])('are refused where one is no rule: %s', async (text, part) => {
    await expectError('CONFIG_INVALID', part, () => parseMappingRule(text));
  });

  it.each([
    'stylus: {password: s3cret-word',
    'stylus: {password: s3cret-word}',
    '- s3cret-word',
    '',
    'docker.io: x.example\nquay.io: "s3cret-word.example\n',
    'docker.io: x.example\ndocker.io: s3cret-word.example\n',
  ])('are refused where a file has none, which is not quoted: %j', async (text) => {
    const error = await expectError('CONFIG_INVALID', 'user-data holds no mapping rules', () =>
      parseMappingRules(text, 'user-data'),
    );
    expect(`${error.message} ${String(error.cause)}`).not.toContain('s3cret');
  });

  it('are refused where they make what is no name', async () => {
    const whole = [parseMappingRule('gcr.io/team/app=registry.example')];
    await expectError('CONFIG_INVALID', "'gcr.io/team/app=registry.example'", () =>
      mapRepository(whole, parseReference('gcr.io/team/app:1')),
    );
  });
});
