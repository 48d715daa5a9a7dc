/** Something that the package has in it. */
export interface SbomPackage {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression, where it is known. */
  readonly license: string | undefined;
  /** Where it comes from: a purl (package-url/purl-spec). */
  readonly purl: string;
  /** For scanners that look for vulnerabilities by it: CPE 2.3. */
  readonly cpe?: string | undefined;
}

export interface SbomOptions {
  readonly name: string;
  readonly version: string;
  readonly license: string | undefined;
  /** Seconds since 1970. */
  readonly sourceDateEpoch: number;
  /** What makes this document's name unlike any other's: the digest of what it describes, in hex. */
  readonly contentHex: string;
  readonly packages: readonly SbomPackage[];
}

/** What is in a package: SPDX 2.3, JSON. The same content gives the same bytes. */
export function writeSbom(options: SbomOptions): Buffer {
  const { name, version, license, sourceDateEpoch, contentHex, packages } = options;
  const entries = packages.map((content, index) => ({
    SPDXID: `SPDXRef-Package-${index + 1}`,
    ...packageFields(content),
    externalRefs: [
      { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: content.purl },
      ...(content.cpe === undefined
        ? []
        : [{ referenceCategory: 'SECURITY', referenceType: 'cpe23Type', referenceLocator: content.cpe }]),
    ],
  }));
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${contentHex}`,
    creationInfo: {
      created: new Date(sourceDateEpoch * 1000).toISOString().replace('.000Z', 'Z'),
      creators: [`Tool: edge-bundle-${version}`],
    },
    documentDescribes: ['SPDXRef-Package'],
    packages: [{ SPDXID: 'SPDXRef-Package', ...packageFields({ name, version, license }) }, ...entries],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-Package' },
      ...entries.map(({ SPDXID }) => ({
        spdxElementId: 'SPDXRef-Package',
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
  };
  return Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`);
}

function packageFields({ name, version, license }: Pick<SbomPackage, 'name' | 'version' | 'license'>): object {
  return {
    name,
    versionInfo: version,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: license ?? 'NOASSERTION',
    copyrightText: 'NOASSERTION',
  };
}
