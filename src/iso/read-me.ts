export interface ReadMeFacts {
  readonly label: string;
  readonly epoch: number;
  readonly bundles: readonly { readonly name: string; readonly id: string; readonly bytes: number }[];
  readonly hasLoader: boolean;
  readonly hasFirstBoot: boolean;
  readonly hasKey: boolean;
  readonly hasMirrorConfig: boolean;
}

/** For whoever finds the disk: what it is, whether it is whole, and what to do with it. ASCII, short lines. */
export function readMe(facts: ReadMeFacts): string {
  const { label, epoch, bundles, hasLoader, hasFirstBoot, hasKey, hasMirrorConfig } = facts;
  const lines = [
    `${label}: container images for edge hosts that have no network`,
    '',
    `Made by edge-bundle, with the date ${new Date(epoch * 1000).toISOString().slice(0, 10)}. It is not bootable, and holds no secrets:`,
    'neither passwords nor private keys.',
    '',
    'What is on it',
    '',
    '  opt/spectrocloud/content/   content bundles, cut into parts:',
    ...bundles.map(({ name, id, bytes }) => `      ${name} (id ${id}, ${bytes} bytes)`),
    ...(hasLoader ? ['  opt/edge-bundle/            the program that loads them; it needs nothing else (Linux)'] : []),
    ...(hasFirstBoot
      ? ['  first-boot/                 the systemd unit that does it by itself, and its configuration']
      : []),
    ...(hasKey ? ['  keys/                       the public key that the bundles are signed for'] : []),
    ...(hasMirrorConfig
      ? ['  mirror-config/              configuration for container runtimes, so that they use the registry']
      : []),
    '  SHA256SUMS                  checksums of everything here',
    '',
    'Is it whole?',
    '',
    '  cd /where/it/is/mounted && sha256sum -c SHA256SUMS',
    '',
    'Load it into a Harbor',
    '',
    `  mount -o ro /dev/disk/by-label/${label} /mnt`,
    `  ${hasLoader ? '/mnt/opt/edge-bundle/bin/edge-bundle' : 'edge-bundle'} load /mnt/opt/spectrocloud/content${bundles.length === 1 ? '' : '/BUNDLE'} \\`,
    '    --harbor https://HOST:30003 --ca-cert ca.pem --username admin --password-file FILE',
    '',
    'Or without edge-bundle: the parts, joined by cat, are a tar.zst of an OCI image layout.',
    '',
    ...bundles.slice(0, 1).map(({ name }) => `  cat ${name}_part* | tar --zstd -xf -`),
    '',
  ];
  return lines.join('\n');
}
