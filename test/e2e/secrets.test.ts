import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { json, profileUid, startPalette, stopPalettes } from '../palette/palette-server.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { startEdgeBundle } from '../support/edge-bundle.ts';
import { type ForwardProxy, startForwardProxy } from '../support/forward-proxy.ts';
import { blob, image, noise, pushAll } from '../support/graphs.ts';
import { HarborFront } from '../support/harbor-front.ts';
import { helmPath } from '../support/helm.ts';
import { ProcessWatch } from '../support/process-watch.ts';
import { quotingRegistry } from '../support/quoting-registry.ts';
import { declaring, podTemplate, profileJson, writePack } from '../support/sample-packs.ts';
import { type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { formsIn, searchFolder } from '../support/secret-search.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';
import { loginSources } from './login-sources.ts';
import {
  apiKey,
  forms,
  harborAdmin,
  identityToken,
  manyLines,
  passwords,
  proxyLogin,
  variable,
  variableDefault,
  wrongPassword,
} from './secret-values.ts';

/** A profile of Palette whose key is refused, and quoted. */
const refusedUid = '65000000000000000000000f';

let authority: CertificateAuthority;
let tokens: TokenServer;
let source: DockerRegistry;
let harbor: HarborFront;
let proxy: ForwardProxy;
let echo: ScriptedServer;
let folder: string;
/** What the tests give to the program; all else in `folder` is what it has written. */
let given: string;
let caPath: string;
let helm: string;
let bundle: string;

interface Run {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly input?: string | undefined;
}

/** All that every run has printed, and the command lines of its processes. */
const printed: string[] = [];
let listed: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-secrets-'));
  given = await mkdtemp(join(tmpdir(), 'edge-bundle-secrets-given-'));
  await mkdir(join(folder, 'tmp'));
  authority = await CertificateAuthority.create();
  const tls = await authority.issue(['127.0.0.1', 'source.test', 'echo.test', 'palette.test']);
  tokens = await startTokenServer({ users: passwords, identityTokens: { [identityToken]: 'token-user' }, tls });
  [source, harbor, echo] = await Promise.all([
    startDockerRegistry({ tls, tokenAuth: tokens }),
    HarborFront.start({ users: [harborAdmin] }),
    startScriptedServer(quotingRegistry(), { tls }),
  ]);
  const palette = await startPalette(
    {
      [`GET clusterprofiles/${profileUid}/export`]: json(paletteProfile()),
      [`GET clusterprofiles/${refusedUid}/export`]: ({ headers }, response) => {
        const key = String(headers.apikey);
        response.writeHead(401).end(JSON.stringify({ code: 'X', message: `${'x'.repeat(450)} ${key} ${key} ${key}` }));
      },
    },
    { tls },
  );
  const names = { 'source.test:443': source.host, 'echo.test:443': echo.host, 'palette.test:443': palette.host };
  proxy = await startForwardProxy({ names, login: `${proxyLogin.user}:${proxyLogin.password}` });
  caPath = join(given, 'ca.pem');
  await writeFile(caPath, `${authority.certificate}\n${harbor.ca}`);
  for (const [user, password] of Object.entries(passwords)) await writeFile(join(given, user), `${password}\n`);
  await writeFile(join(given, 'wrong'), wrongPassword);
  await writeFile(join(given, 'harbor'), harborAdmin.password);
  await writeFile(join(given, 'api-key'), `${apiKey}\n`);
  await writeFile(join(given, 'variables.json'), JSON.stringify({ dbPassword: variable, tlsKey: manyLines }));
  helm = await recordingHelm();
  await publishImages();
});

afterAll(async () => {
  await stopPalettes();
  await Promise.all([source.stop(), harbor.close(), tokens.stop(), proxy.stop(), echo.stop(), authority.remove()]);
  await rm(folder, { recursive: true, force: true });
  await rm(given, { recursive: true, force: true });
});

async function publishImages(): Promise<void> {
  const login = { username: 'file-user', password: passwords['file-user'] };
  const credentials = new FixedCredentials(source.host, login);
  const client = new RegistryClient({ ca: authority.certificate, credentials });
  for (const [name, size] of [
    ['app', 30_000],
    ['large', 4_000_000],
  ] as const) {
    const store = client.repository(source.host, `store/${name}`);
    const content = image([blob(noise(size, name), mediaTypes.ociLayerGzip)]);
    await pushAll(store, content);
    await store.tag(content.descriptor, '1');
    await writeFile(join(given, `${name}.txt`), `source.test/store/${name}:1\n`);
  }
  await client.close();
}

/** Helm, which writes down how it was started. */
async function recordingHelm(): Promise<string> {
  const path = join(given, 'helm');
  const record = join(given, 'helm.record');
  await writeFile(path, `#!/bin/sh\n{ echo "$0 $*"; env; } >> '${record}'\nexec '${helmPath}' "$@"\n`);
  await chmod(path, 0o755);
  return path;
}

const variables = [
  { name: 'dbPassword', defaultValue: variableDefault, isSensitive: true },
  { name: 'tlsKey', defaultValue: '', isSensitive: true },
];
const values = `charts:\n${['app', 'cut', 'malformed', 'mistaken', 'plain', 'quoted']
  .map((chart) => `  ${chart}: {login: '{{ .spectro.var.dbPassword }}', pem: '{{ .spectro.var.tlsKey }}'}\n`)
  .join('')}`;

function paletteProfile(): unknown {
  const packs = [{ name: 'web', values: `${declaring('source.test/store/app:1')}${values}` }];
  return JSON.parse(profileJson({ name: 'palette', variables, packs })) as unknown;
}

/** Runs the real program, as a pipeline would: it writes below `folder` only. */
async function run(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const child = start(args, options);
  const watch = new ProcessWatch(child.pid ?? 0);
  child.stdin?.end(options.input ?? '');
  if (child.stdout === null || child.stderr === null) throw new Error('the process has no output');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  watch.stop();
  printed.push(stdout, stderr);
  listed.push(...watch.commands);
  return { exitCode: child.exitCode, stdout, stderr };
}

function start(args: readonly string[], { env }: RunOptions): ReturnType<typeof startEdgeBundle> {
  const login = [proxyLogin.user, proxyLogin.password].map(encodeURIComponent).join(':');
  return startEdgeBundle([...args, '--log', 'json'], {
    env: {
      HOME: join(folder, 'home'),
      TMPDIR: join(folder, 'tmp'),
      HTTPS_PROXY: `http://${login}@${proxy.host}`,
      EDGE_BUNDLE_CACHE_DIR: join(folder, 'cache'),
      EDGE_BUNDLE_DEBUG: '1',
      EDGE_BUNDLE_HELM: helm,
      ...env,
    },
  });
}

const build = (input: readonly string[], name: string, options?: RunOptions): Promise<Run> =>
  run(
    [
      ...['build', ...input, '--name', name, '--out', join(folder, 'out', name), '--ca-cert', caPath, '--cache'],
      ...['--lock', join(folder, `${name}.lock`), '--output', 'json', '--retries', '0'],
    ],
    options,
  );

const app = (): string => join(given, 'app.txt');
const fileLogin = (file: string, user = 'file-user'): string[] => [
  ...['--username', user, '--password-file', join(given, file)],
];

const paletteArgs = (): string[] => [
  ...['--palette-endpoint', 'https://palette.test', '--palette-profile', profileUid],
  ...['--palette-api-key-file', join(given, 'api-key'), '--var-file', join(given, 'variables.json')],
  ...['--pack-dir', join(folder, 'packs'), ...fileLogin('file-user')],
];

/** The pack of the profile, with charts of one template each. */
function writeCharts(templates: Readonly<Record<string, string>>): void {
  const charts = Object.entries(templates).map(
    ([name, template]) => [name, { 'templates/all.yaml': template }] as const,
  );
  writePack(join(folder, 'packs'), { charts: Object.fromEntries(charts) });
}

describe.concurrent(
  'a login by which a build reads from a registry with tokens, through a proxy with a password',
  () => {
    it.each(loginSources)('%s works', async (_name, user, prepare) => {
      const { args, ...options } = await prepare(given);
      const { exitCode, stderr, stdout } = await build([app(), ...args], user.replace('_', ''), options);
      expect(stderr).not.toContain('"level":"error"');
      expect(exitCode).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ images: 1 });
      expect(tokens.requests.filter((request) => request.user === user).length).toBeGreaterThan(1);
    });
  },
);

describe('a profile from Palette whose charts get sensitive values', () => {
  it('is built', async () => {
    const key = '{{ printf "%s %s" .Values.login .Values.pem | b64enc }}';
    writeCharts({ app: `${podTemplate('source.test/store/app:1')}  key: ${key}\n` });
    const { exitCode, stdout, stderr } = await build(paletteArgs(), 'palette');
    expect(stderr).not.toContain('"level":"error"');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ images: 1, charts: 2 });
    bundle = (JSON.parse(stdout) as { bundle: { path: string } }).bundle.path;
    expect(await readdir(join(bundle, '..'))).toContain('palette-1.0.0.json');
  });

  it('is loaded into Harbor, and verified there', async () => {
    const target = ['--harbor', harbor.url, '--ca-cert', caPath, ...fileLogin('harbor', 'admin'), '--output', 'json'];
    for (const command of ['load', 'verify']) {
      const { exitCode, stdout } = await run([command, bundle, ...target]);
      expect(JSON.parse(stdout)).toMatchObject({ images: 1, missing: [] });
      expect(exitCode).toBe(0);
    }
    expect(harbor.state.violations).toEqual([]);
  });

  it('is resolved with a value that is given as an argument', async () => {
    const args = ['resolve', ...paletteArgs(), '--ca-cert', caPath, '--output', 'json'];
    const given = ['--var', `dbPassword=${variable}`];
    const { exitCode } = await run([...args, ...given, '--why', 'source.test/store/app:1']);
    expect(exitCode).toBe(0);
    // The user has put it where others can read it. It is to be nowhere else.
    const isGiven = (line: string): boolean => line.includes(given.join('\n'));
    expect(listed.some(isGiven)).toBe(true);
    listed = listed.filter((line) => !isGiven(line));
  });

  it('fails where charts cannot be rendered, and quote values in their errors', async () => {
    writeCharts({
      plain: '{{ fail (printf "cannot use <%s> and <%s>" .Values.login .Values.pem) }}',
      quoted: '{{ fail (printf "cannot use %q" .Values.login) }}',
      cut: '{{ fail (printf "%s%s%s" (repeat 430 "x") .Values.login (repeat 2000 "x")) }}',
      malformed: 'a: {{ .Values.login }}: [\nb: {{ .Values.pem }}\n',
      mistaken: '{{ .Values.login.nothing.there }}',
    });
    const refused = await build(paletteArgs(), 'unrendered');
    expect(refused.stderr).toContain('"code":"RENDER_FAILED"');
    expect(refused.exitCode).toBe(3);
    const allowed = await build([...paletteArgs(), '--allow-unrendered'], 'unrendered');
    expect(allowed.exitCode).toBe(0);
    const shown = await run(['resolve', ...paletteArgs(), '--ca-cert', caPath, '--output', 'json']);
    const { unrendered } = JSON.parse(shown.stdout) as { unrendered: { chart: string }[] };
    expect(unrendered.map(({ chart }) => chart).sort()).toEqual(['cut', 'malformed', 'mistaken', 'plain', 'quoted']);
  });
});

describe.concurrent('a run that fails', () => {
  it.each([
    ['source.test/store/app:1', 'incorrect username or password'],
    ['echo.test/json/app:1', 'no access with [redacted] or '],
    ['echo.test/text/app:1', 'x file-user:[redacted]'],
  ])('with a wrong password, or where the registry quotes it: %s', async (reference, said) => {
    const name = reference.replace(/\W/g, '-');
    const list = join(given, `${name}.txt`);
    await writeFile(list, `${reference}\n`);
    const args = ['build', list, '--out', join(folder, 'out', name), '--ca-cert', caPath, '--retries', '0'];
    const { exitCode, stderr } = await run([...args, ...fileLogin('wrong')]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(said);
  });

  it('with a wrong password for Harbor', async () => {
    const target = ['--harbor', harbor.url, '--ca-cert', caPath, ...fileLogin('wrong', 'admin')];
    expect((await run(['load', bundle, ...target])).stderr).toContain('"code":"AUTH_FAILED"');
  });

  it('with a wrong password for the proxy, or one that is written wrongly', async () => {
    const wrong = encodeURIComponent(wrongPassword);
    const addresses = [
      `http://proxy-user:${wrong}@${proxy.host}`,
      `http://proxy-user:${wrong}%@${proxy.host}`,
      `proxy-user:${wrong}@`,
    ];
    const runs = addresses.map((HTTPS_PROXY, at) =>
      build([app(), ...fileLogin('file-user')], `wrong-proxy-${at}`, { env: { HTTPS_PROXY } }),
    );
    for (const { exitCode } of await Promise.all(runs)) expect(exitCode).not.toBe(0);
  });

  it('with a key that Palette refuses, and quotes', async () => {
    const args = paletteArgs().map((arg) => (arg === profileUid ? refusedUid : arg));
    expect((await build(args, 'refused')).stderr).toContain('"code":"PALETTE_ERROR"');
  });

  it('because it is killed in the middle of a blob', async () => {
    const out = join(folder, 'out', 'killed');
    const args = ['build', join(given, 'large.txt'), '--name', 'killed', '--out', out, '--ca-cert', caPath, '--cache'];
    const child = start([...args, '--limit-rate', '1M', ...fileLogin('file-user')], {});
    child.stdin?.end();
    if (child.stderr === null) throw new Error('the process has no output');
    const said = text(child.stderr);
    const isUnderWay = async (): Promise<boolean> =>
      existsSync(out) && (await readdir(out, { recursive: true })).some((name) => name.endsWith('.journal'));
    while (child.exitCode === null && !(await isUnderWay())) await sleep(20);
    await sleep(300);
    expect(child.kill('SIGKILL')).toBe(true);
    await once(child, 'close');
    printed.push(await said);
    const left = (await readdir(out, { recursive: true })).filter((name) => /\.(partial|journal)$/.test(name));
    expect(left).toHaveLength(2);
  });
});

describe('after all of that, no password, token or key', () => {
  it('was printed', () => {
    expect(printed.length).toBeGreaterThan(40);
    expect(printed.flatMap((output) => formsIn(output, [...forms, ...issuedTokens()]))).toEqual([]);
  });

  it('is in a file that was written: bundles, what a killed run left, journals, the cache, profiles, lock files', () => {
    const written = searchFolder(folder, [...forms, ...issuedTokens()]);
    expect(written.map((line) => line.slice(folder.length))).toEqual([]);
  });

  it('was left in a temporary folder', async () => {
    // Besides what the loader of TypeScript keeps.
    expect((await readdir(join(folder, 'tmp'))).filter((name) => !name.startsWith('tsx-'))).toEqual([]);
  });

  it('was to be seen in the list of processes', async () => {
    const helper = await readFile(join(given, 'vault.record'), 'utf8');
    expect(helper).toMatch(/docker-credential-vault\nget\n$/);
    expect(listed.some((line) => line.includes('\nresolve\n'))).toBe(true);
    expect([helper, ...listed].flatMap((line) => formsIn(line, forms))).toEqual([]);
  });

  it('was handed to Helm', async () => {
    const record = await readFile(join(given, 'helm.record'), 'utf8');
    expect(record).toContain('template');
    expect(formsIn(record, forms)).toEqual([]);
    expect(record).not.toMatch(/EDGE_BUNDLE_|@127\.0\.0\.1/);
  });
});

/** Their signatures: what makes each of them good. */
function issuedTokens(): string[] {
  return tokens.issued.map((token) => token.slice(token.lastIndexOf('.') + 1));
}
