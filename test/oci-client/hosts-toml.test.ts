import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import { parseHostsToml } from '../../src/oci-client/hosts-toml.ts';
import { expectError } from '../support/expect-error.ts';

describe('parseHostsToml', () => {
  it("reads containerd's example", () => {
    const { mirrors, server } = parseHostsToml(
      `
server = "https://registry-1.docker.io"    # Exclude this to not use upstream
ca = "docker_io.crt"

[host."https://public-mirror.example.com"]
  capabilities = ["pull"]                  # Requires less trust, won't resolve tag to digest from this host
[host."https://docker-mirror.internal"]
  capabilities = ["pull", "resolve"]
  ca = ["docker-mirror.crt", "/etc/second.crt"]
  client = [["client-1.cert", "client-1.key"], ["client-2.cert", ""], "both.pem"]
  skip_verify = true
  dial_timeout = "1s"
  [host."https://docker-mirror.internal".header]
    x-custom-1 = "one"
    x-custom-2 = ["two", "three"]
`,
      'hosts.toml',
    );
    const nothing = { capabilities: undefined, caFiles: [], clientFiles: [], skipVerify: false, headers: {} };
    expect(server).toEqual({
      ...nothing,
      root: new URL('https://registry-1.docker.io/v2/'),
      caFiles: ['docker_io.crt'],
    });
    expect(mirrors).toEqual([
      { ...nothing, root: new URL('https://public-mirror.example.com/v2/'), capabilities: ['pull'] },
      {
        root: new URL('https://docker-mirror.internal/v2/'),
        capabilities: ['pull', 'resolve'],
        caFiles: ['docker-mirror.crt', '/etc/second.crt'],
        clientFiles: [['client-1.cert', 'client-1.key'], ['client-2.cert', ''], ['both.pem']],
        skipVerify: true,
        headers: { 'x-custom-1': 'one', 'x-custom-2': ['two', 'three'] },
      },
    ]);
  });

  it('is content with an empty file: the registry itself', () => {
    expect(parseHostsToml('', 'hosts.toml')).toMatchObject({ mirrors: [], server: { root: undefined } });
  });

  it.each([
    ['https://a.example', false, 'https://a.example/v2/'],
    ['a.example:5000', false, 'https://a.example:5000/v2/'],
    ['http://a.example/', false, 'http://a.example/v2/'],
    ['https://a.example/v2/', false, 'https://a.example/v2/'],
    ['https://a.example/hub', false, 'https://a.example/hub/v2/'],
    ['https://a.example/hub//v2', false, 'https://a.example/hub/v2/'],
    ['https://a.example/v2/proxy', false, 'https://a.example/v2/proxy/v2/'],
    ['https://a.example/v2/proxy', true, 'https://a.example/v2/proxy/'],
    ['https://a.example', true, 'https://a.example/'],
  ])('finds the API of %s (override_path: %s) at %s', (address, isRoot, root) => {
    const text = `[host.${JSON.stringify(address)}]\noverride_path = ${isRoot}`;
    expect(parseHostsToml(text, 'hosts.toml').mirrors[0]?.root?.href).toBe(root);
  });

  it.each([
    ['server = ', "'hosts.toml' is not TOML in line 1"],
    ['x = 1\nx = 2', 'line 2'],
    ['server = 5', "at 'server'"],
    ['capabilities = ["pull", "fetch"]', "at 'capabilities.1'"],
    ['[host."https://a.example"]\nskip_verify = "yes"', "at 'host.https://a.example.skip_verify'"],
    ['[host."https://a.example"]\nclient = [["a", "b", "c"]]', 'a certificate and its key'],
    ['[host."https://a.example"]\nheader = { a = 1 }', 'a text or a list of texts'],
    ['server = "https://user:s3cret-word@a.example"', 'no address'],
    ['server = "https://"', 'no address'],
    ['[host."https://a.example?x=y"]', 'no address'],
    ['header = { x-token = "s3cret-word" ', 'not TOML'],
  ])('says what is wrong with %j, and quotes nothing', async (text, part) => {
    const error = await expectError('CONFIG_INVALID', part, () => parseHostsToml(text, 'hosts.toml'));
    expect(error.message).toContain('hosts.toml');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('s3cret');
  });

  it('keeps the order of the file, whatever the hosts', () => {
    const host = fc.stringMatching(/^[a-z][a-z0-9]{0,6}(\.[a-z]{2,4})?(:[1-9][0-9]{3})?$/);
    fc.assert(
      fc.property(fc.uniqueArray(host, { maxLength: 8 }), (hosts) => {
        const text = hosts.map((name) => `[host."http://${name}"]\ncapabilities = ["pull"]\n`).join('');
        const found = parseHostsToml(text, 'hosts.toml').mirrors.map(({ root }) => root?.host);
        expect(found).toEqual(hosts);
      }),
    );
  });

  it('fails in no other way, whatever comes', () => {
    const word = fc.constantFrom(
      'server',
      'host',
      '[',
      ']',
      '"',
      '.',
      '=',
      '\n',
      'https://a',
      '1',
      '{',
      '}',
      ' ',
      'ca',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        try {
          parseHostsToml(words.join(''), 'hosts.toml');
        } catch (error) {
          expect(error).toBeInstanceOf(EdgeBundleError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
