import { execFileSync } from 'node:child_process';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { Htpasswd } from '../../src/serve/htpasswd.ts';
import { type RegistryServerOptions, startRegistryServer } from '../../src/serve/registry-server.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, image, noise } from '../support/graphs.ts';
import { bundleOf, serve, type Served } from './served.ts';

/** A bcrypt hash by the C library, which is not the code under test. */
function bcryptOf(password: string, salt = '$2b$05$abcdefghijklmnopqrstuu'): string {
  const script = 'print crypt($ENV{PASSWORD}, $ENV{SALT})';
  return execFileSync('perl', ['-e', script], { env: { PASSWORD: password, SALT: salt } }).toString();
}

const basic = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`;

async function content(): Promise<BundleContent> {
  const app = image([blob(noise(1000, 'layer'), mediaTypes.ociLayerGzip)]);
  return new BundleContent(await bundleOf({ 'docker.io/library/app:1': app }));
}

describe('a server with logins', () => {
  let served: Served;

  beforeAll(async () => {
    const users = Htpasswd.parse(
      `# made by htpasswd -B\nedge:${bcryptOf('correct horse')}\r\nother:${bcryptOf('pass:with:colons').replace('$2b$', '$2y$')}\n`,
    );
    served = await serve(await content(), { users });
  });
  afterAll(() => served.close());

  const get = async (path: string, login?: string): Promise<Response> =>
    fetch(`${served.url}${path}`, { headers: login === undefined ? {} : { authorization: login } });

  it('asks for one, by RFC 7617, whatever the request is', async () => {
    for (const path of ['/v2/', '/v2/_catalog', '/v2/docker.io/library/app/manifests/1', '/elsewhere', '/v2/%zz']) {
      const response = await get(path);
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm="/);
      expect(await response.text()).not.toContain('library');
    }
    const put = await fetch(`${served.url}/v2/app/blobs/uploads/`, { method: 'POST', body: 'x' });
    expect(put.status).toBe(401);
  });

  it('takes the right password of each user, every time, with colons too', async () => {
    for (const login of ['edge:correct horse', 'edge:correct horse', 'other:pass:with:colons']) {
      const response = await get('/v2/docker.io/library/app/manifests/1', basic(login));
      expect([login, response.status]).toEqual([login, 200]);
    }
  });

  it.each([
    ['another password', basic('edge:wrong')],
    ['none', basic('edge:')],
    ['the hash itself', basic(`edge:${bcryptOf('correct horse')}`)],
    ["another user's", basic('other:correct horse')],
    ['a user that is not there', basic('nobody:correct horse')],
    ['a password with more behind it', basic('edge:correct horse\0')],
    ['one that is longer than bcrypt looks', basic(`edge:${'x'.repeat(73)}`)],
    ['no colon', basic('edge')],
    ['another scheme', 'Bearer Y29ycmVjdCBob3JzZQ=='],
    ['no base64', 'Basic !!!!'],
    ['nothing', ''],
  ])('refuses %s', async (_, header) => {
    expect((await get('/v2/', header)).status).toBe(401);
  });

  it('refuses what comes in plenty, and still lets in who has logged in', async () => {
    await get('/v2/', basic('edge:correct horse'));
    const guesses = Array.from({ length: 200 }, (_, number) => get('/v2/', basic(`edge:guess ${number}`)));
    expect((await get('/v2/', basic('edge:correct horse'))).status).toBe(200);
    const statuses = new Set((await Promise.all(guesses)).map(({ status }) => status));
    expect([...statuses].every((status) => status === 401 || status === 429)).toBe(true);
  });
});

describe('a file of logins', () => {
  it.each([
    ['nothing', ''],
    ['a plain password', 'edge:secret'],
    ['MD5', 'edge:$apr1$abcdefgh$0123456789012345678901'],
    ['SHA-1', 'edge:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='],
    ['a user twice', `edge:${bcryptOf('one')}\nedge:${bcryptOf('two')}`],
    ['a cost that would stop the server', `edge:${bcryptOf('x').replace('$05$', '$31$')}`],
    ['no user', `:${bcryptOf('x')}`],
  ])('is refused with %s in it, which is not shown', async (_, text) => {
    const error = await expectError('CONFIG_INVALID', 'password file', () => Htpasswd.parse(text));
    expect(error.message).not.toMatch(/secret|\$/);
  });
});

describe('a server that others reach', () => {
  let authority: CertificateAuthority;
  let tls: { cert: string; key: string };

  beforeAll(async () => {
    authority = await CertificateAuthority.create();
    const { certificate, key } = await authority.issue(['127.0.0.1']);
    tls = { cert: certificate, key };
  });
  afterAll(() => authority.remove());

  const users = Htpasswd.parse(`edge:${bcryptOf('x')}`);

  it.each<[string, (known: { tls: typeof tls }) => Partial<RegistryServerOptions>, string]>([
    ['nothing', () => ({}), 'no TLS'],
    ['TLS alone', ({ tls: known }) => ({ tls: known }), 'no logins'],
    ['logins alone', () => ({ users }), 'no TLS'],
    ['plain HTTP allowed alone', () => ({ allowPlainHttp: true }), 'no logins'],
    ['anonymous clients allowed alone', () => ({ allowAnonymous: true }), 'no TLS'],
  ])('does not start with %s', async (_, options, message) => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.com', '::ffff:10.0.0.1', '127.0.0.1.example.com']) {
      await expectError('CONFIG_INVALID', message, async () =>
        startRegistryServer({ content: await content(), host, ...options({ tls }) }),
      );
    }
  });

  it('starts with both, or where it is told that they may lack', async () => {
    for (const options of [
      { tls, users },
      { allowPlainHttp: true, allowAnonymous: true },
      { tls, allowAnonymous: true },
    ]) {
      const server = await startRegistryServer({ content: await content(), host: '0.0.0.0', ...options });
      await server.close();
    }
  });

  it('needs nothing of that on the loopback address', async () => {
    for (const host of ['127.0.0.1', '127.1.2.3', 'localhost']) {
      await (await startRegistryServer({ content: await content(), host })).close();
    }
  });
});
