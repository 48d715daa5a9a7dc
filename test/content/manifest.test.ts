import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { detectManifestType, parseManifest, successors } from '../../src/content/manifest.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { arbitraryGraph, blob, contentsOf, image, index, sampleGraphs } from '../support/graphs.ts';

const target = (mediaType: string) => ({ mediaType, digest: blob('').descriptor.digest, size: 0 });

describe('a manifest', () => {
  it.each(Object.entries(sampleGraphs()))('names its children: %s', (_name, root) => {
    const manifest = parseManifest(root.bytes, root.descriptor);
    expect(successors(manifest)).toEqual(root.children.map(({ descriptor }) => descriptor));
  });

  it('of a random graph names its children, and is recognised without its descriptor', () => {
    fc.assert(
      fc.property(arbitraryGraph(), (root) => {
        for (const { descriptor, bytes, children } of contentsOf(root)) {
          if (!descriptor.mediaType.includes('manifest') && !descriptor.mediaType.includes('index')) continue;
          expect(successors(parseManifest(bytes, descriptor))).toEqual(children.map((child) => child.descriptor));
          expect(detectManifestType(bytes)).toBe(descriptor.mediaType);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is told apart by its members where it does not state its type', () => {
    const withoutType = (json: object): Buffer => Buffer.from(JSON.stringify({ ...json, mediaType: undefined }));
    const parsed = (bytes: Buffer): object => JSON.parse(bytes.toString()) as object;
    expect(detectManifestType(withoutType(parsed(image([]).bytes)))).toBe(mediaTypes.ociManifest);
    expect(detectManifestType(withoutType(parsed(index([]).bytes)))).toBe(mediaTypes.ociIndex);
    for (const text of ['', 'null', '7', '[]', '{}', '{"config":{}}', 'not JSON']) {
      expect(detectManifestType(Buffer.from(text))).toBeUndefined();
    }
    expect(parseManifest(withoutType(parsed(image([]).bytes)), target(mediaTypes.ociManifest)).kind).toBe('manifest');
  });

  it('says its artifact type, its annotations and its subject', () => {
    const subject = image([]);
    const { bytes, descriptor } = image([blob('x')], {
      artifactType: 'application/vnd.example',
      annotations: { a: 'b' },
      subject,
    });
    expect(parseManifest(bytes, descriptor)).toMatchObject({
      kind: 'manifest',
      artifactType: 'application/vnd.example',
      annotations: { a: 'b' },
      subject: subject.descriptor,
    });
  });

  it.each([
    ['nothing', '', /not JSON/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not JSON in UTF-8/],
    [
      'text in it that is not UTF-8',
      Buffer.from(
        `{"schemaVersion":2,"config":${JSON.stringify(blob('').descriptor)},"layers":[],"x":"\xff"}`,
        'latin1',
      ),
      /not JSON in UTF-8/,
    ],
    ['an array', '[]', /malformed at ''/],
    ['another schema version', '{"schemaVersion":1,"config":{},"layers":[]}', /malformed at 'schemaVersion'/],
    [
      'a layer without a size',
      JSON.stringify({
        schemaVersion: 2,
        config: blob('').descriptor,
        layers: [blob('').descriptor, { ...blob('').descriptor, size: undefined }],
      }),
      /malformed at 'layers\.1\.size'/,
    ],
    [
      'a digest that leaves its folder',
      JSON.stringify({ schemaVersion: 2, config: { ...blob('').descriptor, digest: 'sha256:../../x' }, layers: [] }),
      /malformed at 'config\.digest': expected a digest/,
    ],
    [
      'another type inside than outside',
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.dockerManifest,
        config: blob('').descriptor,
        layers: [],
      }),
      /says it is 'application\/vnd\.docker/,
    ],
  ])('is refused where it is %s, with the reason', (_what, bytes, message) => {
    const parse = (): unknown => parseManifest(Buffer.from(bytes), target(mediaTypes.ociManifest));
    expect(parse).toThrow(expect.objectContaining({ code: 'CONTENT_INVALID' }) as Error);
    expect(parse).toThrow(message);
  });

  it.each([
    ['a member twice', mediaTypes.ociManifest, '"layers":[],"layers":[]', /"layers" twice/],
    ['a member that is another one to Go', mediaTypes.ociManifest, '"layers":[],"Layers":[]', /"Layers" twice/],
    ['a member twice in a layer', mediaTypes.ociManifest, '"layers":[{"size":1,"size":2}]', /"size" twice/],
    ['the members of an index too', mediaTypes.ociManifest, '"layers":[],"manifests":[{}]', /and has 'manifests'/],
    ['the layers of schema 1 too', mediaTypes.ociManifest, '"layers":[],"fsLayers":[{}]', /and has 'fsLayers'/],
    ['layers, though it is an index', mediaTypes.ociIndex, '"manifests":[],"layers":[{}]', /and has 'layers'/],
    ['a config, though it is an index', mediaTypes.dockerManifestList, '"manifests":[],"config":{}', /has 'config'/],
  ])('that has %s is refused: others would see another image in it', (_, mediaType, members, message) => {
    const text = `{"schemaVersion":2,"config":${JSON.stringify(blob('').descriptor)},${members}}`;
    const bytes = Buffer.from(mediaType === mediaTypes.ociManifest ? text : text.replace(/"config":\{[^}]*\},/, ''));
    const parse = (): unknown => parseManifest(bytes, target(mediaType));
    expect(parse).toThrow(expect.objectContaining({ code: 'CONTENT_INVALID' }) as Error);
    expect(parse).toThrow(message);
  });

  it('that is an index says so inside too, where it says anything', () => {
    const parse = (mediaType: string): unknown =>
      parseManifest(
        Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] })),
        target(mediaTypes.ociIndex),
      );
    expect(parse(mediaTypes.ociIndex)).toMatchObject({ kind: 'index' });
    expect(() => parse(mediaTypes.dockerManifestList)).toThrow(/says it is 'application\/vnd\.docker/);
  });

  it('may have empty lists of another kind, and null', () => {
    const config = JSON.stringify(blob('').descriptor);
    const text = `{"schemaVersion":2,"config":${config},"layers":[],"manifests":[],"fsLayers":null}`;
    expect(parseManifest(Buffer.from(text), target(mediaTypes.ociManifest)).kind).toBe('manifest');
  });

  it.each(['application/vnd.docker.distribution.manifest.v1+prettyjws', 'text/html'])(
    'of the type %s is UNSUPPORTED',
    (mediaType) => {
      expect(() => parseManifest(Buffer.from('{}'), target(mediaType))).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED', hint: expect.any(String) as string }) as Error,
      );
    },
  );

  it('of any bytes is read or refused, and never breaks the program', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json().map((text) => Buffer.from(text)),
          fc.uint8Array(),
        ),
        (bytes) => {
          expect(() => parseManifest(bytes, target(mediaTypes.ociIndex))).toThrow(
            expect.objectContaining({ code: 'CONTENT_INVALID' }) as Error,
          );
        },
      ),
    );
  });
});
