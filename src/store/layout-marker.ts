import { readFile } from 'node:fs/promises';

import * as z from 'zod';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';

const layoutVersion = '1.0.0';
const markerSchema = z.object({ imageLayoutVersion: z.string() });

/**
 * Checks, or makes where it is missing, the file that marks a folder as an image layout (OCI image-spec v1.1,
 * image-layout.md, "oci-layout file").
 *
 * @throws EdgeBundleError CONTENT_INVALID, UNSUPPORTED, FILE_FAILED, NO_SPACE
 */
export async function ensureLayoutMarker(path: string): Promise<void> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, `cannot read '${path}'`);
    await writeFileAtomic(path, JSON.stringify({ imageLayoutVersion: layoutVersion }));
    return;
  }
  const { imageLayoutVersion } = parseMarker(text, path);
  if (imageLayoutVersion === layoutVersion) return;
  throw new EdgeBundleError(
    'UNSUPPORTED',
    `'${path}' says that the image layout has version '${imageLayoutVersion}'; ${layoutVersion} is known`,
  );
}

function parseMarker(text: string, path: string): z.infer<typeof markerSchema> {
  try {
    return markerSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new EdgeBundleError('CONTENT_INVALID', `'${path}' does not tell the version of an image layout`, { cause });
  }
}
