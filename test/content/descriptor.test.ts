import { describe as suite, expect, it } from 'vitest';

import { describe, descriptorSchema } from '../../src/content/descriptor.ts';
import { formatPlatform } from '../../src/content/platform.ts';
import { sha256 } from '../support/graphs.ts';

const valid = { mediaType: 'application/octet-stream', digest: sha256('x'), size: 1 };

suite('a descriptor', () => {
  it('counts bytes, not characters', () => {
    const text = 'ä😀';
    expect(describe(Buffer.from(text), 'text/plain')).toEqual({
      mediaType: 'text/plain',
      digest: sha256(text),
      size: 6,
    });
  });

  it('is read with all that is known of it, and without the rest', () => {
    const full = {
      ...valid,
      artifactType: 'application/vnd.example',
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
      annotations: { a: 'b' },
      urls: ['https://example.org/x'],
    };
    expect(
      descriptorSchema.parse({ ...full, data: 'eA==', platform: { ...full.platform, 'os.version': '1' } }),
    ).toEqual(full);
  });

  it.each([
    ['no size', { ...valid, size: undefined }],
    ['a negative size', { ...valid, size: -1 }],
    ['a size that is not whole', { ...valid, size: 1.5 }],
    ['a size that a double cannot hold', { ...valid, size: 2 ** 60 }],
    ['a size as a text', { ...valid, size: '1' }],
    ['no media type', { ...valid, mediaType: '' }],
    ['a digest that is none', { ...valid, digest: 'sha256:../x' }],
    ['an annotation that is not a text', { ...valid, annotations: { a: 1 } }],
  ])('is refused with %s', (_what, value) => {
    expect(descriptorSchema.safeParse(value).success).toBe(false);
  });
});

suite('a platform', () => {
  it('is written as other tools write it', () => {
    expect(formatPlatform({ os: 'linux', architecture: 'amd64' })).toBe('linux/amd64');
    expect(formatPlatform({ os: 'linux', architecture: 'arm', variant: 'v7' })).toBe('linux/arm/v7');
  });
});
