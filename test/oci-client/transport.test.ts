import { describe, expect, it } from 'vitest';

import { parseRegistry } from '../../src/oci-client/reference.ts';
import { Transport } from '../../src/oci-client/transport.ts';

describe('the address of a registry', () => {
  it.each([
    ['docker.io', 'https://registry-1.docker.io/'],
    ['index.docker.io', 'https://registry-1.docker.io/'],
    ['ghcr.io', 'https://ghcr.io/'],
    ['harbor.example:30003', 'https://harbor.example:30003/'],
    ['localhost:5000', 'https://localhost:5000/'],
    ['[::1]:5000', 'https://[::1]:5000/'],
  ])('for %s is %s', (registry, url) => {
    expect(new Transport().endpoint(parseRegistry(registry)).href).toBe(url);
  });

  it('is plain HTTP for the hosts that are named, with their port or with any', () => {
    const transport = new Transport({ plainHttp: ['localhost', 'Host.example:5000', '[::1]'] });
    const protocols = ['localhost', 'localhost:5000', 'host.example:5000', 'host.example', '[::1]:1', 'ghcr.io'].map(
      (registry) => transport.endpoint(registry).protocol,
    );
    expect(protocols).toEqual(['http:', 'http:', 'http:', 'https:', 'http:', 'https:']);
  });

  it('cannot be given as a URL', () => {
    expect(() => new Transport({ plainHttp: ['http://localhost'] })).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
  });
});
