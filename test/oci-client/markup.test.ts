import { describe, expect, it } from 'vitest';

import { withoutMarkup } from '../../src/oci-client/markup.ts';

function words(text: string): string {
  return withoutMarkup(text).replace(/\s+/g, ' ').trim();
}

describe('a page without its markup', () => {
  it.each([
    ['<h1>502</h1><p class="x">Bad\ngateway</p>', '502 Bad gateway'],
    ['<HEAD><title>t</title></HEAD>one<style>p { }</style>two<script>if (a < b) c();</script>three', 'one two three'],
    ['<style>a{}</style>one<style>b{}</style>two', 'one two'],
    ['<header>one</header><script src="x">two', 'one two'],
    ['no markup: 1 < 2', 'no markup: 1 < 2'],
  ])('of %j is %j', (page, expected) => {
    expect(words(page)).toBe(expected);
  });

  it.each(['x', '<', '<head ', '<style></head>', '</style><style>'])(
    'comes at once where it repeats %j, however long it is',
    (part) => {
      // An effort that grows with the square of the length would take hours.
      const page = part.repeat(3_000_000 / part.length);
      expect(withoutMarkup(page).length).toBeLessThanOrEqual(page.length);
    },
  );
});
