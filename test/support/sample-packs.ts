import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { chartFiles } from './helm.ts';
import { type FileTexts, tarGzip, writeFiles } from './tar-archive.ts';

/** What is in a pack; what is left out has a value that does not matter. */
export interface SamplePack {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly layer?: string | undefined;
  readonly values?: string | undefined;
  readonly presets?: string | undefined;
  /** The files of charts by their names; an archive where that is given. */
  readonly charts?: Readonly<Record<string, FileTexts | Buffer>> | undefined;
  /** Templates of manifests by their names. */
  readonly manifests?: Readonly<Record<string, string>> | undefined;
}

/** The files of a pack as pack-central has them. */
export function packFiles(pack: SamplePack): FileTexts {
  const { name = 'web', version = '1.0.0', layer = 'addon', values, presets, charts = {}, manifests = {} } = pack;
  const archives = Object.entries(charts).map(([chart, files]): [string, Buffer] => [
    `charts/${chart}-1.2.3.tgz`,
    Buffer.isBuffer(files) ? files : tarGzip(chartFiles(files, chart)),
  ]);
  const templates = Object.entries(manifests).map(([file, text]): [string, string] => [`manifests/${file}.yaml`, text]);
  const json = {
    ...{ name, version, layer, displayName: name, annotations: {} },
    charts: archives.map(([path]) => path),
    kubeManifests: templates.map(([path]) => path),
  };
  return {
    'pack.json': JSON.stringify(json),
    ...(values === undefined ? {} : { 'values.yaml': values }),
    ...(presets === undefined ? {} : { 'presets.yaml': presets }),
    ...Object.fromEntries<string | Buffer>([...archives, ...templates]),
  };
}

/** Writes a pack into a folder of its own below `folder`. @returns that folder */
export function writePack(folder: string, pack: SamplePack): string {
  const path = join(folder, `${pack.name ?? 'web'}-${pack.version ?? '1.0.0'}`);
  mkdirSync(path, { recursive: true });
  writeFiles(path, packFiles(pack));
  return path;
}

/** The `tar.gz` of a pack. */
export function packArchive(pack: SamplePack): Buffer {
  const files = Object.entries(packFiles(pack)).map(([path, content]) => [`${pack.name ?? 'web'}/${path}`, content]);
  return tarGzip(Object.fromEntries(files) as FileTexts);
}

export interface ProfilePackFixture {
  readonly name: string;
  readonly layer?: string;
  readonly type?: string;
  readonly version?: string;
  readonly values?: string;
  readonly manifests?: readonly { readonly name: string; readonly content?: string }[];
}

export interface ProfileFixture {
  readonly name?: string;
  readonly type?: string;
  readonly variables?: readonly {
    readonly name: string;
    readonly defaultValue?: string;
    readonly isSensitive?: boolean;
  }[];
  readonly packs?: readonly ProfilePackFixture[];
}

/** A profile as Palette exports it. */
export function profileJson({ name = 'store', type = 'add-on', variables = [], packs = [] }: ProfileFixture): string {
  const pack = { layer: 'addon', type: 'oci', version: '1.0.0', tag: '1.0.0' };
  return JSON.stringify({
    metadata: { name },
    spec: {
      version: '1.0.0',
      template: { type, cloudType: 'all', packs: packs.map((own) => ({ ...pack, ...own })) },
      variables,
    },
  });
}

/** Writes a profile. @returns the path */
export function writeProfile(folder: string, profile: ProfileFixture): string {
  const path = join(folder, `${profile.name ?? 'store'}.json`);
  writeFileSync(path, profileJson(profile));
  return path;
}

/** A profile's pack of plain manifests. */
export function manifestPack(content: string, name = 'apps'): ProfilePackFixture {
  return { name, type: 'manifest', manifests: [{ name: 'm', content }] };
}

/** A pack's values with content tags. */
export function declaring(...images: readonly string[]): string {
  return `pack:\n  content:\n    images:\n${images.map((image) => `      - image: ${image}\n`).join('')}`;
}

/** A template of a Pod that runs one image. */
export function podTemplate(image: string, name = 'pod'): string {
  return `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\nspec:\n  containers:\n    - name: main\n      image: ${image}\n`;
}
