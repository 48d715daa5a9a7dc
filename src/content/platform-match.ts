import { EdgeBundleError } from '../errors.ts';
import { formatPlatform, type Platform } from './platform.ts';

const architectures: readonly string[] = [
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'mips',
  'mips64',
  'mips64le',
  'mipsle',
  'ppc64',
  'ppc64le',
  'riscv64',
  's390x',
];

/** How other systems call them (containerd, platforms/database.go, `normalizeArch`). */
const aliases: Readonly<Record<string, Omit<Platform, 'os'>>> = {
  i386: { architecture: '386' },
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  aarch64: { architecture: 'arm64' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
};

/** The variant that an architecture has where none is named. */
const plainVariants: Readonly<Record<string, string>> = { amd64: 'v1', arm: 'v7', arm64: 'v8' };

/**
 * A platform as people name it: `amd64`, `linux/amd64`, `arm/v7`, `linux/arm64/v8`, `x86_64`. The system is always Linux.
 *
 * @returns in normal form
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parsePlatform(text: string): Platform {
  const [first = '', ...rest] = text.toLowerCase().split('/');
  const [name = '', variant, ...more] = first === 'linux' ? rest : [first, ...rest];
  const platform = normalPlatform({ os: 'linux', architecture: name, variant });
  if (more.length === 0 && architectures.includes(platform.architecture) && isVariant(platform)) return platform;
  throw new EdgeBundleError('CONFIG_INVALID', `${JSON.stringify(text.slice(0, 80))} is not a platform`, {
    hint: `Write ARCH, ARCH/VARIANT or linux/ARCH/VARIANT, such as amd64 or arm/v7; ARCH is one of ${architectures.join(', ')}.`,
  });
}

/** The one form that names of the same platform have: `x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`. */
function normalPlatform({ os, architecture, variant }: Platform): Platform {
  const alias = aliases[architecture.toLowerCase()] ?? { architecture: architecture.toLowerCase() };
  const plain = plainVariants[alias.architecture];
  const written = variant === undefined || variant === '' ? alias.variant : variant.toLowerCase();
  const named = written !== undefined && /^\d/.test(written) ? `v${written}` : (written ?? plain);
  const isNamed = named !== undefined && (alias.architecture === 'arm' || named !== plain);
  return { os: os.toLowerCase(), architecture: alias.architecture, ...(isNamed ? { variant: named } : {}) };
}

/**
 * How well a machine of the platform `machine` runs what is made for `made`: 0 is exactly its own, more is older (a machine
 * of `amd64/v3` runs `amd64/v2`, and `amd64` less well); undefined where it does not run it.
 */
export function platformDistance(machine: Platform, made: Platform): number | undefined {
  const [own, other] = [normalPlatform(machine), normalPlatform(made)];
  if (own.os !== other.os || own.architecture !== other.architecture) return undefined;
  if (own.variant === other.variant) return 0;
  const plain = plainVariants[own.architecture];
  if (plain === undefined) return other.variant === undefined ? 1 : undefined;
  const [ownLevel, otherLevel] = [levelOf(own.variant ?? plain), levelOf(other.variant ?? plain)];
  if (ownLevel === undefined || otherLevel === undefined || otherLevel > ownLevel) return undefined;
  return ownLevel - otherLevel;
}

/** Each platform once, as `linux/arm/v7`, sorted. */
export function platformNames(platforms: readonly Platform[]): string[] {
  return [...new Set(platforms.map((platform) => formatPlatform(normalPlatform(platform))))].sort();
}

/** `v3` is 3000, `v8.2` is 8002. */
function levelOf(variant: string): number | undefined {
  const { major, minor = '0' } = /^v(?<major>\d{1,3})(\.(?<minor>\d{1,3}))?$/.exec(variant)?.groups ?? {};
  return major === undefined ? undefined : Number(major) * 1000 + Number(minor);
}

function isVariant({ architecture, variant }: Platform): boolean {
  if (variant === undefined) return true;
  return plainVariants[architecture] === undefined ? /^[a-z0-9._-]+$/.test(variant) : levelOf(variant) !== undefined;
}
