import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import { findEntry, parseRegistriesConf } from '../../src/oci-client/registries-conf.ts';
import { expectError } from '../support/expect-error.ts';

function parse(text: string) {
  return parseRegistriesConf(text, 'registries.conf');
}

describe('parseRegistriesConf', () => {
  it('reads what Podman’s manual shows', () => {
    const entries = parse(`
unqualified-search-registries = ["docker.io"]
short-name-mode = "enforcing"

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"
[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true
pull-from-mirror = "digest-only"

[[registry]]
location = "registry.com"
blocked = true
[[registry.mirror]]
location = "mirror.registry.com"

[aliases]
"fedora" = "registry.fedoraproject.org/fedora"
`);
    expect(entries).toEqual([
      {
        prefix: 'example.com/foo',
        location: 'internal-registry-for-example.com/bar',
        isInsecure: false,
        isBlocked: false,
        mirrors: [
          {
            location: 'example-mirror-0.local/mirror-for-foo',
            isInsecure: false,
            capabilities: new Set(['pull', 'resolve']),
          },
          { location: 'example-mirror-1.local/mirrors/foo', isInsecure: true, capabilities: new Set(['pull']) },
        ],
      },
      {
        prefix: 'registry.com',
        location: 'registry.com',
        isInsecure: false,
        isBlocked: true,
        mirrors: [{ location: 'mirror.registry.com', isInsecure: false, capabilities: new Set(['pull', 'resolve']) }],
      },
    ]);
  });

  it('knows Docker Hub by all its names', () => {
    const [entry] = parse('[[registry]]\nprefix = "index.docker.io/library"\nlocation = "Mirror.Example:05000/hub/"');
    expect(entry).toMatchObject({ prefix: 'docker.io/library', location: 'mirror.example:5000/hub' });
  });

  it.each([
    ['[[registry]]', 'neither a prefix nor a location'],
    ['[[registry]]\nprefix = "*.example.com/team"\nlocation = "a.example"', 'is not a host'],
    ['[[registry]]\nprefix = "example.*"', 'does not begin with a host'],
    ['[[registry]]\nlocation = "a.example/UPPER"', 'is not a place of images'],
    [
      '[[registry]]\nlocation = "a.example"\n[[registry]]\nlocation = "a.example/"',
      "the prefix 'a.example' has two tables",
    ],
    ['[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\ninsecure = true', 'registry.0.mirror.0.location'],
    [
      '[[registry]]\nlocation = "a.example"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "b.example"\npull-from-mirror = "all"',
      'cannot have pull-from-mirror',
    ],
    [
      '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "b.example"\npull-from-mirror = "tags"',
      'pull-from-mirror',
    ],
    ['[registries.search]\nregistries = ["docker.io"]', 'before version 2'],
    ['[[registry]', 'not TOML in line 1'],
  ])('says what is wrong with %j', async (text, part) => {
    const error = await expectError('CONFIG_INVALID', part, () => parse(text));
    expect(error.message).toContain("'registries.conf'");
  });

  it('fails in no other way, whatever comes', () => {
    const word = fc.constantFrom(
      '[[registry]]',
      '\n',
      'prefix',
      'location',
      '=',
      '"a.example"',
      '"*.b/c"',
      'insecure',
      'true',
      '[',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), (words) => {
        try {
          parse(words.join(' '));
        } catch (error) {
          expect(error).toBeInstanceOf(EdgeBundleError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('findEntry', () => {
  const entries = parse(
    [
      '*.example.com',
      '*.eu.example.com:5000',
      'a.example.com',
      'a.example.com/team',
      'a.example.com/team/app',
      'quay.io',
    ]
      .map((prefix) => `[[registry]]\nprefix = "${prefix}"\nlocation = "to.example"\n`)
      .join(''),
  );
  it.each([
    ['a.example.com/team/app', 'a.example.com/team/app'],
    ['a.example.com/team/app/part', 'a.example.com/team/app'],
    ['a.example.com/team/application', 'a.example.com/team'],
    ['a.example.com/teams/x', 'a.example.com'],
    ['b.example.com/team/app', '*.example.com'],
    ['b.example.com:5000/team/app', '*.example.com'],
    ['b.eu.example.com:5000/x', '*.eu.example.com:5000'],
    ['b.eu.example.com/x', '*.example.com'],
    ['example.com/x', undefined],
    ['badexample.com/x', undefined],
    ['quay.io:5000/x', undefined],
    ['quay.io/x', 'quay.io'],
  ])('takes for %s the table of %s', (name, prefix) => {
    expect(findEntry(entries, name)?.prefix).toBe(prefix);
  });

  it('takes the longest one that ends where a part of the name does, in any order of the file', () => {
    const part = fc.constantFrom('a', 'ab', 'b');
    const prefixes = fc.uniqueArray(fc.array(part, { maxLength: 3 }), {
      selector: (parts) => parts.join('/'),
      maxLength: 6,
    });
    const name = fc.array(part, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(prefixes, name, (all, parts) => {
        const fitting = all.filter((prefix) => prefix.every((text, at) => text === parts[at]));
        const longest = fitting.sort((one, other) => other.length - one.length)[0];
        const text = all.map((prefix) => `[[registry]]\nlocation = "${['r.example', ...prefix].join('/')}"\n`).join('');
        expect(findEntry(parse(text), ['r.example', ...parts].join('/'))?.prefix).toBe(
          longest === undefined ? undefined : ['r.example', ...longest].join('/'),
        );
      }),
    );
  });
});
