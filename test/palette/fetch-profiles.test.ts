import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import { afterEach, describe, expect, it } from 'vitest';

import { fetchProfiles, type FetchProfilesOptions } from '../../src/palette/fetch-profiles.ts';
import { profileText } from '../../src/palette/save-profile.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { failureOf } from '../support/expect-error.ts';
import type { Script, ScriptedServer } from '../support/scripted-server.ts';
import { problemsOf } from '../profile/profile-files.ts';
import {
  apiKey,
  exportedProfile,
  json,
  manifestBody,
  plainProfile,
  profileUid,
  projectUid,
  refusal,
  startPalette,
  stopPalettes,
} from './palette-server.ts';

afterEach(stopPalettes);

const paths = {
  export: `GET clusterprofiles/${profileUid}/export`,
  profile: `GET clusterprofiles/${profileUid}`,
  variables: `GET clusterprofiles/${profileUid}/variables`,
  manifest: (uid: string) => `GET clusterprofiles/${profileUid}/packs/apps/manifests/${uid}`,
  list: 'POST dashboard/clusterprofiles',
  projects: 'GET dashboard/projects/metadata',
};

const parts: Script = {
  [paths.profile]: json(plainProfile),
  [paths.variables]: json({ variables: exportedProfile.spec.variables }),
  [paths.manifest('manifest-1')]: manifestBody('apiVersion: v1\nkind: Pod\n'),
  [paths.manifest('manifest-2')]: manifestBody('apiVersion: v1\nkind: Service\n'),
};

function fetchFrom(server: ScriptedServer, options: Partial<FetchProfilesOptions> = {}) {
  return fetchProfiles({
    ...{ endpoint: server.url, plainHttp: [server.host], apiKey, profiles: [profileUid] },
    ...{ retries: 3, retryBaseMs: 1, retryMaxMs: 5, ...options },
  });
}

function seen({ requests }: ScriptedServer): string[] {
  return requests.map(({ method, path }) => `${method} ${path.replace('/v1/', '')}`);
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('fetchProfiles by uid', () => {
  it("reads Palette's export, with the key and the project in the headers", async () => {
    const server = await startPalette({ [paths.export]: json(exportedProfile) });
    const profiles = await fetchFrom(server, { project: projectUid });
    expect(profiles).toEqual([
      {
        ...{ kind: 'profile', name: 'store', version: '1.0.0', document: exportedProfile },
        file: `${server.url}/v1/clusterprofiles/${profileUid}`,
        digest: `sha256:${createHash('sha256')
          .update(profileText(exportedProfile as never))
          .digest('hex')}`,
      },
    ]);
    expect(seen(server)).toEqual([`GET clusterprofiles/${profileUid}/export?format=json`]);
    expect(server.requests[0]?.headers).toMatchObject({ apikey: apiKey, projectuid: projectUid });
  });

  const withoutBodies = structuredClone(exportedProfile);
  for (const pack of withoutBodies.spec.template.packs) {
    pack.manifests = pack.manifests.map(({ name }) => ({ name, content: '' }));
  }

  it.each([
    ['is refused', refusal(403, 'OperationNotAllowed', 'no export')],
    ['is not there', refusal(404, 'ResourceNotFound', 'no route')],
    ['lacks the bodies of manifests', json(withoutBodies)],
  ])('reads each body by itself where the export %s', async (_what, answer) => {
    const server = await startPalette({ ...parts, [paths.export]: answer });
    const [profile] = await fetchFrom(server);
    expect(profile?.document.spec).toMatchObject(exportedProfile.spec);
    expect(seen(server)).toHaveLength(5);
  });

  it('does without variables where an older Palette has none', async () => {
    const server = await startPalette({ ...parts, [paths.variables]: refusal(404, 'NotFound', 'no route') });
    const [profile] = await fetchFrom(server);
    expect(profile?.document.spec.variables).toBeUndefined();
  });

  it('is an error where a body is empty: a manifest is never left out', async () => {
    const server = await startPalette({ ...parts, [paths.manifest('manifest-2')]: manifestBody(' ') });
    const { code, message } = await failureOf(fetchFrom(server));
    expect(code).toBe('PALETTE_ERROR');
    expect(message).toMatch(/manifest 'api' of pack 'apps' .* no published content/);
  });

  it('is an error where the profile is a draft', async () => {
    const draft = { metadata: { name: 'store' }, spec: { draft: plainProfile.spec.published } };
    const error = await failureOf(fetchFrom(await startPalette({ ...parts, [paths.profile]: json(draft) })));
    expect(error.message).toMatch(/it is a draft/);
    expect(error.hint).toMatch(/Publish/);
  });

  it('reads a profile once that is named twice, and reports all that fail', async () => {
    const server = await startPalette({ [paths.export]: json(exportedProfile) });
    await expect(fetchFrom(server, { profiles: [profileUid, profileUid] })).resolves.toHaveLength(1);
    const unknown = ['0'.repeat(24), '1'.repeat(24)];
    const error = await failureOf(fetchFrom(server, { profiles: [profileUid, ...unknown] }));
    expect(error.code).toBe('PALETTE_ERROR');
    expect(problemsOf(error)).toEqual(unknown.map((uid) => expect.stringContaining(`${uid}: 127.0.0.1`) as unknown));
  });
});

describe('fetchProfiles by name', () => {
  const item = (uid: string, name: string, versions: Readonly<Record<string, string>>, scope = 'project') => ({
    metadata: { name, uid, annotations: { scope, ...(scope === 'project' ? { projectUid } : {}) } },
    specSummary: {
      version: Object.keys(versions)[0],
      versions: Object.entries(versions).map(([version, id]) => ({ uid: id, version })),
    },
  });
  const otherUid = '65000000000000000000000b';
  const pages: Readonly<Record<string, { items: object[]; next: string }>> = {
    '': { items: [item('u1', 'first', { '1.0.0': 'u1' })], next: 'token/2' },
    'token/2': {
      items: [
        item(otherUid, 'store', { '1.9.0': otherUid, '1.10.0': profileUid, '1.10.0-rc.1': 'u3' }),
        item('u5', 'twice', { '1.0.0': 'u5' }),
      ],
      next: 'token/3',
    },
    'token/3': {
      items: [item('u4', 'last', { '1.0.0': 'u4' }), item('u6', 'twice', { '2.0.0': 'u6' }, 'tenant')],
      next: '',
    },
  };

  async function palette(script: Script = {}) {
    const bodies: unknown[] = [];
    const server = await startPalette({
      [paths.export]: json(exportedProfile),
      [`GET clusterprofiles/${otherUid}/export`]: json({ ...exportedProfile, metadata: { name: 'other' } }),
      [paths.list]: async (request, response) => {
        bodies.push(JSON.parse(await textOf(request)));
        const token = new URL(request.url ?? '', server.url).searchParams.get('continue') ?? '';
        const { items = [], next = '' } = pages[token] ?? {};
        response.end(JSON.stringify({ items, listmeta: { continue: next, count: 5, limit: 50, offset: 0 } }));
      },
      [paths.projects]: json({ items: [{ metadata: { name: 'Default', uid: projectUid } }] }),
      ...script,
    });
    return { server, bodies };
  }

  it('reads all pages of the list, and takes the newest version', async () => {
    const { server, bodies } = await palette();
    const [profile] = await fetchFrom(server, { profiles: ['store'], project: 'Default' });
    expect(profile?.name).toBe('store');
    expect(seen(server)).toEqual([
      'GET dashboard/projects/metadata',
      'POST dashboard/clusterprofiles?limit=50',
      'POST dashboard/clusterprofiles?limit=50&continue=token%2F2',
      'POST dashboard/clusterprofiles?limit=50&continue=token%2F3',
      `GET clusterprofiles/${profileUid}/export?format=json`,
    ]);
    expect(bodies).toEqual(Array(3).fill({ filter: {}, sort: [] }));
    const projects = server.requests.map(({ headers }) => headers.projectuid);
    expect(projects).toEqual([undefined, projectUid, projectUid, projectUid, projectUid]);
  });

  it('takes the version that is asked for', async () => {
    const { server } = await palette();
    const [profile] = await fetchFrom(server, { profiles: ['store@1.9.0'] });
    expect(profile?.name).toBe('other');
  });

  it.each([
    ['shop', /there is no cluster profile 'shop'/, /There is: first, last, store, twice\./],
    ['store@3.0.0', /'store' has no version '3\.0\.0'/, /There is: 1\.10\.0, 1\.10\.0-rc\.1, 1\.9\.0\./],
    ['twice', /may be one of several: u6 \(tenant, 2\.0\.0\), u5 \(project 5f0000000000000000000001, 1\.0\.0\)/, /uid/],
  ])('refuses %s and says what there is', async (wanted, message, hint) => {
    const { server } = await palette();
    const error = await failureOf(fetchFrom(server, { profiles: [wanted] }));
    expect(error.code).toBe('PALETTE_ERROR');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
  });

  it('refuses a project that is not there', async () => {
    const { server } = await palette();
    const error = await failureOf(fetchFrom(server, { project: 'Edge' }));
    expect(error.message).toMatch(/cannot find the project 'Edge'/);
    expect(error.hint).toMatch(/Default/);
  });

  it('ends where the pages do not', async () => {
    const { server } = await palette({ [paths.list]: json({ items: [], listmeta: { continue: 'again' } }) });
    const { code, message } = await failureOf(fetchFrom(server, { profiles: ['store'] }));
    expect(code).toBe('PALETTE_ERROR');
    expect(message).toMatch(/the pages of .* do not end/);
  });
});

describe('what goes wrong with Palette', () => {
  it.each([
    [401, 'InvalidApiKey', 'the key is not valid', /API key/],
    [403, 'Forbidden', 'not in this project', /--palette-project/],
    [404, 'ResourceNotFound', 'no such profile', /uid/],
    [400, 'BadRequest', 'that is no uid', undefined],
  ])('is told with status, words and a hint: %i', async (status, code, message, hint) => {
    const answer = refusal(status, code, message);
    const server = await startPalette({ [paths.export]: answer, [paths.profile]: answer });
    const error = await failureOf(fetchFrom(server));
    expect(error.code).toBe('PALETTE_ERROR');
    expect(error.message).toContain(`answered ${status} `);
    expect(error.message).toContain(`: ${message} (${code}, ref ref-${status})`);
    if (hint === undefined) expect(error.hint).toBeUndefined();
    else expect(error.hint).toMatch(hint);
  });

  it('is tried again where it may be over soon, as often as it is allowed to', async () => {
    let calls = 0;
    const failing = (times: number): Script => ({
      [paths.export]: (request, response) => {
        calls += 1;
        if (calls > times) return json(exportedProfile)(request, response);
        if (calls === 1) return void response.writeHead(429, { 'retry-after': '0' }).end();
        if (calls === 2) return refusal(503, 'Unavailable', 'soon')(request, response);
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"metadata"');
        response.destroy();
      },
    });
    await expect(fetchFrom(await startPalette(failing(3)))).resolves.toHaveLength(1);
    expect(calls).toBe(4);
    calls = 0;
    const error = await failureOf(fetchFrom(await startPalette(failing(2)), { retries: 1 }));
    expect(calls).toBe(2);
    expect(error.code).toBe('PALETTE_ERROR');
    expect(error.message).toMatch(/answered 503 .*soon/);
  });

  it('is a lost connection where the answer is always cut short', async () => {
    const server = await startPalette({
      [paths.export]: (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"metadata"');
        setTimeout(() => response.destroy(), 5);
      },
    });
    const { code } = await failureOf(fetchFrom(server));
    expect(code).toBe('REGISTRY_UNAVAILABLE');
    expect(server.requests).toHaveLength(4);
  });

  it.each([
    ['is a page', '<html><h1>Sign in</h1></html>', /not as expected: the answer is not JSON/],
    ['is another JSON', '{"items": 7, "listmeta": {}}', /malformed at 'items'/],
    ['has too many bytes', Buffer.alloc(33 * 1024 * 1024, ' '), /more than 33554432 bytes/],
  ])('is an answer that %s', async (_what, body, reason) => {
    const server = await startPalette({ [paths.list]: (_request, response) => void response.end(body) });
    const { code, message } = await failureOf(fetchFrom(server, { profiles: ['store'] }));
    expect(code).toBe('PALETTE_ERROR');
    expect(message).toMatch(reason);
  });

  it('is a redirect to another host: that one gets no request', async () => {
    const other = await startPalette({ [paths.export]: json(exportedProfile) });
    const server = await startPalette({
      [paths.export]: (_request, response) =>
        void response.writeHead(302, { location: `${other.url}/v1/clusterprofiles/${profileUid}/export` }).end(),
    });
    const error = await failureOf(fetchFrom(server, { plainHttp: 'all' }));
    expect(error.code).toBe('PALETTE_ERROR');
    expect(error.message).toContain(`redirects to ${other.host}`);
    expect(other.requests).toEqual([]);
  });

  it('is no redirect within the host', async () => {
    const server = await startPalette({
      [paths.export]: (_request, response) => void response.writeHead(307, { location: '/v1/moved' }).end(),
      'GET moved': json(exportedProfile),
    });
    await expect(fetchFrom(server)).resolves.toHaveLength(1);
  });

  it('is silence for too long, and an interruption', async () => {
    const server = await startPalette({ [paths.export]: () => undefined });
    const late = await failureOf(fetchFrom(server, { headersTimeoutMs: 50, retries: 0 }));
    expect(late.code).toBe('TIMEOUT');
    const error = await failureOf(fetchFrom(server, { signal: AbortSignal.timeout(50) }));
    expect(error.code).toBe('ABORTED');
  });

  it('is a part of a path that leads elsewhere', async () => {
    const hostile = structuredClone(plainProfile);
    for (const pack of hostile.spec.published.packs) pack.name = '..';
    const server = await startPalette({ ...parts, [paths.profile]: json(hostile) });
    const { code } = await failureOf(fetchFrom(server));
    expect(code).toBe('PALETTE_ERROR');
    expect(seen(server).filter((request) => request.includes('manifests'))).toEqual([]);
  });
});

describe('the API key', () => {
  it('is in no error, whatever Palette answers', async () => {
    const echo = refusal(401, 'Unauthorized', `the key ${apiKey} is unknown`);
    const error = await failureOf(fetchFrom(await startPalette({ [paths.export]: echo })));
    expect(error.message).toContain('[redacted]');
    for (let each: unknown = error; each instanceof Error; each = each.cause) {
      expect(`${each.message} ${each.stack ?? ''} ${JSON.stringify(each)}`).not.toContain(apiKey);
    }
  });

  it.each([
    ['', 'CREDENTIALS_INVALID'],
    ['two words', 'CREDENTIALS_INVALID'],
    ['line\r\nInjected: header', 'CREDENTIALS_INVALID'],
  ])('is refused where it is none: %j', async (key, code) => {
    const server = await startPalette({});
    const error = await failureOf(fetchFrom(server, { apiKey: key }));
    expect(error.code).toBe(code);
    expect(server.requests).toEqual([]);
  });

  it('goes out in plain HTTP only where that is allowed', async () => {
    const server = await startPalette({ [paths.export]: json(exportedProfile) });
    const error = await failureOf(fetchFrom(server, { plainHttp: [] }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.hint).toContain(`--plain-http=${server.host}`);
    expect(server.requests).toEqual([]);
  });
});

describe('the address', () => {
  it.each(['ftp://palette.example', 'https://', 'https://user:word@palette.example', 'https://palette.example/?a=b'])(
    'is refused: %s',
    async (endpoint) => {
      const error = await failureOf(fetchProfiles({ endpoint, apiKey, profiles: [profileUid] }));
      expect(error.code).toBe('CONFIG_INVALID');
      expect(error.message).not.toContain('word');
    },
  );

  it('is trusted by its certificate, by that of --ca-cert, or not checked', async () => {
    const authority = await CertificateAuthority.create();
    try {
      const tls = await authority.issue(['127.0.0.1']);
      const server = await startPalette({ [paths.export]: json(exportedProfile) }, { tls });
      const untrusted = await failureOf(fetchFrom(server));
      expect(untrusted.code).toBe('TLS_UNTRUSTED');
      await expect(fetchFrom(server, { ca: authority.certificate })).resolves.toHaveLength(1);
      // Without a scheme it is HTTPS.
      await expect(fetchFrom(server, { endpoint: server.host, insecure: true })).resolves.toHaveLength(1);
    } finally {
      await authority.remove();
    }
  });
});
