import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type BuildDocument, documentSchemas } from '../../src/report/documents.ts';
import { apiKey, exportedProfile, json, profileUid, startPalette, stopPalettes } from '../palette/palette-server.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, type Content, image, noise, pushAll } from '../support/graphs.ts';
import { chartFiles, helmPath } from '../support/helm.ts';
import { realHelm } from '../support/real-helm.ts';
import { manifestPack, podTemplate, writePack, writeProfile } from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type CliResult, runInProcess } from './run-cli.ts';

const [first, second] = ['first', 'second'].map((seed) =>
  image([blob(noise(900, seed), 'application/vnd.oci.image.layer.v1.tar')]),
);
if (first === undefined || second === undefined) throw new Error('there are two');

let registry: DockerRegistry;
let client: RegistryClient;
let folder: string;

async function publish(repository: string, tag: string, content: Content): Promise<void> {
  const target = client.repository(registry.host, repository);
  await pushAll(target, content);
  await target.tag(content.descriptor, tag);
}

beforeAll(async () => {
  registry = await startDockerRegistry();
  client = new RegistryClient({ plainHttp: 'all' });
});

afterAll(async () => {
  await client.close();
  await registry.stop();
  await stopPalettes();
});

beforeEach(async () => {
  folder = await temporaryFolder();
  await publish('app', '1', first);
});

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  const own = {
    EDGE_BUNDLE_HELM: helmPath,
    EDGE_BUNDLE_CACHE_DIR: join(folder, 'cache'),
    PATH: process.env.PATH ?? '',
  };
  return runInProcess(args, { environment: { ...own, ...environment } });
}

const build = (args: readonly string[], environment?: Readonly<Record<string, string>>) =>
  run(['build', ...args, '--out', join(folder, 'out'), '--plain-http', '--output', 'json'], environment);

async function built(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<BuildDocument> {
  const { exitCode, stdout, stderr } = await build(args, environment);
  if (exitCode !== 0) throw new Error(`build ended with ${String(exitCode)}: ${stderr}`);
  return documentSchemas.build.parse(JSON.parse(stdout));
}

/** A profile with a pack whose chart runs `app:1`, in `packs`. */
function webProfile(template = podTemplate(`${registry.host}/app:1`)): string[] {
  writePack(join(folder, 'packs'), { charts: { app: { 'templates/pod.yaml': template } } });
  return [writeProfile(folder, { packs: [{ name: 'web' }] }), '--pack-dir', join(folder, 'packs')];
}

describe('build of profiles with packs', () => {
  it('carries images, charts and packs, and load puts them where Palette and Helm find them', async () => {
    const document = await built(webProfile());
    expect(document).toMatchObject({ images: 1, charts: 2, missing: [], excluded: [] });
    const target = await startDockerRegistry();
    const loaded = await run([
      'load',
      document.bundle.path,
      '--registry',
      target.host,
      '--plain-http',
      '--output',
      'json',
    ]);
    expect(loaded.stderr).not.toContain('error');
    expect(documentSchemas.load.parse(JSON.parse(loaded.stdout))).toMatchObject({ images: 1, charts: 2, missing: [] });
    const work = join(folder, 'pulled');
    mkdirSync(work);
    await realHelm(
      ['pull', `oci://${target.host}/spectro-packs/charts/app`, '--version', '1.2.3', '--plain-http'],
      work,
    );
    expect(readdirSync(work)).toEqual(['app-1.2.3.tgz']);
    const again = await run(
      ['resolve', ...webProfile().slice(0, 1), '--pack-registry', target.host, '--plain-http', '--output', 'list'],
      { EDGE_BUNDLE_CACHE_DIR: join(folder, 'other') },
    );
    await target.stop();
    expect(again.stdout).toBe(`${registry.host}/app:1\n`);
  });

  it('leaves charts and packs behind where that is wanted', async () => {
    expect(await built([...webProfile(), '--charts=false'])).toMatchObject({ images: 1, charts: 0 });
  });

  it('is an error where a chart is not rendered, and goes on with a warning where that is allowed', async () => {
    const input = webProfile(`# {{ fail "no licence" }}\nimage: ${registry.host}/app:1\n`);
    const refused = await build(input);
    expect(refused.exitCode).toBe(3);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(/pack 'web', chart 'app': .*no licence/);
    const allowed = await build([...input, '--allow-unrendered']);
    expect(allowed.exitCode).toBe(0);
    expect(allowed.stderr).toMatch(/pack 'web', chart 'app': .*no licence/);
    expect(JSON.parse(allowed.stdout)).toMatchObject({ images: 1 });
  });

  it('leaves out what is only mentioned and not there, says so, and fails where the mention is sure', async () => {
    const missing = `${registry.host}/none:1`;
    const mentioned = `${podTemplate(`${registry.host}/app:1`)}      args: ["--image=${missing}"]\n`;
    const input = writeProfile(folder, { packs: [manifestPack(mentioned)] });
    const { stdout, stderr } = await build([input]);
    expect(JSON.parse(stdout)).toMatchObject({ images: 1, missing: [{ reference: missing }] });
    expect(stderr).toContain(`${missing} is not in its registry, and is left out`);
    expect((await build([input, '--check=false'])).exitCode).toBe(3);
    expect(await built([input, '--check=false', '--exclude', missing])).toMatchObject({
      images: 1,
      excluded: [{ reference: missing, pattern: missing }],
    });
  });

  it('carries the list of what was left out, and mirror-config labels its namespaces from the bundle alone', async () => {
    const elsewhere = `${registry.host}/other:1`;
    const pod = podTemplate(elsewhere, 'other').replace('  name: other', '  name: other\n  namespace: shop');
    expect(pod).toContain('namespace: shop');
    const input = writeProfile(folder, {
      packs: [manifestPack(`${podTemplate(`${registry.host}/app:1`)}---\n${pod}`)],
    });
    const document = await built([input, '--exclude', `${registry.host}/oth*`]);
    expect(document).toMatchObject({ images: 1, files: 1, excluded: [{ reference: elsewhere, namespaces: ['shop'] }] });
    const out = join(folder, 'mirrors');
    const { exitCode, stdout } = await run([
      ...['mirror-config', document.bundle.path, '--harbor', 'https://10.0.0.5:30003', '--out', out],
      ...['--output', 'json'],
    ]);
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([0, { namespaces: ['shop'] }]);
    expect(readFileSync(join(out, 'namespaces.yaml'), 'utf8')).toMatch(
      /name: shop\n\s+labels:\n\s+stylus.io\/imageswap: disable/,
    );
  });

  it('carries a chart that was given by itself, as it is', async () => {
    const work = join(folder, 'chart');
    for (const [path, text] of Object.entries(
      chartFiles({ 'templates/pod.yaml': podTemplate(`${registry.host}/app:1`) }),
    )) {
      mkdirSync(dirname(join(work, path)), { recursive: true });
      writeFileSync(join(work, path), text);
    }
    expect(await built([join(work, 'app')])).toMatchObject({ images: 1, charts: 1 });
  });
});

describe('build --lock', () => {
  it('gives the same bundle after a tag has moved, and says that it has', async () => {
    const lock = join(folder, 'images.lock');
    const input = webProfile();
    const before = await built([...input, '--lock', lock]);
    await publish('app', '1', second);
    const { stdout, stderr } = await build([...input, '--lock', lock]);
    const after = documentSchemas.build.parse(JSON.parse(stdout));
    expect(after.bundle).toEqual(before.bundle);
    expect(stderr).toContain(`its tag leads to ${second.descriptor.digest} now; the lock file's is used`);
    expect(readFileSync(lock, 'utf8')).toContain(`${registry.host}/app:1: ${first.descriptor.digest}`);
    expect((await built(input)).bundle.id).not.toBe(before.bundle.id);
  });

  it('makes the same bundle of the same profiles, wherever they are', async () => {
    const lock = join(folder, 'images.lock');
    const before = await built([...webProfile(), '--lock', lock]);
    const elsewhere = join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    cpSync(join(folder, 'packs'), join(elsewhere, 'packs'), { recursive: true });
    const moved = writeProfile(elsewhere, { packs: [{ name: 'web' }] });
    const after = await built([moved, '--pack-dir', join(elsewhere, 'packs'), '--lock', lock]);
    expect(after.bundle.id).toBe(before.bundle.id);
  });
});

describe('build of a profile in Palette', () => {
  it('saves the profile beside the bundle, from which the build can be repeated', async () => {
    const { metadata, spec } = exportedProfile;
    const pack = {
      ...spec.template.packs[0],
      manifests: [{ name: 'web', content: podTemplate(`${registry.host}/app:1`) }],
    };
    const stored = { metadata, spec: { ...spec, template: { ...spec.template, packs: [pack] } } };
    const server = await startPalette({ [`GET clusterprofiles/${profileUid}/export`]: json(stored) });
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, `${apiKey}\n`);
    const palette = [
      '--palette-endpoint',
      server.url,
      '--palette-profile',
      profileUid,
      '--palette-api-key-file',
      keyFile,
    ];
    const { exitCode, stdout, stderr } = await build(palette);
    expect(exitCode).toBe(0);
    expect(stdout + stderr).not.toContain(apiKey);
    const document = documentSchemas.build.parse(JSON.parse(stdout));
    const saved = join(dirname(document.bundle.path), 'store-1.0.0.json');
    expect(readFileSync(saved, 'utf8')).not.toContain('sensitive-default');
    const requests = server.requests.length;
    const again = await built([saved]);
    expect(again.images).toBe(1);
    expect(again.bundle.id).toBe(document.bundle.id);
    expect(server.requests.length).toBe(requests);
  });
});
