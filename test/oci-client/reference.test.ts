import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import {
  formatReference,
  isRepositoryName,
  isTag,
  parseReference,
  parseRegistry,
} from '../../src/oci-client/reference.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}` as const;
const longDigest = `sha512:${'0123456789abcdef'.repeat(8)}` as const;

describe('parseReference', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1.27', 'docker.io/library/nginx:1.27'],
    ['docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/nginx', 'docker.io/library/nginx:latest'],
    ['registry-1.docker.io/bitnami/nginx:1', 'docker.io/bitnami/nginx:1'],
    ['Docker.IO/library/nginx', 'docker.io/library/nginx:latest'],
    ['bitnami/nginx', 'docker.io/bitnami/nginx:latest'],
    ['a/b/c', 'docker.io/a/b/c:latest'],
    ['localhost/app', 'localhost/app:latest'],
    ['localhost:5000', 'docker.io/library/localhost:5000'],
    ['localhost:5000/app:2', 'localhost:5000/app:2'],
    ['host/app', 'docker.io/host/app:latest'],
    ['host.tld/app', 'host.tld/app:latest'],
    ['host:5000/app', 'host:5000/app:latest'],
    ['HOST.tld:05000/app', 'host.tld:5000/app:latest'],
    ['10.10.137.220:30003/spectro-images/gcr.io/x:v1', '10.10.137.220:30003/spectro-images/gcr.io/x:v1'],
    ['[::1]/app', '[::1]/app:latest'],
    ['[2001:DB8::1]:5000/app:x', '[2001:db8::1]:5000/app:x'],
    ['gcr.io/a/b__c/d--e.f_g:T_a.g-1', 'gcr.io/a/b__c/d--e.f_g:T_a.g-1'],
    [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
    [`nginx:1.27@${digest}`, `docker.io/library/nginx:1.27@${digest}`],
    [`host:1/app@${longDigest}`, `host:1/app@${longDigest}`],
  ])('reads %s as %s', (text, normalForm) => {
    expect(formatReference(parseReference(text))).toBe(normalForm);
  });

  it('tells registry, repository, tag and digest apart', () => {
    expect(parseReference(`localhost:5000/team/app:1.2@${digest}`)).toEqual({
      registry: 'localhost:5000',
      repository: 'team/app',
      tag: '1.2',
      digest,
    });
  });

  it('gives the tag latest only where there is neither a tag nor a digest', () => {
    expect(parseReference('app').tag).toBe('latest');
    expect(parseReference(`app@${digest}`).tag).toBeUndefined();
  });

  it.each([
    '',
    ' nginx',
    'nginx ',
    'nginx\n',
    ':tag',
    'app:',
    'app:-tag',
    `app:${'t'.repeat(129)}`,
    'app@sha256:abc',
    `app@${digest.toUpperCase()}`,
    `app@md5:${'0'.repeat(32)}`,
    `app@${digest}@${digest}`,
    'app@',
    'a//b',
    '/app',
    'app/',
    'host.tld/',
    'a..b',
    'a___b',
    '-a',
    'a-',
    '../etc/passwd',
    'host.tld/../../x',
    'host..tld/app',
    '-host.tld/app',
    'host.tld:0/app',
    'host.tld:65536/app',
    'host:port/app',
    '[::1/app',
    '[::g]/app',
    '[fe80::1%eth0]/app',
    'user:password@host.tld/app',
    'ünïcode',
    'a'.repeat(256),
    `docker.io/${'a'.repeat(250)}`,
    `host.tld/${'a/'.repeat(127)}aa`,
  ])('refuses %j', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });

  it('allows a repository of 255 characters, and counts what Docker Hub adds', () => {
    expect(parseReference(`host.tld/${'a'.repeat(255)}`).repository).toHaveLength(255);
    expect(parseReference('a'.repeat(247)).repository).toHaveLength(255);
    expect(() => parseReference('a'.repeat(248))).toThrow('255');
  });

  it.each(['docker://nginx', 'oci://host.tld/chart', 'https://host.tld/app'])('hints at the scheme of %s', (text) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('://') as string }),
    );
  });

  it('hints at the lower-case name where a repository has upper-case letters', () => {
    expect(() => parseReference('ghcr.io/Team/App:1')).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID', hint: expect.stringContaining("'team/app'") as string }),
    );
  });

  it('quotes no control characters, and not much, of what it refuses', () => {
    const error = catchError(() => parseReference(`\u001b[31m${'x'.repeat(100_000)}`));
    expect(error.message).not.toContain('\u001b');
    expect(error.message.length).toBeLessThan(1000);
  });
});

describe('references of all kinds', () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  const component = fc
    .array(word, { minLength: 1, maxLength: 3 })
    .chain((words) =>
      fc
        .array(fc.constantFrom('.', '_', '__', '-', '---'), { minLength: words.length, maxLength: words.length })
        .map((separators) => words.map((text, at) => (at === 0 ? text : `${separators[at]}${text}`)).join('')),
    );
  const repository = fc.array(component, { minLength: 2, maxLength: 4 }).map((parts) => parts.join('/'));
  const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
  const host = fc.oneof(fc.constantFrom('docker.io', 'localhost', '[::1]', '10.0.0.1'), fc.domain());
  const registry = fc.tuple(host, port).map(([name, number]) => (number === undefined ? name : `${name}:${number}`));
  const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/), { nil: undefined });
  const anyDigest = fc.option(
    fc.oneof(
      fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}` as const),
      fc.stringMatching(/^[0-9a-f]{128}$/).map((hex) => `sha512:${hex}` as const),
    ),
    { nil: undefined },
  );

  it('are the same after they have been written and read', () => {
    fc.assert(
      fc.property(fc.record({ registry, repository, tag, digest: anyDigest }), (reference) => {
        fc.pre(reference.tag !== undefined || reference.digest !== undefined);
        expect(parseReference(formatReference(reference))).toEqual(reference);
      }),
    );
  });

  it('have one normal form', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          component,
          repository.map((path) => `word/${path}`),
          fc.tuple(registry, component).map((parts) => parts.join('/')),
        ),
        (text) => {
          const once = formatReference(parseReference(text));
          expect(formatReference(parseReference(once))).toBe(once);
        },
      ),
    );
  });

  it('fail with REFERENCE_INVALID, or not at all', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom('a', 'A', '/', ':', '@', '.', '-', '_', '[', ']', '0', ' ', '\n', '\u0000') }),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        try {
          const { repository: name, tag: label } = parseReference(text);
          expect(isRepositoryName(name)).toBe(true);
          expect(label === undefined || isTag(label)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(EdgeBundleError);
          expect(error).toMatchObject({ code: 'REFERENCE_INVALID' });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('parseRegistry', () => {
  it.each([
    ['harbor.example:30003', 'harbor.example:30003'],
    ['Harbor.Example', 'harbor.example'],
    ['index.docker.io', 'docker.io'],
    ['[::1]:5000', '[::1]:5000'],
  ])('reads %s as %s', (text, registry) => {
    expect(parseRegistry(text)).toBe(registry);
  });

  it.each(['', 'https://harbor.example', 'harbor.example/project', 'user@harbor.example', 'a b'])(
    'refuses %j',
    (text) => {
      expect(() => parseRegistry(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
    },
  );
});

function catchError(task: () => unknown): EdgeBundleError {
  try {
    task();
  } catch (error) {
    if (error instanceof EdgeBundleError) return error;
  }
  throw new Error('no EdgeBundleError was thrown');
}
