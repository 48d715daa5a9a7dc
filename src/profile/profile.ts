import { open, stat } from 'node:fs/promises';

import { digestOf } from '../content/digest.ts';
import { fileError } from '../files/file-error.ts';
import { readArchiveInput } from './inputs/archive-input.ts';
import { readFolderInput } from './inputs/folder-input.ts';
import { readPackageAddress } from './inputs/package-address.ts';
import { problem } from './problems.ts';
import type { Profile } from './profile-kinds.ts';
import { readTextInput } from './inputs/text-input.ts';

export type { ClusterProfile, ManifestSet, PackageInput, Profile, ReferenceList } from './profile-kinds.ts';

const maxFileBytes = 32 * 1024 * 1024;
const maxArchiveBytes = 256 * 1024 * 1024;

/**
 * Reads an input, whatever it is; its content decides, not its name:
 * a cluster profile (Palette's export as JSON or YAML, or the raw `kind: ClusterProfile`), Kubernetes manifests, a folder
 * of them, a list of references, or a Helm chart or a pack as a folder, an archive or an address. Of charts and packs it
 * tells only what they are; nothing is fetched.
 *
 * @throws EdgeBundleError PROFILE_INVALID with path and reason, all problems together; FILE_FAILED
 */
export async function readProfile(input: string): Promise<Profile> {
  const address = readPackageAddress(input);
  if (address !== undefined) return address;
  const stats = await stat(input).catch((error: unknown) => {
    throw fileError(error, `cannot read the profile '${input}'`);
  });
  if (stats.isDirectory()) return readFolderInput(input);
  const bytes = await readBounded(input);
  const source = { file: input, digest: digestOf(bytes) };
  if (isGzip(bytes)) return readArchiveInput(bytes, source);
  if (bytes.byteLength > maxFileBytes) throw tooLarge(input, `${bytes.byteLength}`, maxFileBytes);
  return readTextInput(decode(bytes, input), source);
}

/** RFC 1952, section 2.3.1: ID1 and ID2. */
function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw problem(`'${file}'`, 'is not text in UTF-8', { cause });
  }
}

/** A pipe or a device does not say how much there is. */
async function readBounded(file: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    const handle = await open(file);
    for await (const chunk of handle.createReadStream() as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes > maxArchiveBytes) throw tooLarge(file, `more than ${maxArchiveBytes}`, maxArchiveBytes);
    }
  } catch (error) {
    throw fileError(error, `cannot read the profile '${file}'`);
  }
  return Buffer.concat(chunks);
}

function tooLarge(file: string, size: string, limit: number): Error {
  return problem(`'${file}'`, `has ${size} bytes; a profile has at most ${limit}`);
}
