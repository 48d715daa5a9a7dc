import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { contentFolder } from './content-entries.ts';
import { copyOf, type IsoContent, loaderEntries, type MadeIso, summaryOf, withBundles } from './create-iso.ts';
import { installerConfig } from './installer-config.ts';
import type { IsoEntry } from './iso-entry.ts';
import { type IsoImage, readIsoFile, readIsoImage } from './iso-image.ts';
import { writeIso } from './write-iso.ts';
import type { Xorriso } from './xorriso.ts';

export interface EmbedIsoOptions extends OperationOptions, IsoContent {
  readonly xorriso: Xorriso;
  /** The installer ISO. It is only read. */
  readonly iso: string;
  readonly out: string;
  /** A public key in PEM, for `.edge_custom_config.yaml`. */
  readonly publicKey?: string | undefined;
  /** The cluster definition, `spc.tgz`. */
  readonly clusterDefinition?: string | undefined;
  /** Put in the place of what is on the ISO under the same names. */
  readonly replace?: boolean | undefined;
  /** Write over a file that is there. */
  readonly force?: boolean | undefined;
  readonly onWritten?: ((share: number) => void) | undefined;
}

const configPath = '/.edge_custom_config.yaml';
const definitionPath = '/opt/spectrocloud/clusterconfig/spc.tgz';
const maxConfigBytes = 1024 * 1024;

/**
 * A copy of an installer ISO with content added, which boots as that one does: El Torito for BIOS and UEFI, MBR and GPT are made
 * as they were, and compared afterwards. The data is written once.
 *
 * @throws EdgeBundleError FILE_FAILED where something would be overwritten, ISO_INVALID, ISO_FAILED where the boot records cannot
 *   be kept, UNSUPPORTED, NO_SPACE, ABORTED, and what opening a bundle throws
 */
export async function embedIso(options: EmbedIsoOptions): Promise<MadeIso> {
  const { xorriso, iso, out, replace = false, force, onWritten, signal } = options;
  const base = await readIsoImage(iso, xorriso, { signal });
  ensureCanBeKept(base);
  return withBundles(options, async (bundles) => {
    const content = bundles.flatMap(({ entries }) => entries);
    const entries = [...content, ...(await otherEntries(options, base))];
    const inTheWay = [...entries, ...stalePaths(base, bundles)]
      .map(({ path }) => path)
      .filter((path) => base.paths.has(path));
    const others = inTheWay.filter((path) => path !== configPath);
    if (others.length > 0 && !replace) {
      throw new EdgeBundleError(
        'FILE_FAILED',
        `'${iso}' has it already: ${[...new Set(others)].slice(0, 5).join(', ')}`,
        {
          hint: 'Put it in the place of what is there with --replace.',
        },
      );
    }
    const image = await writeIso({
      ...{ xorriso, out, base, force, onWritten, signal, entries },
      remove: [...new Set(inTheWay)],
      epoch: epochOf(base),
    });
    return { image, bundles: bundles.map(summaryOf) };
  });
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

async function otherEntries(options: EmbedIsoOptions, base: IsoImage): Promise<IsoEntry[]> {
  const { loader, firstBootConfig, publicKey, clusterDefinition, replace = false } = options;
  const entries = await loaderEntries(loader);
  if (firstBootConfig !== undefined) entries.push(await copyOf(firstBootConfig, '/etc/edge-bundle/first-boot.yaml'));
  if (clusterDefinition !== undefined) entries.push(await copyOf(clusterDefinition, definitionPath));
  if (publicKey !== undefined) {
    const there = base.files.get(configPath);
    const present = there === undefined ? undefined : (await readIsoFile(base, there, maxConfigBytes)).toString('utf8');
    const bytes = Buffer.from(await installerConfig(publicKey, { present, replace }));
    entries.push({ kind: 'bytes', path: configPath, bytes });
  }
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
