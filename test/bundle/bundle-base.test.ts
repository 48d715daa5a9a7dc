import { describe, expect, it } from 'vitest';

import { BaseContent } from '../../src/bundle/bundle-base.ts';
import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { sha256 } from '../support/graphs.ts';

const named = (name: string, tag = '1') => ({
  ...{ reference: `docker.io/library/${name}:${tag}`, digest: sha256(`${name} ${tag}`) },
  ...{ mediaType: mediaTypes.ociManifest, size: 10 },
});
const chart = (name: string) => ({ kind: 'chart' as const, name, version: '1.0.0', ...named(name) });
const attachment = (name: string) => ({ ...named(name, 'sig'), subject: sha256(`${name} 1`) });
const sized = (name: string, size = 5) => ({ digest: sha256(name), size });

/** A delta itself, on a bundle that had other content. */
const document: BundleDocument = {
  ...{ formatVersion: 1, name: 'site', platforms: [], sourceDateEpoch: 0, profiles: [] },
  images: ['app', 'late'].map((name) => ({ ...named(name), sources: [] })),
  charts: ['web', 'late'].map((name) => ({ ...chart(name), sources: [] })),
  attachments: [attachment('app'), attachment('late')],
  files: [{ name: 'setup.sh', executable: true, ...named('files'), content: sized('script') }],
  base: {
    ...{ name: 'site', digest: sha256('earlier') },
    images: [named('app'), named('old')],
    charts: [chart('web'), chart('shop')],
    attachments: [attachment('app'), attachment('old')],
    blobs: [sized('layer of old')],
  },
  blobs: [
    { ...sized('layer'), storage: 'stored' },
    { ...sized('script'), storage: 'zstd' },
    { digest: sha256('{}'), size: 2, storage: 'zstd' },
  ],
};
const base = new BaseContent({ document, digest: sha256('bundle.json') });

describe('what a base has for a delta', () => {
  it('is what a registry has after it was loaded on its own base, and nothing of another size', () => {
    expect(base.has(sized('layer'))).toBe(true);
    expect(base.has(sized('layer of old'))).toBe(true);
    expect(base.has(sized('layer', 6))).toBe(false);
    expect(base.has(sized('another'))).toBe(false);
  });

  it('is neither its files, which no registry gets, nor the config that they and packs have', () => {
    expect(base.has(sized('script'))).toBe(false);
    expect(base.has({ digest: sha256('{}'), size: 2 })).toBe(false);
  });

  it('is described by where its blobs may be: what it and its base had, each once, and the delta has not', () => {
    const { blobs, ...homes } = base.describe({ images: [], charts: [], attachments: [] }, [sized('layer')]);
    expect(blobs).toEqual([sized('layer')]);
    expect(homes).toEqual({
      ...{ name: 'site', digest: sha256('bundle.json') },
      images: [named('app'), named('late'), named('old')],
      charts: [chart('web'), chart('late'), chart('shop')],
      attachments: [attachment('app'), attachment('late'), attachment('old')],
    });
    const { images, charts, attachments } = document;
    expect(base.describe({ images, charts, attachments }, [])).toEqual({
      ...{ name: 'site', digest: sha256('bundle.json') },
      images: [named('old')],
      charts: [chart('shop')],
      attachments: [attachment('old')],
      blobs: [],
    });
  });
});
