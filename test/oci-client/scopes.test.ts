import { describe, expect, it } from 'vitest';

import { mergeScopes } from '../../src/oci-client/scopes.ts';

describe('mergeScopes', () => {
  it.each([
    [[], []],
    [['repository:a:pull', 'repository:a:pull,push'], ['repository:a:pull,push']],
    [
      ['repository:b:pull', 'repository:a:pull'],
      ['repository:b:pull', 'repository:a:pull'],
    ],
    [['repository:host:5000/a:pull'], ['repository:host:5000/a:pull']],
    [['registry:catalog:*', 'nonsense', 'repository:a:'], ['registry:catalog:*']],
  ])('makes of %j %j', (scopes, merged) => {
    expect(mergeScopes(scopes)).toEqual(merged);
  });
});
