import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseNoProxy } from '../../src/oci-client/no-proxy.ts';

describe('parseNoProxy', () => {
  it.each([
    ['example.com', 'example.com', 443, true],
    ['example.com', 'a.b.example.com', 443, true],
    ['example.com', 'badexample.com', 443, false],
    ['EXAMPLE.com', 'example.com', 443, true],
    ['.example.com', 'example.com', 443, false],
    ['.example.com', 'a.example.com', 443, true],
    ['*.example.com', 'a.example.com', 443, true],
    ['*.example.com', 'example.com', 443, false],
    ['example.com:5000', 'example.com', 5000, true],
    ['example.com:5000', 'example.com', 443, false],
    ['a.example b.example,c.example', 'b.example', 443, true],
    ['*', 'anything.example', 1, true],
    ['192.168.0.0/16', '192.168.77.1', 443, true],
    ['192.168.0.0/16', '192.169.0.1', 443, false],
    ['192.168.0.0/16', 'name.example', 443, false],
    ['192.168.7.1', '192.168.7.1', 443, true],
    ['192.168.7.1:5000', '192.168.7.1', 443, false],
    ['fd00::/8', 'fd12::1', 443, true],
    ['::ffff', '0:0:0:0:0:0:0:ffff', 443, true],
    ['[fd00::1]:5000', 'fd00::1', 5000, true],
    ['[fd00::1]:5000', 'fd00::1', 443, false],
    ['300.0.0.0/8, 10.0.0.0/33, /8, :80', '10.0.0.1', 443, false],
    ['', 'localhost', 5000, true],
    ['', '127.9.9.9', 5000, true],
    ['', '::1', 5000, true],
    ['', 'example.com', 443, false],
  ])('%j makes %s:%i go without a proxy: %s', (text, host, port, expected) => {
    expect(parseNoProxy(text)(host, port)).toBe(expected);
  });

  it('has each address of a range, and no other', () => {
    const address = fc.ipV4();
    fc.assert(
      fc.property(address, fc.integer({ min: 0, max: 32 }), address, (base, bits, host) => {
        const number = (text: string) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
        const size = 2 ** (32 - bits);
        const isIn = Math.floor(number(base) / size) === Math.floor(number(host) / size);
        expect(parseNoProxy(`${base}/${bits}`)(host, 443)).toBe(isIn || host.startsWith('127.'));
      }),
    );
  });

  it('never throws, whatever is written', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '.', '*', ':', '/', '[', ']', '1', ',', ' ', '8'),
      maxLength: 60,
    });
    fc.assert(
      fc.property(text, text, (entries, host) => {
        expect(typeof parseNoProxy(entries)(host, 443)).toBe('boolean');
      }),
    );
  });
});
