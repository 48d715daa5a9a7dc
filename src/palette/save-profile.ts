import { join } from 'node:path';

import { digestHex, digestOf } from '../content/digest.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import type { ProfileDocument } from '../profile/profile-document.ts';

const maxPartLength = 100;

/**
 * Writes a profile as `<name>-<version>.json`, so that a build can be repeated without Palette. A file of that name is
 * replaced.
 *
 * @returns the file's path
 * @throws EdgeBundleError NO_SPACE, FILE_FAILED
 */
export async function saveProfile(document: ProfileDocument, folder: string): Promise<string> {
  const path = join(folder, fileName(document));
  await writeFileAtomic(path, profileText(document));
  return path;
}

/** What is saved: JSON, without the values of sensitive variables. The same profile gives the same text. */
export function profileText(document: ProfileDocument): string {
  const variables = document.spec.variables?.map((variable) =>
    variable.isSensitive === true ? { ...variable, defaultValue: undefined } : variable,
  );
  const saved = { ...document, spec: { ...document.spec, variables } };
  return `${JSON.stringify(saved, undefined, 2)}\n`;
}

function fileName({ metadata, spec }: ProfileDocument): string {
  const parts = [metadata.name, spec.version ?? ''].filter((part) => part !== '');
  const written = parts.join('-');
  const safe = parts.map(safePart).join('-');
  // Two names must not become the same file.
  const suffix = safe === written ? '' : `-${digestHex(digestOf(written)).slice(0, 8)}`;
  return `${safe}${suffix}.json`;
}

function safePart(text: string): string {
  const safe = text
    .replace(/[^A-Za-z0-9._+-]+/g, '-')
    .slice(0, maxPartLength)
    .replace(/^[-.]+|[-.]+$/g, '');
  return safe === '' ? 'profile' : safe;
}
