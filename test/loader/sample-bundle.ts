import type { BundleChart, BundleContent, BundleDocument } from '../../src/bundle/bundle-document.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import type { LoadSource } from '../../src/loader/load-plan.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, type Content, contentsOf, image, index, noise, pushAll } from '../support/graphs.ts';

/** A bundle in memory. */
export interface MemoryBundle extends LoadSource {
  readonly store: MemoryStore;
}

/** A chart or pack of a bundle, and what it stands for. */
export interface SampleChart extends Pick<BundleChart, 'kind' | 'name' | 'version' | 'reference'> {
  readonly content: Content;
}

/** A bundle of `images`: reference in normal form to what it stands for. */
export async function bundleOf(
  images: Readonly<Record<string, Content>>,
  charts: readonly SampleChart[] = [],
): Promise<MemoryBundle> {
  const store = new MemoryStore();
  const roots = [...Object.values(images), ...charts.map(({ content }) => content)];
  await pushAll(store, ...roots);
  const document: BundleDocument = {
    formatVersion: 1,
    name: 'sample',
    platforms: [],
    sourceDateEpoch: 0,
    profiles: [],
    images: Object.entries(images).map(contentOf),
    charts: charts.map(({ kind, name, version, reference, content }) => ({
      kind,
      name,
      version,
      ...contentOf([reference, content]),
    })),
    blobs: contentsOf(...roots).map(({ descriptor: { digest, size } }) => ({ digest, size, storage: 'stored' })),
  };
  return {
    store,
    document,
    exists: (target, options) => store.exists(target, options),
    fetch: (target, options) => store.fetch(target, options),
  };
}

function contentOf([reference, { descriptor }]: [string, Content]): BundleContent {
  return { reference, ...descriptor, sources: [{ profile: 'sample', path: reference, class: 'declared' }] };
}

export function layer(seed: string, sizeBytes = 20_000): Content {
  return blob(noise(sizeBytes, seed), mediaTypes.ociLayerGzip);
}

/** Of each kind one: what a cluster's profile brings, small. */
export interface Sample {
  readonly bundle: MemoryBundle;
  /** Where each image is in the registry below the project, as `skopeo` names it, with what it has to be there. */
  readonly places: Readonly<Record<string, Content>>;
  /** The same for charts and packs, below their project. */
  readonly chartPlaces: Readonly<Record<string, Content>>;
  readonly multi: Content;
}

export async function sampleBundle(): Promise<Sample> {
  const base = layer('base', 60_000);
  const app = image([base, layer('app')]);
  const docker = image([blob(noise(9_000, 'docker'), mediaTypes.dockerLayerGzip)], { format: 'docker' });
  const multi = index([image([base, layer('amd64')]), image([layer('arm64')])]);
  const pinned = image([base, blob(noise(5_000, 'pinned'), mediaTypes.ociLayer)]);
  const zstd = image([blob(noise(7_000, 'zstd'), mediaTypes.ociLayerZstd)]);
  const signature = image([layer('signature', 300)], {
    artifactType: 'application/vnd.example.signature',
    subject: multi,
  });
  const chart = image([blob(noise(2_000, 'chart'), 'application/vnd.cncf.helm.chart.content.v1.tar+gzip')], {
    artifactType: 'application/vnd.cncf.helm.config.v1+json',
  });
  const pack = image([blob(noise(3_000, 'pack'), mediaTypes.ociLayer)], {
    artifactType: 'application/vnd.unknown.artifact.v1',
  });
  const bundle = await bundleOf(
    {
      'docker.io/library/app:1.0': app,
      'gcr.io/org/app:1.0': docker,
      'quay.io/org/multi:2': multi,
      [`gcr.io/org/pinned@${pinned.descriptor.digest}`]: pinned,
      [`ghcr.io/org/both:3@${zstd.descriptor.digest}`]: zstd,
      'localhost:5000/team/app:1.0': app,
      'quay.io/org/multi:2.sig': signature,
    },
    [
      { kind: 'chart', name: 'web', version: '0.1.0+7', reference: 'ghcr.io/charts/web:0.1.0_7', content: chart },
      {
        kind: 'pack',
        name: 'web',
        version: '0.1.0',
        reference: 'localhost/spectro-packs/archive/web:0.1.0',
        content: pack,
      },
    ],
  );
  return {
    bundle,
    multi,
    places: {
      'docker.io/library/app:1.0': app,
      'gcr.io/org/app:1.0': docker,
      'quay.io/org/multi:2': multi,
      [`gcr.io/org/pinned@${pinned.descriptor.digest}`]: pinned,
      'ghcr.io/org/both:3': zstd,
      'localhost-5000/team/app:1.0': app,
      'quay.io/org/multi:2.sig': signature,
    },
    chartPlaces: { 'charts/web:0.1.0_7': chart, 'archive/web:0.1.0': pack },
  };
}
