import { readFile } from 'node:fs/promises';

import type { BundleTrust } from '../bundle/read-head.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { type HostKeys, isoTrust } from './bundle-trust.ts';
import { type IsoBundle, openIsoBundle } from './content-entries.ts';
import { folderEntries } from './folder-entries.ts';
import type { IsoEntry } from './iso-entry.ts';
import type { IsoImage } from './iso-image.ts';
import { writeIso, type WriteIsoOptions } from './write-iso.ts';
import type { Xorriso } from './xorriso.ts';

/** What every ISO with bundles is made from. */
export interface MakeIsoOptions extends OperationOptions {
  readonly xorriso: Xorriso;
  readonly out: string;
  /** As for `BundleReader.open`. */
  readonly bundles: readonly string[];
  /** What each of them has to satisfy before anything in it is used. */
  readonly trust?: BundleTrust | undefined;
  /** What each part has, in bytes; bundles in parts stay as they are. Default: 3,000,000,000. */
  readonly partBytes?: number | undefined;
  /** The folder of a loader package. */
  readonly loader?: string | undefined;
  /** The configuration of the first boot. */
  readonly firstBootConfig?: string | undefined;
  /** A file with the public key, in PEM, that hosts check signatures with. Bundles that it does not vouch for are refused. */
  readonly publicKey?: string | undefined;
  /** Write over a file that is there. */
  readonly force?: boolean | undefined;
  /** Called once, with what all bundles have, in bytes. */
  readonly onStart?: ((bytes: number) => void) | undefined;
  /** Called as bytes have been written, up to about that many. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface MadeIso {
  readonly image: IsoImage;
  readonly bundles: readonly {
    readonly name: string;
    readonly id: string;
    readonly bytes: number;
    readonly parts: number;
  }[];
}

/** The image as it is to be written, but for the bundles. */
export type IsoPlan = Pick<WriteIsoOptions, 'entries' | 'base' | 'remove' | 'label' | 'epoch'>;

/**
 * Writes an ISO as `plan` has it for the bundles, which are open meanwhile.
 *
 * @param hosts the keys of the hosts that it goes to
 * @throws EdgeBundleError CONFIG_INVALID where two bundles have one name; what opening a bundle, `plan` and `writeIso` throw
 */
export async function makeIso(
  options: MakeIsoOptions,
  hosts: HostKeys | undefined,
  plan: (bundles: readonly IsoBundle[]) => Promise<IsoPlan>,
): Promise<MadeIso> {
  const { xorriso, out, force, partBytes, signal, onStart, onProgress } = options;
  const trust = isoTrust(options.trust, hosts);
  const bundles: IsoBundle[] = [];
  try {
    for (const path of options.bundles) bundles.push(await openIsoBundle(path, { partBytes, trust, signal }));
    const twice = bundles.find(({ name }, index) => bundles.findIndex((other) => other.name === name) !== index);
    if (twice !== undefined) throw new EdgeBundleError('CONFIG_INVALID', `the bundle '${twice.name}' is given twice`);
    const planned = await plan(bundles);
    const total = bundles.reduce((sum, { bytes }) => sum + bytes, 0);
    onStart?.(total);
    const onWritten = sharesOf(total, onProgress);
    const image = await writeIso({ ...planned, bundles, xorriso, out, force, signal, onWritten });
    return { image, bundles: bundles.map(summaryOf) };
  } finally {
    for (const bundle of bundles) await bundle.close();
  }
}

/** The loader package, where hosts have it too. */
export async function loaderEntries(loader: string | undefined): Promise<IsoEntry[]> {
  if (loader === undefined) return [];
  const entries = await folderEntries(loader, '/opt/edge-bundle');
  if (entries.some(({ path }) => path === '/opt/edge-bundle/bin/edge-bundle')) return entries;
  throw new EdgeBundleError('CONFIG_INVALID', `'${loader}' is no loader package: it has no bin/edge-bundle`, {
    hint: "Give the folder that 'edge-bundle loader package' made.",
  });
}

/** A small file, as it is now. */
export async function copyOf(file: string, path: string): Promise<IsoEntry> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw fileError(error, `cannot read '${file}'`);
  });
  return { kind: 'bytes', path, bytes };
}

function summaryOf({ name, id, bytes, parts }: IsoBundle): MadeIso['bundles'][number] {
  return { name, id, bytes, parts: parts.length };
}

/** Makes of shares of a whole the bytes that came since the last one. */
function sharesOf(total: number, advance: ((bytes: number) => void) | undefined): (share: number) => void {
  let told = 0;
  return (share) => {
    const bytes = Math.floor(Math.min(1, share) * total);
    if (bytes > told) advance?.(bytes - told);
    told = Math.max(told, bytes);
  };
}
