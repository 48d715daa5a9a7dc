import { X509Certificate } from 'node:crypto';

import type { LintedLayer, LintFinding } from './finding.ts';
import type { Measurement } from './measure-images.ts';
import { formatQuantity, quantityBytes } from './quantity.ts';

/** Room for what a registry keeps besides the blobs, and for the next version of some images. */
const headroom = 1.2;
/** Of persistent storage, for images of no particular size: the prerequisite of Palette's documentation. */
const documentedBytes = 300e9;
const volumes = ['registry', 'jobService', 'database', 'redis', 'trivy'] as const;
const registryName = 'spectro.registry.local';

/** The local registry: that there is one, that it can hold the images, and that its certificate fits. */
export function lintLocalRegistry(
  layers: readonly LintedLayer[],
  measurement: Measurement | undefined,
  isCluster: boolean,
): LintFinding[] {
  const harbors = layers.flatMap((layer) => {
    const config = member(layer.values, 'harbor-config');
    return config === undefined ? [] : [{ layer, config }];
  });
  if (harbors.length === 0) {
    const hasConnection = layers.some(({ values }) => member(values, 'inClusterRegistry') !== undefined);
    if (!isCluster || hasConnection) return [];
    return [
      {
        rule: 'local-registry',
        severity: 'error',
        profile: layers[0]?.profile ?? '',
        message: 'there is no local registry: no pack has harbor-config or inClusterRegistry in its values',
        change: 'Add the Harbor Edge Native Config pack, or Registry Connect with Harbor or Zot.',
      },
    ];
  }
  return harbors.flatMap(({ layer, config }) => [
    ...lintStorage(layer, config, measurement),
    ...lintCertificates(layer, config),
  ]);
}

function lintStorage(layer: LintedLayer, config: unknown, measurement: Measurement | undefined): LintFinding[] {
  const { profile, pack, path } = layer;
  const place = {
    rule: 'registry-storage',
    profile,
    pack,
    path: `${path}.values#harbor-config.storage.registry`,
  } as const;
  const storage = member(member(config, 'storage'), 'registry');
  const sizeBytes = quantityBytes(storage);
  if (sizeBytes === undefined) {
    const message =
      storage === undefined
        ? 'the size of the registry’s volume is not set'
        : `${JSON.stringify(storage)} is no size of a volume`;
    return [{ ...place, severity: 'error', message, change: "Write a Kubernetes quantity, such as '100Gi'." }];
  }
  const neededBytes = (measurement?.bytes ?? 0) * headroom;
  if (measurement !== undefined && sizeBytes < neededBytes) {
    return [
      {
        ...place,
        severity: 'error',
        message: `the registry's volume has ${String(storage)}; the images need ${formatQuantity(measurement.bytes)}, ${formatQuantity(neededBytes)} with headroom`,
        change: `Write at least ${formatQuantity(neededBytes)}.`,
      },
    ];
  }
  const unknown = [...(measurement?.failures.values() ?? [])].filter(({ isUnreachable }) => isUnreachable).length;
  if (measurement !== undefined && unknown === 0) return [];
  const totalBytes = volumes.reduce(
    (sum, name) => sum + (quantityBytes(member(member(config, 'storage'), name)) ?? 0),
    0,
  );
  if (totalBytes >= documentedBytes) return [];
  const which = measurement === undefined ? 'the images were' : `${unknown} images were`;
  return [
    {
      ...place,
      severity: 'warning',
      message: `the registry's volume has ${String(storage)}, all volumes together ${formatQuantity(totalBytes)}; the documentation wants ${formatQuantity(documentedBytes)} where sizes are not known, and ${which} not measured`,
      change: 'Run it where the registries of the images can be reached, or make the volume larger.',
    },
  ];
}

function lintCertificates({ profile, pack, path }: LintedLayer, config: unknown): LintFinding[] {
  const certificates = member(member(config, 'auth'), 'certs');
  if (!Array.isArray(certificates)) return [];
  return certificates.flatMap((entry: unknown, index): LintFinding[] => {
    const text = member(entry, 'crt');
    if (typeof text !== 'string' || text.trim() === '') return [];
    const place = {
      rule: 'registry-certificate',
      severity: 'error',
      profile,
      pack,
      path: `${path}.values#harbor-config.auth.certs[${index}].crt`,
    } as const;
    const certificate = readCertificate(text);
    if (certificate === undefined) {
      return [
        {
          ...place,
          message: 'it is no certificate in PEM',
          change: "Paste the text from '-----BEGIN CERTIFICATE-----' on.",
        },
      ];
    }
    if (certificate.checkHost(registryName) !== undefined) return [];
    const names = certificate.subjectAltName ?? certificate.subject;
    return [
      {
        ...place,
        message: `the certificate names ${names}, and not ${registryName}`,
        change: `Have one made whose subject alternative names hold ${registryName} and the cluster's virtual IP address.`,
      },
    ];
  });
}

function readCertificate(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
