import { type Digest, digestAlgorithm, Digester, isDigest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import type { HttpResponse } from './http-response.ts';

/** The digest that a path below a repository names (`blobs/sha256:…`); undefined where it names none. */
export function digestInPath(path: string): Digest | undefined {
  const name = path.slice(path.indexOf('/') + 1);
  return /^(blobs|manifests)\//.test(path) && isDigest(name) ? name : undefined;
}

/**
 * Refuses an answer that says that it has another size than the content, before it is read.
 *
 * @throws EdgeBundleError SIZE_MISMATCH
 */
export function ensureSize(response: HttpResponse, sizeBytes: number | undefined): void {
  const { status, contentLength, what, url } = response;
  if (status !== 200 || sizeBytes === undefined || contentLength === undefined || contentLength === sizeBytes) return;
  response.body.destroy();
  throw new EdgeBundleError(
    'SIZE_MISMATCH',
    `${what}: expected ${sizeBytes} bytes, ${url.host} says it has ${contentLength}`,
  );
}

/** What a whole content is known by. */
export interface KnownContent {
  readonly digest: Digest;
  readonly sizeBytes: number | undefined;
}

/** Calls `onSpoilt` where a whole content that is being read turns out not to be what was asked for. */
export function watchContent(response: HttpResponse, content: KnownContent, onSpoilt: () => void): void {
  const { digest, sizeBytes = Infinity } = content;
  const digester = new Digester(digestAlgorithm(digest));
  let bytes = 0;
  // Paused, a listener does not make the body flow.
  response.body
    .pause()
    .on('data', (chunk: Buffer) => {
      digester.update(chunk);
      bytes += chunk.byteLength;
      // Whoever reads it stops there.
      if (bytes > sizeBytes) onSpoilt();
    })
    .once('end', () => {
      if (digester.digest() !== digest) onSpoilt();
    });
}
