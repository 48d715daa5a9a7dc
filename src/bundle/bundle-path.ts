import { join } from 'node:path';

import { type BundleDocument, bundleIdentity, type BundleIdentity, encodeBundleDocument } from './bundle-document.ts';

/** Where a bundle is, or will be. */
export interface BundlePath extends BundleIdentity {
  readonly path: string;
}

/** `<out>/content-<id>/core-<name>-<id>.tar.zst` */
export function bundlePath(out: string, document: BundleDocument): BundlePath {
  return bundlePathOf(out, document, encodeBundleDocument(document));
}

/** The same where the document's bytes are at hand. */
export function bundlePathOf(out: string, { name }: BundleDocument, documentBytes: Buffer): BundlePath {
  const identity = bundleIdentity(documentBytes);
  const path = join(out, `content-${identity.id}`, `core-${name}-${identity.id}.tar.zst`);
  return { ...identity, path };
}
