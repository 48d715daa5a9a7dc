import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isRepositoryName, isTag, parseReference } from '../../src/oci-client/reference.ts';
import { keepAliveTag, targetRepository } from '../../src/loader/target-repository.ts';

const hex = 'ab'.repeat(32);

describe('the repository that an image gets', () => {
  it.each([
    ['nginx:1.27', 'spectro-images/docker.io/library/nginx'],
    ['index.docker.io/grafana/grafana', 'spectro-images/docker.io/grafana/grafana'],
    [
      'gcr.io/spectro-images-public/kube-vip/kube-vip:v0.6.3',
      'spectro-images/gcr.io/spectro-images-public/kube-vip/kube-vip',
    ],
    ['localhost:5000/team/tool:1', 'spectro-images/localhost-5000/team/tool'],
    ['Registry.Example.COM/app:1', 'spectro-images/registry.example.com/app'],
    ['[fd00::1]:5000/app:1', 'spectro-images/ipv6-fd00--1-5000/app'],
    ['[::1]/app:1', 'spectro-images/ipv6---1/app'],
    [`quay.io/org/app@sha256:${hex}`, 'spectro-images/quay.io/org/app'],
  ])('for %s is %s', (reference, repository) => {
    expect(targetRepository('spectro-images', parseReference(reference))).toBe(repository);
  });

  it('has at most 255 characters, project included', () => {
    const reference = parseReference(`quay.io/${'a'.repeat(255 - 'p/quay.io/'.length)}:1`);
    expect(targetRepository('p', reference)).toHaveLength(255);
    expect(() => targetRepository('pp', reference)).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID', hint: expect.stringContaining('255') as string }),
    );
  });

  it('is refused where the project is no name', () => {
    for (const project of ['', 'Spectro', 'a/', '../x', 'a b']) {
      expect(() => targetRepository(project, parseReference('nginx'))).toThrow(/is not the name of a repository/);
    }
  });

  it('is a valid name for every registry', () => {
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/);
    const host = fc.oneof(
      fc.tuple(label, label).map((labels) => labels.join('.')),
      fc.ipV6().map((address) => `[${address}]`),
      fc.ipV4(),
    );
    fc.assert(
      fc.property(host, fc.option(fc.integer({ min: 1, max: 65_535 })), (name, port) => {
        const registry = port === null ? name : `${name}:${port}`;
        expect(isRepositoryName(targetRepository('p', parseReference(`${registry}/app:1`)))).toBe(true);
      }),
    );
  });
});

describe('the tag that keeps an untagged image alive', () => {
  it('names the digest, and is not the referrers tag', () => {
    expect(keepAliveTag(`sha256:${hex}`)).toBe(`by-digest-${hex}`);
  });

  it('fits into a tag for sha512 too', () => {
    expect(isTag(keepAliveTag(`sha512:${'cd'.repeat(64)}`))).toBe(true);
  });
});
