import { describe, expect, it } from 'vitest';

import { parseMappingRule } from '../../src/oci-client/mapping-rules.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { expectError } from '../support/expect-error.ts';
import { startScriptedServer } from '../support/scripted-server.ts';
import { content, fetched, has, opener, useMirrors } from './mirror-setup.ts';

const { digest } = content.descriptor;
const { later, start, hostsToml, registriesConf } = useMirrors();

describe('a registries.conf', () => {
  it('has mirrors that take the place of a prefix, and then the place itself', async () => {
    const network = await start({
      'one.example': {},
      'two.example:5000': has('quay/app'),
      'origin.example': has('team/app'),
    });
    const source = await registriesConf(`
      [[registry]]
      prefix = "origin.example/team"
      location = "origin.example/team"
      [[registry.mirror]]
      location = "one.example/a/b"
      [[registry.mirror]]
      location = "two.example:5000/quay"
    `);
    const client = opener(network, source)();
    expect(await fetched(client)).toBe(true);
    expect(network.asked('one.example')).toEqual(['GET /v2/', `GET /v2/a/b/app/blobs/${digest}`]);
    expect([...client.served.keys()]).toEqual(['two.example:5000']);
  });

  it('rewrites names, by the longest prefix; a registry of which it knows nothing stays', async () => {
    const network = await start({ 'new.example': has('moved/app'), 'origin.example': has('team/other') });
    const source = await registriesConf(`
      [[registry]]
      prefix = "*.old.example"
      location = "nowhere.example"
      [[registry]]
      prefix = "eu.old.example/team"
      location = "new.example/moved"
    `);
    const client = opener(network, source)();
    expect(await fetched(client, 'eu.old.example', 'team/app')).toBe(true);
    expect(await fetched(client, 'origin.example', 'team/other')).toBe(true);
  });

  it('may ask mirrors for digests only: the registry says what a tag is', async () => {
    const current = `sha256:${'1'.repeat(64)}`;
    const network = await start({
      'mirror.example': has('team/app'),
      'origin.example': has('team/app', { tag: current }),
    });
    const source = await registriesConf(`
      [[registry]]
      location = "origin.example"
      mirror-by-digest-only = true
      [[registry.mirror]]
      location = "mirror.example"
    `);
    const client = opener(network, source)();
    expect((await client.repository('origin.example', 'team/app').resolve('1')).digest).toBe(current);
    expect(await fetched(client)).toBe(true);
    expect([...client.served.keys()]).toEqual(['origin.example', 'mirror.example']);
  });

  it('may block a place', async () => {
    const network = await start({ 'origin.example': has('team/app') });
    const source = await registriesConf('[[registry]]\nlocation = "origin.example/team"\nblocked = true\n');
    await expectError('ACCESS_DENIED', "blocks 'origin.example/team'", () => fetched(opener(network, source)()));
    expect(network.asked('origin.example')).toEqual([]);
  });

  it('may call a place insecure: TLS is not checked there, or not used', async () => {
    const authority = await CertificateAuthority.create();
    const tls = await authority.issue(['other.example']);
    const plain = await startScriptedServer(has('team/app'));
    const unchecked = await startScriptedServer({ ...has('team/other') }, { tls });
    later(
      () => plain.stop(),
      () => unchecked.stop(),
      () => authority.remove(),
    );
    const source = await registriesConf(`
      [[registry]]
      location = "${plain.host}"
      insecure = true
      [[registry]]
      location = "${unchecked.host}"
      insecure = true
    `);
    const client = opener(await start({ 'origin.example': {} }), source)();
    expect(await fetched(client, plain.host, 'team/app')).toBe(true);
    expect(await fetched(client, unchecked.host, 'team/other')).toBe(true);
    await expectError('NOT_FOUND', '404', () => fetched(client, unchecked.host, 'team/absent'));
    expect(await client.repository(unchecked.host, 'team/absent').exists(content.descriptor)).toBe(false);
  });
});

describe('a mapping', () => {
  it('comes before the mirrors, and leaves no way back', async () => {
    const network = await start({ 'mirror.example': has('gcr/app'), 'proxy.example': {}, 'gcr.io': has('team/app') });
    const source = await hostsToml('proxy.example', '[host."https://mirror.example"]');
    const mapping = [parseMappingRule('gcr.io/team=proxy.example/gcr')];
    const client = opener(network, source)({ mapping });
    expect(await fetched(client, 'gcr.io', 'team/app')).toBe(true);
    expect([...client.served.keys()]).toEqual(['mirror.example']);
    await expectError('NOT_FOUND', 'proxy.example', () => fetched(client, 'gcr.io', 'team/other'));
    expect(network.asked('gcr.io')).toEqual([]);
  });
});
