import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { cosignSignature, cosignTag } from '../support/cosign.ts';
import { type CountingRegistry, startCountingRegistry } from '../support/counting-registry.ts';
import { startEdgeBundle } from '../support/edge-bundle.ts';
import { blob, type Content, contentsOf, image, index, noise } from '../support/graphs.ts';

/** `npm run soak` sets it: 2,000 images have 10,000 blobs. */
const imageCount = Number(process.env.MANY_IMAGES ?? 200);
const tagsEach = 4;
/** How many images in a row share a layer. */
const sharing = 20;
const maxPeakBytes = 250_000_000;
const timeoutMs = 240_000 + imageCount * 200;

const login = { username: 'builder', password: 'the-password-of-many-images' };

interface Fixture {
  readonly repository: string;
  readonly tag: string;
  readonly image: Content;
  /** Found by cosign's tag. */
  readonly signature: Content | undefined;
  /** Found by the referrers API. */
  readonly referrer: Content | undefined;
}

let registry: CountingRegistry;
let folder: string;
let fixtures: readonly Fixture[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-many-'));
  registry = await startCountingRegistry(login);
  fixtures = Array.from({ length: imageCount }, (_, number) => makeFixture(number));
  for (const { repository, tag, image, signature, referrer } of fixtures) {
    registry.add(repository, image, tag);
    if (signature !== undefined) registry.add(repository, signature, cosignTag(image, 'sig'));
    if (referrer !== undefined) registry.add(repository, referrer);
  }
  const references = fixtures.map(({ repository, tag }) => `${registry.host}/${repository}:${tag}\n`);
  await writeFile(join(folder, 'images.txt'), references.join(''));
  await writeFile(join(folder, 'password'), login.password);
}, timeoutMs);

afterAll(async () => {
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Five blobs of its own and a shared one; now and then an index of two platforms. */
function makeFixture(number: number): Fixture {
  const layer = (name: string, mediaType: string = mediaTypes.ociLayerGzip): Content =>
    blob(noise(2_000 + (number % 7) * 1_000, `${number} ${name}`), mediaType);
  const shared = blob(noise(5_000, `shared ${Math.floor(number / sharing)}`), mediaTypes.ociLayerGzip);
  const made =
    number % 20 === 0
      ? index([image([shared, layer('amd64'), layer('more')]), image([shared, layer('arm64')])])
      : image([shared, layer('a'), layer('b'), layer('c'), layer('d', mediaTypes.ociLayer)]);
  return {
    repository: `team-${Math.floor(number / 40)}/app-${Math.floor(number / tagsEach)}`,
    tag: `1.${number % tagsEach}`,
    image: made,
    signature: number % 25 === 0 ? cosignSignature(made) : undefined,
    referrer:
      number % 40 === 0 ? image([layer('sbom')], { artifactType: 'application/spdx+json', subject: made }) : undefined,
  };
}

const isManifest = ({ descriptor }: Content): boolean => /manifest|index/.test(descriptor.mediaType);

type Mode = 'images only' | 'without the referrers API' | 'with the referrers API';

/**
 * Every request that a build needs, computed from what the registry has. Where content is in several repositories, one is
 * enough: blobs are told by their digests alone.
 */
function neededRequests(mode: Mode): Set<string> {
  const needed = new Set(['GET /v2/', 'token']);
  const need = (repository: string, contents: readonly Content[], name: string): void => {
    for (const [at, content] of contents.entries()) {
      const { digest } = content.descriptor;
      const isRoot = at === contents.length - 1;
      if (!isManifest(content)) needed.add(`GET blob ${digest}`);
      else needed.add(`GET ${repository}/manifests/${isRoot ? name : digest}`);
      if (isManifest(content) && mode === 'with the referrers API') needed.add(`GET ${repository}/referrers/${digest}`);
    }
  };
  for (const { repository, tag, image, signature, referrer } of fixtures) {
    needed.add(`token repository:${repository}:pull`);
    need(repository, contentsOf(image), tag);
    if (mode === 'images only') continue;
    needed.add(`GET ${repository}/tags/list`);
    if (signature !== undefined) need(repository, contentsOf(signature), cosignTag(image, 'sig'));
    if (mode === 'without the referrers API') needed.add(`GET ${repository}/referrers`);
    else if (referrer !== undefined) {
      const own = contentsOf(referrer).filter((content) => !contentsOf(image).includes(content));
      need(repository, own, referrer.descriptor.digest);
    }
  }
  return needed;
}

/** What the registry was asked for, in the same words. */
function countedRequests(mode: Mode): Map<string, number> {
  const counted = new Map<string, number>();
  for (const [request, times] of registry.counts) {
    const blobDigest = /\/blobs\/(.+)$/.exec(request)?.[1];
    const method = request.split(' ')[0] ?? '';
    const name =
      blobDigest !== undefined
        ? `${method} blob ${blobDigest}`
        : mode === 'without the referrers API'
          ? request.replace(/\/referrers\/.*/, '/referrers')
          : request;
    counted.set(name, (counted.get(name) ?? 0) + times);
  }
  return counted;
}

interface Measured {
  readonly exitCode: number | null;
  readonly result: unknown;
  readonly stderr: string;
  readonly peakBytes: number;
}

/** Runs a build in a process of its own and watches how much memory it has had at most. */
async function build(...args: readonly string[]): Promise<Measured> {
  const child = startEdgeBundle([
    ...['build', join(folder, 'images.txt'), '--name', 'many', '--output', 'json', '--log', 'json'],
    ...['--plain-http', '--username', login.username, '--password-file', join(folder, 'password'), ...args],
  ]);
  if (child.stdout === null || child.stderr === null) throw new Error('the process has no output');
  let peakBytes = 0;
  const timer = setInterval(() => (peakBytes = Math.max(peakBytes, peakMemoryBytes(child))), 20);
  try {
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { exitCode: child.exitCode, result: stdout === '' ? undefined : JSON.parse(stdout), stderr, peakBytes };
  } finally {
    clearInterval(timer);
  }
}

/** proc(5): VmHWM, the most that the process has had so far. Not `maxRSS`, which begins with what its parent had. */
function peakMemoryBytes({ pid }: ChildProcess): number {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid ?? 0}/status`, 'utf8'))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function errorsIn(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.includes('"level":"error"'));
}

describe(`a build of ${imageCount} images with small blobs`, () => {
  it.each<[mode: Mode, hasReferrers: boolean, args: readonly string[]]>([
    ['images only', true, ['--referrers=false']],
    ['without the referrers API', false, []],
    ['with the referrers API', true, []],
  ])(
    '(%s) asks for nothing that it does not need, nor twice, and stays small',
    async (mode, hasReferrers, args) => {
      registry.reset();
      registry.hasReferrers = hasReferrers;
      const { exitCode, result, stderr, peakBytes } = await build('--out', join(folder, 'out', mode), ...args);
      expect(errorsIn(stderr)).toEqual([]);
      expect(exitCode).toBe(0);
      expect(result).toMatchObject({ images: imageCount });
      const needed = neededRequests(mode);
      const counted = countedRequests(mode);
      expect([...counted].filter(([request, times]) => times > 1 || !needed.has(request)).slice(0, 10)).toEqual([]);
      expect([...needed].filter((request) => !counted.has(request))).toEqual([]);
      expect(peakBytes).toBeGreaterThan(20_000_000);
      expect(peakBytes).toBeLessThan(maxPeakBytes);
    },
    timeoutMs,
  );
});
