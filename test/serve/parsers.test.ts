import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseChunkRange, parseRange } from '../../src/serve/byte-range.ts';
import { parseLayoutName, registryComponent } from '../../src/serve/names.ts';
import { ProtocolError } from '../../src/serve/protocol-error.ts';
import { parseRoute } from '../../src/serve/route.ts';
import { sha256 } from '../support/graphs.ts';

/** OCI distribution-spec v1.1, "Pulling manifests": <name>. */
const namePattern = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const digest = sha256('something');

describe('a path', () => {
  it.each([
    ['/v2/', { kind: 'base' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/a/tags/list', { kind: 'tags', name: 'a' }],
    ['/v2/a/b/c/manifests/v1', { kind: 'manifest', name: 'a/b/c', reference: 'v1' }],
    [`/v2/a/manifests/${digest}`, { kind: 'manifest', name: 'a', reference: digest }],
    [`/v2/a/blobs/${digest}`, { kind: 'blob', name: 'a', digest }],
    [`/v2/a/referrers/${digest}`, { kind: 'referrers', name: 'a', digest }],
    ['/v2/a/blobs/uploads/', { kind: 'uploads', name: 'a' }],
    ['/v2/a/blobs/uploads', { kind: 'uploads', name: 'a' }],
    ['/v2/a/blobs/uploads/123', { kind: 'upload', name: 'a', session: '123' }],
    // The words of the end points may stand in names.
    ['/v2/tags/list/tags/list', { kind: 'tags', name: 'tags/list' }],
    ['/v2/manifests/manifests/manifests', { kind: 'manifest', name: 'manifests', reference: 'manifests' }],
    ['/v2/blobs/uploads/manifests/v1', { kind: 'manifest', name: 'blobs/uploads', reference: 'v1' }],
  ])('%s is understood', (path, route) => {
    expect(parseRoute(path)).toEqual(route);
  });

  it('of any kind is refused, or has a name and a digest that match their grammar', () => {
    const component = fc.oneof(
      fc.constantFrom(
        'v2',
        'a',
        'manifests',
        'blobs',
        'uploads',
        'tags',
        'list',
        'referrers',
        '..',
        '',
        digest,
        '%2e%2e',
      ),
      fc.string({ unit: 'binary', maxLength: 8 }),
    );
    fc.assert(
      fc.property(fc.array(component, { maxLength: 7 }), (components) => {
        try {
          const route = parseRoute(`/v2/${components.join('/')}`);
          if ('name' in route) expect(route.name).toMatch(namePattern);
          if ('digest' in route) expect(route.digest).toMatch(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          expect([400, 404]).toContain(error.status);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the range of a request', () => {
  it('of any kind lies within the content', () => {
    const number = fc.oneof(fc.nat(), fc.constant(''), fc.bigInt({ min: 0n, max: 10n ** 30n }));
    fc.assert(
      fc.property(number, number, fc.nat(), (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size);
        if (typeof range === 'string') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.start).toBeLessThan(range.end);
        expect(range.end).toBeLessThanOrEqual(size);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['0-0', { start: 0, end: 1 }],
    ['5-9', { start: 5, end: 10 }],
    ['9-5', undefined],
    ['bytes 0-1', undefined],
    ['0-1/2', undefined],
    ['-1', undefined],
    [`0-${'9'.repeat(16)}`, undefined],
  ])('of a chunk, %s, is what the specification says', (text, range) => {
    expect(parseChunkRange(text)).toEqual(range);
  });
});

describe('a name in index.json', () => {
  const served = (repository: string, tag?: string, isExact = true): unknown => ({ repository, tag, isExact });

  it.each([
    ['docker.io/library/nginx:1.27', served('docker.io/library/nginx', '1.27')],
    ['team/app:v1', served('team/app', 'v1')],
    ['app:v1', served('app', 'v1')],
    [`app@${digest}`, served('app')],
    [`app:v1@${digest}`, served('app', 'v1')],
    ['docker.io/library/nginx', served('docker.io/library/nginx', 'latest')],
    ['localhost:5000/app:v1', served('localhost-5000/app', 'v1', false)],
    ['[::1]:5000/app:v1', served('1-5000/app', 'v1', false)],
    ['localhost:5000/app', served('localhost-5000/app', 'latest', false)],
    ['1.27', served('folder', '1.27')],
    ['latest', served('folder', 'latest')],
    [undefined, served('folder')],
    ['', served('folder')],
    ['with space', served('folder')],
    ['a/b:not a tag', served('folder')],
    ['../../etc:x', served('folder')],
    ['UPPER/case:x', served('upper/case', 'x', false)],
    ['a/UPPER:x', served('folder')],
  ])('%s is served as it should be', (name, expected) => {
    expect(parseLayoutName(name, 'folder')).toEqual(expected);
  });

  it('of any kind is served in a repository that can be asked for', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-zA-Z0-9.:/@_[\]-]{0,40}$/));
    fc.assert(
      fc.property(text, (name) => {
        const { repository, tag } = parseLayoutName(name, 'folder');
        expect(repository).toMatch(namePattern);
        if (tag !== undefined) expect(tag).toMatch(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a registry in the name of a repository', () => {
  it.each([
    ['docker.io', 'docker.io'],
    ['localhost:5000', 'localhost-5000'],
    ['[::1]:5000', '1-5000'],
    ['[fe80::1]', 'fe80-1'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ])('%s is %s', (registry, component) => {
    expect(registryComponent(registry)).toBe(component);
    expect(component).toMatch(namePattern);
  });
});
