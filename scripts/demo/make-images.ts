import type { Descriptor } from '../../src/content/descriptor.ts';
import type { ContentStore } from '../../src/content/store.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { makeArtifact, makeImage, makeIndex } from '../../test/support/images.ts';
import { debianTar, type Layer, type LayerCompression, makeLayer, tarOf } from '../../test/support/layers.ts';
import { debianArchitecture, DebianArchive, type DebianPackage } from '../support/debian-archive.ts';
import { npmFiles } from '../support/npm-package.ts';
import type { Processes } from '../support/processes.ts';
import { applications, basePackages, digestOnly, multiArchitecture, tag, tlsPackages } from './applications.ts';

export interface MakeImagesOptions {
  readonly processes: Processes;
  /** The OCI layout that the images go to, named `<repository>:<tag>` or `<repository>@<digest>`. */
  readonly layout: string;
  /** Where downloaded packages are kept. */
  readonly downloads: string;
  /** The date of images and files, in seconds since 1970. */
  readonly epoch: number;
}

/** Makes the images of the demonstration from packages of Debian and npm, and gives their names. */
export async function makeImages(options: MakeImagesOptions): Promise<readonly string[]> {
  const store = await LayoutStore.open(options.layout);
  const images = new Map([
    ...(await makeDebianImages(store, options)),
    [`${multiArchitecture.name}:${tag}`, await makeMultiArchitectureImage(store, options)] as const,
    [`${digestOnly.name}@${digestOnly.digest}`, await makeDigestOnlyImage(store, options)] as const,
  ]);
  for (const [name, image] of images) await store.tag(image, name);
  return [...images.keys()];
}

/** Images that share their base layers, and a list of the packages of the first one as an artifact that refers to it. */
async function makeDebianImages(store: ContentStore, options: MakeImagesOptions): Promise<Map<string, Descriptor>> {
  const { processes, downloads, epoch } = options;
  const names = [...basePackages, ...tlsPackages, ...applications.flatMap(({ packages }) => packages)];
  const archive = await DebianArchive.download(processes, names, downloads);
  const platform = { os: 'linux', architecture: await debianArchitecture(processes) };
  const created = new Date(epoch * 1000);

  const addLayer = async (packages: readonly DebianPackage[], compression?: LayerCompression): Promise<DebianLayer> => {
    const createdBy = `dpkg-deb -x ${packages.map(({ name, version }) => `${name}=${version}`).join(' ')}`;
    const files = packages.map(({ path }) => path);
    return { layer: await makeLayer(store, debianTar(files, { epoch }), { compression, createdBy }), packages };
  };

  const base = archive.find(basePackages);
  const tls = without(archive.find(tlsPackages), base);
  const shared = [await addLayer(base), await addLayer(tls)];

  const images = new Map<string, Descriptor>();
  for (const { name, packages, command, compression, format } of applications) {
    const own = without(archive.find(packages), [...base, ...tls]);
    const layers = [...shared, await addLayer(own, compression)];
    const config = { Cmd: command };
    const image = await makeImage(store, {
      layers: layers.map(({ layer }) => layer),
      platform,
      created,
      config,
      format,
    });
    images.set(`${name}:${tag}`, image);
    if (images.size === 1) {
      const list = layers.flatMap((layer) => layer.packages);
      images.set(`${name}:${tag}-packages`, await makePackageList(store, list, image));
    }
  }
  return images;
}

interface DebianLayer {
  readonly layer: Layer;
  readonly packages: readonly DebianPackage[];
}

/** A software bill of materials in CycloneDX 1.6, with the image as its subject. */
async function makePackageList(
  store: ContentStore,
  packages: readonly DebianPackage[],
  subject: Descriptor,
): Promise<Descriptor> {
  const components = packages.map(({ name, version }) => ({ type: 'library', name, version }));
  const content = JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, components });
  const artifactType = 'application/vnd.cyclonedx+json';
  const file = { name: 'packages.cdx.json', mediaType: artifactType, content };
  return makeArtifact(store, { artifactType, files: [file], subject });
}

async function makeMultiArchitectureImage(store: ContentStore, options: MakeImagesOptions): Promise<Descriptor> {
  const { binary, command, packages } = multiArchitecture;
  const images: Descriptor[] = [];
  for (const [architecture, source] of Object.entries(packages)) {
    const content = (await npmFiles(options.processes, source, options.downloads)).get(binary);
    const layer = await makeLayer(store, tarOf([{ path: command[0].slice(1), content, mode: 0o755 }]), {
      createdBy: `${binary} of ${source.name}@${source.version}`,
    });
    const platform = { os: 'linux', architecture };
    const created = new Date(options.epoch * 1000);
    images.push(await makeImage(store, { layers: [layer], platform, created, config: { Entrypoint: command } }));
  }
  return makeIndex(store, images);
}

async function makeDigestOnlyImage(store: ContentStore, options: MakeImagesOptions): Promise<Descriptor> {
  const { name, digest, package: source } = digestOnly;
  const files = await npmFiles(options.processes, source, options.downloads);
  const tar = tarOf([...files].map(([path, content]) => ({ path: `usr/share/${source.name}/${path}`, content })));
  const createdBy = `${source.name}@${source.version}`;
  const image = await makeImage(store, { layers: [await makeLayer(store, tar, { compression: 'none', createdBy })] });
  if (image.digest !== digest) throw new Error(`${name}: expected the digest ${digest}, the image has ${image.digest}`);
  return image;
}

function without(packages: readonly DebianPackage[], others: readonly DebianPackage[]): readonly DebianPackage[] {
  return packages.filter((each) => !others.includes(each));
}
