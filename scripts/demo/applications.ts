import type { ImageFormat } from '../../test/support/images.ts';
import type { LayerCompression } from '../../test/support/layers.ts';
import type { NpmPackage } from '../support/npm-package.ts';

/** An image that is made from Debian packages: the base layers, and one more with what the packages need besides. */
export interface Application {
  readonly name: string;
  readonly packages: readonly string[];
  readonly command: readonly string[];
  /** Default: gzip. */
  readonly compression?: LayerCompression;
  /** Default: oci. */
  readonly format?: ImageFormat;
}

/** The tag of every image but the one that is known only by its digest. */
export const tag = '1.0.0';

/** What every image stands on. */
export const basePackages: readonly string[] = ['base-files', 'busybox-static', 'libc6', 'netbase'];
/** The second layer, of all images. */
export const tlsPackages: readonly string[] = ['openssl'];

export const applications: readonly Application[] = [
  { name: 'edge/web', packages: ['nginx'], command: ['/usr/sbin/nginx', '-g', 'daemon off;'] },
  { name: 'edge/broker', packages: ['mosquitto'], command: ['/usr/sbin/mosquitto'] },
  { name: 'edge/cache', packages: ['redis-server'], command: ['/usr/bin/redis-server', '--save', ''] },
  { name: 'edge/database', packages: ['sqlite3'], command: ['/usr/bin/sqlite3'] },
  { name: 'edge/proxy', packages: ['haproxy'], command: ['/usr/sbin/haproxy', '-W'], format: 'docker' },
  { name: 'edge/dns', packages: ['dnsmasq-base'], command: ['/usr/sbin/dnsmasq', '-k'] },
  { name: 'edge/probe', packages: ['curl'], command: ['/usr/bin/curl'], compression: 'zstd' },
  { name: 'edge/rules', packages: ['jq'], command: ['/usr/bin/jq'], compression: 'none' },
  { name: 'edge/metrics', packages: ['prometheus-node-exporter'], command: ['/usr/bin/prometheus-node-exporter'] },
];

/** A program for two architectures, without a base: npm has it as a static binary for each. */
export const multiArchitecture = {
  name: 'edge/bundler',
  command: ['/usr/bin/esbuild'],
  binary: 'bin/esbuild',
  packages: {
    amd64: {
      name: '@esbuild/linux-x64',
      version: '0.28.2',
      integrity: 'sha512-4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ==',
    },
    arm64: {
      name: '@esbuild/linux-arm64',
      version: '0.28.2',
      integrity: 'sha512-pW4AC0P3it8c7do9MVM4p51FzHzdM/TZrerurgRcHJ2WTa1VQ1CIq18xncfpBJw4ojkiZZrKW2yIBWBP92j6Ug==',
    },
  } satisfies Readonly<Record<string, NpmPackage>>,
} as const;

/**
 * Static files, known only by digest. The profile names the digest, so the image is the same bytes everywhere: pinned
 * files, a layer that no compressor touches, a fixed date.
 */
export const digestOnly = {
  name: 'edge/api-docs',
  digest: 'sha256:fa48ee6030759d3cf3c31aaf84883a8f5a6dfb7e9822a6790a7469b0b1a92f95',
  package: {
    name: 'swagger-ui-dist',
    version: '5.31.0',
    integrity: 'sha512-zSUTIck02fSga6rc0RZP3b7J7wgHXwLea8ZjgLA3Vgnb8QeOl3Wou2/j5QkzSGeoz6HusP/coYuJl33aQxQZpg==',
  },
} as const;
