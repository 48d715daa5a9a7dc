import * as z from 'zod';

import type { Descriptor } from '../content/descriptor.ts';
import { mediaTypes } from '../content/media-types.ts';
import type { OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { EdgeBundleError } from '../errors.ts';
import type { BundleDocument } from './bundle-document.ts';

/** An image that a bundle was made without, although the cluster asks for it. */
export interface LeftOutImage {
  readonly reference: string;
  /** The pattern of `--exclude`, where that is known. */
  readonly pattern?: string | undefined;
  /** Where its pods run; empty where that is not known. */
  readonly namespaces: readonly string[];
}

/** The file of a bundle that says what was left out of it (docs/files.md): whoever does not know of it has a file more. */
export const leftOutFile = 'excluded-images.json';

/** Many times what the images of a thousand profiles need. */
const maxLeftOutBytes = 16 * 1024 * 1024;

/** RFC 1123 label: what Kubernetes takes as the name of a namespace. */
const namespaceSchema = z.string().regex(/^(?=.{1,63}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, {
  error: 'expected the name of a namespace',
});

/** What the JSON of `resolve` and of `build` has, too. */
const leftOutSchema = z.object({
  excluded: z.array(
    z.object({
      // It is shown in messages.
      reference: z.string().regex(/^[!-~]{1,1024}$/, { error: 'expected an image reference' }),
      namespaces: z.array(namespaceSchema),
    }),
  ),
});

/** Equal images, in any order, are equal bytes. A namespace that can be none, a macro without a value, is not known. */
export function encodeLeftOut(images: readonly LeftOutImage[]): Buffer {
  const known = (namespaces: readonly string[]): string[] =>
    namespaces.filter((name) => namespaceSchema.safeParse(name).success).sort();
  const excluded = images
    .map(({ reference, pattern, namespaces }) => ({ reference, pattern, namespaces: known(namespaces) }))
    .sort((one, other) => (one.reference < other.reference ? -1 : 1));
  return Buffer.from(`${JSON.stringify({ excluded })}\n`);
}

/**
 * What was left out, as the file of a bundle, or the JSON of `resolve` or `build`, tells it.
 *
 * @param where for messages
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseLeftOut(text: string, where: string): readonly LeftOutImage[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new EdgeBundleError('CONFIG_INVALID', `${where} is not JSON`, { cause });
  }
  const result = leftOutSchema.safeParse(document);
  if (result.success) return result.data.excluded;
  const { path: place = [], message = '' } = result.error.issues[0] ?? {};
  throw new EdgeBundleError('CONFIG_INVALID', `${where}: at '${place.join('.')}': ${message}`, {
    hint: "It is what 'edge-bundle resolve' or 'build' writes with --output json.",
  });
}

/** A bundle that was opened: `BundleReader`. */
export interface LeftOutSource extends Pick<ReadOnlyContentStore, 'fetch'> {
  readonly document: BundleDocument;
}

/**
 * What a bundle says was left out of it; empty where it says nothing of it.
 *
 * @throws EdgeBundleError CONFIG_INVALID where its file is another one of that name; what the bundle throws where it is damaged
 */
export async function readLeftOut(
  bundle: LeftOutSource,
  { signal }: OperationOptions = {},
): Promise<readonly LeftOutImage[]> {
  const file = bundle.document.files?.find(({ name }) => name === leftOutFile);
  if (file === undefined) return [];
  const { digest, size } = file.content;
  const where = `'${leftOutFile}' in the bundle`;
  if (size > maxLeftOutBytes) throw new EdgeBundleError('CONFIG_INVALID', `${where} has ${size} bytes`);
  const descriptor: Descriptor = { mediaType: mediaTypes.octetStream, digest, size };
  return parseLeftOut((await readContent(bundle, descriptor, { signal })).toString('utf8'), where);
}
