import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { findImages } from '../../src/discovery/find-images.ts';
import { findImagesInValues } from '../../src/discovery/find-images-in-values.ts';
import { findImagesInTemplate } from '../../src/discovery/find-images-in-template.ts';
import { readManifests } from '../../src/discovery/read-manifests.ts';

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const image = fc
  .record({
    host: fc.constantFrom('', 'quay.io/', 'localhost:5000/', 'registry.example.com/', '[::1]:80/'),
    path: fc.array(word, { minLength: 1, maxLength: 3 }),
    end: fc.constantFrom('', ':1.2', ':latest', `@sha256:${'b'.repeat(64)}`, `:v1@sha256:${'c'.repeat(64)}`),
  })
  .map(({ host, path, end }) => `${host}${path.join('/')}${end}`);

const key = fc.oneof(
  fc.constantFrom(
    'spec',
    'template',
    'items',
    'metadata',
    'data',
    'image',
    'env',
    'name',
    'value',
    'tag',
    'repository',
    'kind',
  ),
  fc.constantFrom(
    'apiVersion',
    'args',
    'default',
    'openAPIV3Schema',
    'properties',
    'version',
    'registry',
    '__proto__',
    'base',
  ),
  fc.string({ maxLength: 6 }),
);
const leaf = fc.oneof(fc.string(), image, fc.integer(), fc.boolean(), fc.constant(null), fc.json({ maxDepth: 2 }));
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
  ),
}));

describe('findImages on arbitrary JSON', () => {
  it('never throws, and an image without a note stands in the object as it is', () => {
    fc.assert(
      fc.property(tree, (object) => {
        const text = JSON.stringify(object);
        const written = [...findImages(object), ...findImagesInValues(object)].filter(({ note }) => note === undefined);
        for (const found of written) expect(text).toContain(JSON.stringify(found.image).slice(1, -1));
        findImagesInValues(object, { appVersion: '1.0' });
      }),
      { numRuns: 500 },
    );
  });

  it('finds the image of every container, wherever its pod stands', () => {
    const container = fc.record({ name: word, image });
    const lists = fc.constantFrom('containers', 'initContainers', 'ephemeralContainers');
    // Only what is searched for other things, or not at all, must not hide a pod.
    const step = fc.oneof(fc.stringMatching(/^[a-zA-Z]{1,10}$/), fc.nat(3));
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 12 }),
        lists,
        fc.array(container, { minLength: 1, maxLength: 4 }),
        (path, list, containers) => {
          fc.pre(!path.some((name) => ['selector', 'labels', 'openAPIV3Schema'].includes(String(name))));
          let object: unknown = { [list]: containers };
          for (const name of path.toReversed()) {
            object =
              typeof name === 'string' ? { [name]: object } : [...Array.from({ length: name }, () => null), object];
          }
          const found = findImages(object).filter(({ class: itsClass }) => itsClass === 'rendered');
          expect(found.map((item) => item.image)).toEqual(containers.map((item) => item.image));
        },
      ),
    );
  });

  it('survives objects that are very deep, very long, or have no end', () => {
    let deep: unknown = { containers: [{ image: 'a' }] };
    for (let level = 0; level < 50_000; level += 1) deep = level % 2 === 0 ? [deep] : { spec: deep };
    expect(findImages(deep)).toEqual([]);
    const endless: Record<string, unknown> = { image: 'nginx:1' };
    endless.a = endless;
    endless.b = [endless, endless];
    expect(findImages(endless).length).toBeGreaterThan(0);
    const long = 'a/b:'.repeat(500_000);
    expect(
      findImages({ data: { text: long, lines: `${long}\n${long}`, brackets: ')'.repeat(1e6), image: long } }),
    ).toEqual([]);
  });
});

describe('readManifests and findImagesInTemplate on arbitrary text', () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .array(
        fc.constantFrom(
          'a: ',
          '- ',
          '---\n',
          '\n',
          '  ',
          '&x ',
          '*x',
          '"',
          "'",
          '|\n',
          '{',
          '}',
          '[',
          ']',
          '# ',
          'b',
          '<<: ',
        ),
        {
          maxLength: 40,
        },
      )
      .map((parts) => parts.join('')),
  );

  it('never throw', () => {
    fc.assert(
      fc.property(text, (yaml) => {
        const { documents, problems } = readManifests(yaml, 'here');
        expect(problems.every(({ code, message }) => code === 'PROFILE_INVALID' && message.startsWith('here: '))).toBe(
          true,
        );
        for (const { value } of documents) findImages(value);
        findImagesInTemplate(yaml);
      }),
      { numRuns: 1000 },
    );
  });
});
