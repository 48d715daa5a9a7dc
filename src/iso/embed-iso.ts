import { EdgeBundleError } from '../errors.ts';
import { contentFolder } from './content-entries.ts';
import { readContentKey } from './content-key.ts';
import { installerConfig, installerConfigPath, installerKeys } from './installer-config.ts';
import type { IsoEntry } from './iso-entry.ts';
import { type IsoImage, readIsoFile, readIsoImage } from './iso-image.ts';
import { copyOf, loaderEntries, type MadeIso, makeIso, type MakeIsoOptions } from './make-iso.ts';

export interface EmbedIsoOptions extends MakeIsoOptions {
  /** The installer ISO. It is only read. */
  readonly iso: string;
  /** The cluster definition, `spc.tgz`. */
  readonly clusterDefinition?: string | undefined;
  /** Put in the place of what is on the ISO under the same names. */
  readonly replace?: boolean | undefined;
}

const definitionPath = '/opt/spectrocloud/clusterconfig/spc.tgz';
const maxConfigBytes = 1024 * 1024;

/**
 * A copy of an installer ISO with content added, which boots as that one does: El Torito for BIOS and UEFI, MBR and GPT are made
 * as they were, and compared afterwards. The data is written once. Bundles have to be signed for the key that hosts find on it: the one
 * that is put there, or the one that is there.
 *
 * @throws EdgeBundleError KEY_INVALID, SIGNATURE_MISSING, SIGNATURE_INVALID for such keys; FILE_FAILED where something would be overwritten, ISO_INVALID, ISO_FAILED where the boot records cannot
 *   be kept, UNSUPPORTED, NO_SPACE, ABORTED, and what opening a bundle throws
 */
export async function embedIso(options: EmbedIsoOptions): Promise<MadeIso> {
  const { xorriso, iso, publicKey, replace = false, signal } = options;
  const base = await readIsoImage(iso, xorriso, { signal });
  ensureCanBeKept(base);
  const key = publicKey === undefined ? undefined : await readContentKey(publicKey);
  const present = await presentConfig(base);
  const config = key === undefined ? present : installerConfig(key, { present, replace });
  const hosts = { keys: installerKeys(config ?? ''), from: key?.file ?? `${installerConfigPath} of ${iso}` };
  return makeIso(options, hosts, async (bundles) => {
    const entries = await otherEntries(options);
    if (key !== undefined) entries.push({ kind: 'bytes', path: installerConfigPath, bytes: Buffer.from(config ?? '') });
    const inTheWay = [...entries, ...bundles.flatMap((bundle) => bundle.entries), ...stalePaths(base, bundles)]
      .map(({ path }) => path)
      .filter((path) => base.paths.has(path));
    const others = inTheWay.filter((path) => path !== installerConfigPath);
    if (others.length > 0 && !replace) {
      throw new EdgeBundleError(
        'FILE_FAILED',
        `'${iso}' has it already: ${[...new Set(others)].slice(0, 5).join(', ')}`,
        {
          hint: 'Put it in the place of what is there with --replace.',
        },
      );
    }
    return { base, entries, remove: [...new Set(inTheWay)], epoch: epochOf(base) };
  });
}

async function presentConfig(base: IsoImage): Promise<string | undefined> {
  const file = base.files.get(installerConfigPath);
  return file === undefined ? undefined : (await readIsoFile(base, file, maxConfigBytes)).toString('utf8');
}

/** xorriso 1.5 makes an image that has HFS+ too only where that is new. */
function ensureCanBeKept({ path, bootRecords }: IsoImage): void {
  if (!bootRecords.includes('-hfsplus on')) return;
  throw new EdgeBundleError('UNSUPPORTED', `'${path}' has a hybrid HFS+ file system, which cannot be kept`, {
    hint: "Make the installer without it ('grub-mkrescue … -- -hfsplus off'), or put the content on an ISO of its own: iso create.",
  });
}

/** Parts of the same bundle, of an earlier run with another size of them. */
function stalePaths({ paths }: IsoImage, bundles: readonly { readonly name: string }[]): { readonly path: string }[] {
  return [...paths]
    .filter((path) => bundles.some(({ name }) => path.startsWith(`${contentFolder}/${name}`)))
    .map((path) => ({ path }));
}

async function otherEntries({ loader, firstBootConfig, clusterDefinition }: EmbedIsoOptions): Promise<IsoEntry[]> {
  const entries = await loaderEntries(loader);
  if (firstBootConfig !== undefined) entries.push(await copyOf(firstBootConfig, '/etc/edge-bundle/first-boot.yaml'));
  if (clusterDefinition !== undefined) entries.push(await copyOf(clusterDefinition, definitionPath));
  return entries;
}

/** The installer's own date: what is added gets it too, so that the same inputs give the same bytes. */
function epochOf({ bootRecords }: IsoImage): number {
  const line = bootRecords.find((each) => each.startsWith('-volume_date uuid ')) ?? '';
  const {
    year = '1970',
    month = '01',
    day = '01',
    time = '000000',
  } = /'(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)(?<time>\d{6})\d\d'/.exec(line)?.groups ?? {};
  const clock = time.replace(/(..)(..)(..)/, '$1:$2:$3');
  return Math.floor(Date.parse(`${year}-${month}-${day}T${clock}Z`) / 1000);
}
