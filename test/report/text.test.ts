import { describe, expect, it } from 'vitest';

import { formatFields } from '../../src/report/fields.ts';
import { formatTable } from '../../src/report/table.ts';
import { formatTree } from '../../src/report/tree.ts';

describe('formatTable', () => {
  it('puts columns three spaces apart, without borders and spaces at the end', () => {
    const table = formatTable(
      ['name', 'size', 'packs'],
      [
        ['nginx', '1.0 kB', ''],
        ['registry.example/app', '12.3 MB', 'web, shop'],
      ],
    );
    expect(table).toBe(
      [
        'NAME                   SIZE      PACKS',
        'nginx                  1.0 kB',
        'registry.example/app   12.3 MB   web, shop',
        '',
      ].join('\n'),
    );
  });

  it('is only headings where there are no rows', () => {
    expect(formatTable(['name', 'size'], [])).toBe('NAME   SIZE\n');
  });
});

describe('formatFields', () => {
  it('puts the values below each other', () => {
    expect(
      formatFields([
        ['id', '1f'],
        ['images', '8'],
      ]),
    ).toBe('id       1f\nimages   8\n');
  });
});

describe('formatTree', () => {
  it('draws the lines from parents to children', () => {
    const tree = formatTree({
      label: 'bundle',
      children: [
        { label: 'a', children: [{ label: 'b' }, { label: 'c', children: [{ label: 'd' }] }] },
        { label: 'e' },
      ],
    });
    expect(tree).toBe(['bundle', '├─ a', '│  ├─ b', '│  └─ c', '│     └─ d', '└─ e', ''].join('\n'));
  });
});
