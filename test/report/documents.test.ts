import { readFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { documentSchemas, documentsJsonSchema } from '../../src/report/documents.ts';
import { formatBuild, formatInspect, formatLoad, formatVerify } from '../../src/report/summaries.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
const signatures: [] = [];
const bundle = {
  path: 'bundles/content-0123456789abcdef/core-a-0123456789abcdef.tar.zst',
  id: '0123456789abcdef',
  bytes: 1200,
};

describe('documents', () => {
  it('are described by the JSON Schema in docs/', async () => {
    const url = new URL('../../docs/cli-output.schema.json', import.meta.url);
    expect(JSON.parse(await readFile(url, 'utf8'))).toEqual(documentsJsonSchema());
  });

  it('have no members that the schema does not name', () => {
    const document = {
      bundle,
      signatures,
      images: 1,
      charts: 0,
      attachments: 0,
      files: 0,
      blobs: 3,
      bytes: { referenced: 5, stored: 4, saved: 1, downloaded: 4, reused: { bundles: 0, cache: 0 } },
      missing: [],
      excluded: [{ reference: 'docker.io/library/a:1', pattern: 'a', namespaces: ['web'] }],
      served: [{ host: 'mirror.example', requests: 3, bytes: 5, failures: 0, repositories: ['docker.io/library/a'] }],
    };
    expect(documentSchemas.build.safeParse(document).success).toBe(true);
    expect(documentSchemas.build.safeParse({ ...document, host: 'ci-7' }).success).toBe(false);
  });
});

describe('summaries', () => {
  it('tell what a build did', () => {
    const text = formatBuild({
      bundle,
      signatures,
      images: 8,
      charts: 2,
      blobs: 30,
      attachments: 3,
      files: 0,
      bytes: {
        referenced: 2_000_000,
        stored: 1_500_000,
        saved: 500_000,
        downloaded: 1_100_000,
        reused: { bundles: 300_000, cache: 100_000 },
      },
      missing: [{ reference: 'quay.io/a/b:1', reason: 'gone' }],
      excluded: [],
      served: [
        { host: 'down.example', requests: 0, bytes: 0, failures: 2, repositories: [] },
        { host: 'mirror.example', requests: 30, bytes: 1_500_000, failures: 0, repositories: ['quay.io/a/c'] },
      ],
    });
    expect(text).toContain(`bundle        ${bundle.path}\n`);
    expect(text).toContain('images        8\n');
    expect(text).toContain('charts        2\n');
    expect(text).toContain('referenced    2.0 MB\n');
    expect(text).toContain('missing       quay.io/a/b:1\n');
    expect(text).not.toContain('excluded');
    expect(text).toMatch(/^from +down\.example: 0 B \(failed 2 times\)$/m);
    expect(text).toMatch(/^from +mirror\.example: 1\.5 MB$/m);
    expect(text).toContain('saved         500 kB');
    expect(text).toMatch(/^attachments +3 /m);
    expect(text).toMatch(/^reused +400 kB /m);
  });

  it('list the images of a bundle', () => {
    const images = [
      {
        reference: 'docker.io/library/nginx:1.27',
        digest,
        mediaType: 'a/b',
        bytes: 70_000_000,
        packs: ['web', 'shop'],
      },
    ];
    expect(formatInspect({ bundle, signatures, images, charts: [], attachments: [], files: [], blobs: 3 })).toContain(
      'docker.io/library/nginx:1.27   0123456789ab   70.0 MB   web, shop\n',
    );
  });

  it('list the charts of a bundle below the images, and count them', () => {
    const chart = { kind: 'chart' as const, name: 'web', version: '1.0.0+7', bytes: 5_400 };
    const charts = [{ ...chart, reference: 'localhost/charts/web:1.0.0_7', digest }];
    const text = formatInspect({ bundle, signatures, images: [], charts, attachments: [], files: [], blobs: 3 });
    expect(text).toMatch(/^charts +1$/m);
    expect(text).toContain('\nKIND    NAME   VERSION   DIGEST         SIZE     REFERENCE\n');
    expect(text).toContain('chart   web    1.0.0+7   0123456789ab   5.4 kB   localhost/charts/web:1.0.0_7\n');
    const transfer = { images: 2, charts: 3, blobs: { uploaded: 0, mounted: 0, present: 7 }, missing: [] };
    expect(formatVerify(transfer)).toBe('images    2\ncharts    3\nblobs     7\nmissing   0\n');
    expect(formatLoad(transfer, transfer.blobs)).toMatch(/^charts +3$/m);
  });

  it('tell how many bytes a load did not have to send', () => {
    const text = formatLoad(
      { images: 2, charts: 0, blobs: { uploaded: 5, mounted: 2, present: 1 }, missing: [] },
      { uploaded: 33_000_000, mounted: 60_000_000, present: 365 },
    );
    expect(text).toMatch(/^uploaded +5 blobs \(33\.0 MB\)$/m);
    expect(text).toMatch(/^mounted +2 blobs \(60\.0 MB .*\)$/m);
    expect(text).toMatch(/^present +1 blobs \(365 B\)$/m);
  });

  it('count what a verification found and missed', () => {
    const missing = [{ kind: 'tag' as const, repository: 'p/nginx', digest, tag: '1.27', references: ['nginx:1.27'] }];
    const text = formatVerify({ images: 2, charts: 0, blobs: { uploaded: 0, mounted: 0, present: 7 }, missing });
    expect(text).toMatch(
      /^images {4}2\nblobs {5}7\nmissing {3}1\n\nkind +place +state +needed by\n(?:-.*\n)?tag +p\/nginx:1\.27 +missing +nginx:1\.27\n$/i,
    );
  });
});
