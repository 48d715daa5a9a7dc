import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import pLimit from 'p-limit';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import type { ResolveDocument } from '../../src/report/documents.ts';
import { completed, containerImages } from '../support/container-images.ts';
import { helmPath } from '../support/helm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { resolveJson } from './run-resolve.ts';

const run = promisify(execFile);
const packsFolder = fileURLToPath(new URL('../../../shared/packs', import.meta.url));
const profilesFolder = fileURLToPath(new URL('../../../shared/profiles', import.meta.url));
const hasPacks = existsSync(packsFolder);
if (!hasPacks) console.warn('skipped: the real packs are not beside this project (../shared/packs)');
const packs = hasPacks ? (await readdir(packsFolder)).sort() : [];

interface PackJson {
  readonly name: string;
  readonly version: string;
  readonly charts?: readonly string[];
  readonly kubeManifests?: readonly string[];
}

interface PackValues {
  readonly pack?: {
    readonly namespace?: string;
    readonly content?: { readonly images?: readonly { readonly image: string }[] };
    readonly releaseNameOverride?: Readonly<Record<string, string>>;
  } | null;
  readonly charts?: Readonly<Record<string, unknown>> | null;
  readonly manifests?: Readonly<Record<string, unknown>> | null;
}

/** A pack, rendered here and not through the code under test. */
interface RenderedPack {
  readonly name: string;
  readonly version: string;
  /** Completed, as the rest. */
  readonly declared: ReadonlySet<string>;
  readonly rendered: ReadonlySet<string>;
  /** What Helm printed, all of it. */
  readonly text: string;
  /** The names of the charts and manifests that Helm refused. */
  readonly unrendered: readonly string[];
}

const limit = pLimit(2);
let work: string;

/** Undefined where Helm fails. */
function helmTemplate(release: string, namespace: string, chart: string, values: string): Promise<string | undefined> {
  const args = ['template', release, chart, '--namespace', namespace, '--values', values, '--include-crds'];
  const env = { HOME: work, HELM_CACHE_HOME: work, HELM_CONFIG_HOME: work, HELM_DATA_HOME: work };
  return limit(() => run(helmPath, args, { env, maxBuffer: 64 * 1024 * 1024 })).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
}

/** @param valuesText what a profile has in place of the pack's own */
async function renderPack(pack: string, valuesText?: string): Promise<RenderedPack> {
  const folder = join(packsFolder, pack);
  const {
    name,
    version,
    charts = [],
    kubeManifests = [],
  } = JSON.parse(await readFile(join(folder, 'pack.json'), 'utf8')) as PackJson;
  // Macros stand where YAML has no braces, too; here none is part of an image.
  const text = (valuesText ?? (await readFile(join(folder, 'values.yaml'), 'utf8'))).replace(
    /\{\{[^{}]*\.spectro\.[^{}]*\}\}/g,
    '1.31',
  );
  const values = parse(text, { merge: true }) as PackValues;
  const namespace = values.pack?.namespace ?? 'default';
  const texts: string[] = [];
  const unrendered: string[] = [];
  const render = async (part: string, release: string, chart: string, own: unknown): Promise<void> => {
    const file = join(
      work,
      `${pack}-${basename(part)}-${String(texts.length)}-${String(unrendered.length)}-${String(valuesText?.length)}.values`,
    );
    await writeFile(file, JSON.stringify(own ?? {}));
    const output = await helmTemplate(release, namespace, chart, file);
    if (output === undefined) unrendered.push(part);
    else texts.push(output);
  };
  await Promise.all([
    ...charts.map(async (path) => {
      const { stdout } = await run('tar', ['-tzf', join(folder, path)], { maxBuffer: 64 * 1024 * 1024 });
      const chart = stdout.split('/')[0] ?? '';
      const release = values.pack?.releaseNameOverride?.[chart] ?? chart;
      await render(chart, release, join(folder, path), values.charts?.[chart]);
    }),
    ...kubeManifests.map(async (path) => {
      const manifest = basename(path).replace(/\.ya?ml$/, '');
      const chart = join(work, `${pack}-${manifest}-${String(valuesText?.length)}`, manifest);
      await mkdir(join(chart, 'templates'), { recursive: true });
      await writeFile(join(chart, 'Chart.yaml'), `apiVersion: v2\nname: ${manifest}\nversion: 0.0.0\n`);
      await writeFile(join(chart, 'templates', 'manifest.yaml'), await readFile(join(folder, path)));
      await render(manifest, 'manifests', chart, values.manifests?.[manifest]);
    }),
  ]);
  return {
    name,
    version,
    declared: new Set((values.pack?.content?.images ?? []).map(({ image }) => completed(image))),
    rendered: new Set(texts.flatMap((each) => [...containerImages(each)].map(completed))),
    text: texts.join('\n'),
    unrendered,
  };
}

/** The images that a pack of a document asks for, each with its places. */
function imagesOf(document: ResolveDocument, pack: string): ReadonlyMap<string, ResolveDocument['images'][number]> {
  const own = document.images.filter(({ sources }) => sources.some((source) => source.pack === pack));
  return new Map(own.map((image) => [image.reference, image]));
}

let document: ResolveDocument;
let independent: ReadonlyMap<string, RenderedPack>;

beforeAll(async () => {
  if (!hasPacks) return;
  work = await temporaryFolder();
  document = await resolveJson([...packs.map((pack) => join(packsFolder, pack)), '--allow-unrendered']);
  const rendered = await Promise.all(packs.map(async (pack) => [pack, await renderPack(pack)] as const));
  independent = new Map(rendered);
});

function independently(pack: string): RenderedPack {
  const found = independent.get(pack);
  if (found === undefined) throw new Error(`${pack} was not rendered`);
  return found;
}

describe.skipIf(!hasPacks)('resolve on the real packs', () => {
  it.each(packs)('finds every image that rendering %s shows, and every content tag', (pack) => {
    const { name, declared, rendered } = independently(pack);
    const found = imagesOf(document, name);
    expect([...declared].filter((image) => found.get(image)?.classes.includes('declared') !== true)).toEqual([]);
    expect([...rendered].filter((image) => found.get(image)?.classes.includes('rendered') !== true)).toEqual([]);
  });

  it.each(packs)('takes nothing in %s for rendered or declared that is not, and says what is not rendered', (pack) => {
    const { name, declared, rendered, unrendered } = independently(pack);
    for (const [reference, { sources }] of imagesOf(document, name)) {
      const own = sources.filter((source) => source.pack === name);
      if (own.some((source) => source.class === 'rendered')) expect(rendered).toContain(reference);
      if (own.some((source) => source.class === 'declared' && source.chart === undefined))
        expect(declared).toContain(reference);
    }
    const reported = document.unrendered.filter((part) => part.pack === name);
    expect(reported.map(({ chart, reason }) => chart ?? /manifest (\S+):/.exec(reason)?.[1]).sort()).toEqual(
      [...unrendered].sort(),
    );
    const figures = document.packs.find((each) => each.pack === name);
    expect(figures?.undeclared.toSorted()).toEqual([...rendered].filter((image) => !declared.has(image)).sort());
  });

  it.each(packs)('explains every image of %s by a place that holds it', async (pack) => {
    const { name, declared, rendered, text } = independently(pack);
    const values = await readFile(join(packsFolder, pack, 'values.yaml'), 'utf8');
    for (const [reference, { sources, spellings }] of imagesOf(document, name)) {
      expect(reference).not.toMatch(/[{}<>\s$]|:\/\/|^[./]|\.(tgz|ya?ml|json|png|svg)$|unresolvedmacro/);
      if (declared.has(reference) || rendered.has(reference)) continue;
      for (const { class: name_, note, path } of sources.filter((source) => source.pack === name)) {
        expect(path).not.toBe('');
        if (note?.includes('not rendered') === true || name_ === 'declared') continue;
        // In one piece, or put together of parts that all are there.
        const parts = spellings.some((spelling) => text.includes(spelling))
          ? []
          : spellings.flatMap((spelling) => spelling.split(/[/:@]/));
        expect(parts.length === 0 || note !== undefined).toBe(true);
        expect(parts.filter((part) => !text.includes(part) && !values.includes(part))).toEqual([]);
      }
    }
  });
});

describe.skipIf(!hasPacks)('what is said of the real packs', () => {
  it('are in the documentation the figures that come out here', async () => {
    const page = await readFile(new URL('../../docs/resolve.md', import.meta.url), 'utf8');
    const rows = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    const written = rows.filter((cells) => cells.length === 10 && /^\d+$/.test(cells[3] ?? ''));
    const found = document.packs.map((pack) => [
      ...[pack.pack ?? '', pack.version ?? ''],
      ...[pack.declared, pack.rendered, pack.referenced, pack.inferred, pack.undeclared.length, pack.unrendered].map(
        String,
      ),
    ]);
    expect(written.map((cells) => cells.slice(1, -1)).sort()).toEqual(found.sort());
    expect(page).toContain(`Together ${String(document.images.length)} images.`);
  });

  it('is nothing in the source: what holds for them holds for others too', async () => {
    const folder = fileURLToPath(new URL('../../src', import.meta.url));
    const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.ts'));
    const source = (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('\n');
    // Harbor is what this program loads into, whoever packs it.
    const names = [...independent.values()].map(({ name }) => name).filter((name) => name !== 'harbor');
    expect(names.filter((name) => new RegExp(`\\b${name}\\b`, 'i').test(source))).toEqual([]);
  });
});

describe.skipIf(!hasPacks)('resolve on the real profiles', () => {
  it('finds every container image and every content tag of a full profile', async () => {
    const path = join(profilesFolder, 'edge-store-export.json');
    const found = await resolveJson([path, '--pack-dir', packsFolder, '--allow-unrendered']);
    const profile = JSON.parse(await readFile(path, 'utf8')) as {
      spec: {
        template: { packs: { name: string; version: string; values?: string; manifests?: { content: string }[] }[] };
      };
    };
    const expected = new Set<string>();
    for (const { name, version, values = '', manifests = [] } of profile.spec.template.packs) {
      for (const [, tag = ''] of values.matchAll(/^ +- image: ([^\s"{}]+)$/gm)) expected.add(completed(tag));
      for (const { content } of manifests) for (const image of containerImages(content)) expected.add(completed(image));
      const pack = packs.find((each) => independently(each).name === name && independently(each).version === version);
      if (pack === undefined) continue;
      for (const image of (await renderPack(pack, values)).rendered) expected.add(image);
    }
    expect(expected.size).toBeGreaterThan(40);
    const references = new Set(found.images.map(({ reference }) => reference));
    expect([...expected].filter((image) => !references.has(image))).toEqual([]);
    // Made of six macros.
    expect(references).toContain('ttl.sh/ubuntu:k3s-1.31.4-v4.5.0-demo');
    // An argument of a CronJob.
    expect(references).toContain('ghcr.io/example/agent:1.4.2');
    expect(found.unrendered.map(({ pack }) => pack)).toEqual(['harbor-edge-native-config']);
  });

  it('reads what it can of an add-on profile whose packs it does not have', async () => {
    const path = join(profilesFolder, 'ml-ops-export.json');
    const found = await resolveJson([path, '--allow-unrendered']);
    expect(found.unrendered.map(({ pack }) => pack)).toEqual(['kubeflow', 'argo-cd', 'istio']);
    const references = found.images.map(({ reference }) => reference);
    expect(references).toContain('docker.io/aipipeline/kubeflow-operator:v1.2.0');
    expect(references).toContain('quay.io/argoproj/argocd:v2.1.6');
    for (const { reference, sources } of found.images) {
      expect(reference).not.toMatch(/[{}<>\s$]|:\/\/|^[./]/);
      for (const { note } of sources) expect(note).toContain('not rendered');
    }
  });
});
