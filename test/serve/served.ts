import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import type { ServedBundle } from '../../src/serve/bundle-content.ts';
import { LayoutContent } from '../../src/serve/layout-content.ts';
import type { RegistryContent } from '../../src/serve/registry-content.ts';
import {
  type RegistryServer,
  type RegistryServerOptions,
  type RequestEvent,
  startRegistryServer,
} from '../../src/serve/registry-server.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { type Content, pushAll } from '../support/graphs.ts';

/** A server under test, with what it reported. */
export interface Served extends RegistryServer {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly errors: readonly unknown[];
  readonly requests: readonly RequestEvent[];
}

export async function serve(
  content: RegistryContent,
  options: Omit<RegistryServerOptions, 'content' | 'onError' | 'onRequest'> = {},
): Promise<Served> {
  const errors: unknown[] = [];
  const requests: RequestEvent[] = [];
  const server = await startRegistryServer({
    ...options,
    content,
    onError: (error) => errors.push(error),
    onRequest: (event) => requests.push(event),
  });
  return { ...server, host: `127.0.0.1:${server.address.port}`, errors, requests };
}

/** A server that takes pushes into a folder. */
export async function serveFolder(
  folder: string,
  options: Omit<RegistryServerOptions, 'content' | 'onError' | 'onRequest'> = {},
): Promise<Served> {
  return serve(await LayoutContent.open(folder, { writable: true }), options);
}

/** The document of a bundle that carries `images`, by their references. */
export function documentOf(images: Readonly<Record<string, Content>>): BundleDocument {
  return {
    formatVersion: 1,
    name: 'sample',
    platforms: [],
    sourceDateEpoch: 0,
    profiles: [],
    images: Object.entries(images).map(([reference, { descriptor }]) => ({
      reference,
      digest: descriptor.digest,
      mediaType: descriptor.mediaType,
      size: descriptor.size,
      sources: [],
    })),
    charts: [],
    blobs: [],
  };
}

/** A store in memory that looks like an open bundle. */
export async function bundleOf(images: Readonly<Record<string, Content>>): Promise<ServedBundle> {
  const store = new MemoryStore();
  await pushAll(store, ...Object.values(images));
  return Object.assign(store, { document: documentOf(images) });
}

/** The codes in the body of an error: OCI distribution-spec v1.1, "Error Codes". */
export async function errorCodes(response: Response): Promise<readonly string[]> {
  const body = (await response.json()) as { readonly errors: readonly { readonly code: string }[] };
  return body.errors.map(({ code }) => code);
}
