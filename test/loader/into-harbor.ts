import { HarborClient } from '../../src/harbor/harbor-client.ts';
import type { LoadEvent } from '../../src/loader/load-events.ts';
import type { LoadOptions } from '../../src/loader/load-options.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { image } from '../support/graphs.ts';
import { harborAdmin, type HarborFront } from '../support/harbor-front.ts';
import { bundleOf, layer, type MemoryBundle } from './sample-bundle.ts';

export interface HarborPlace {
  readonly project: string;
  readonly packsProject?: string;
  readonly user?: { readonly name: string; readonly password: string };
  /** Gets what closes the clients again. */
  readonly closing: (() => Promise<void>)[];
  readonly onEvent?: (event: LoadEvent) => void;
}

/** What `loadBundle` takes to bring `bundle` into a Harbor front; retries are quick. */
export function intoHarbor(
  front: HarborFront,
  bundle: MemoryBundle,
  { project, packsProject, user = harborAdmin, closing, onEvent }: HarborPlace,
): LoadOptions & { readonly harbor: HarborClient } {
  const credentials = new FixedCredentials(front.host, { username: user.name, password: user.password });
  const options = { credentials, ca: front.ca, retryBaseMs: 40 };
  const client = new RegistryClient(options);
  const harbor = new HarborClient(front.host, options);
  closing.push(
    () => client.close(),
    () => harbor.close(),
  );
  return { bundle, client, harbor, registry: front.host, project, packsProject, onEvent };
}

/** Images that have nothing in common, each with a layer of `bytesEach` random bytes. */
export function apps(count: number, bytesEach = 20_000): Promise<MemoryBundle> {
  const images = Array.from({ length: count }, (_, number) => image([layer(`app ${number}`, bytesEach)]));
  return bundleOf(Object.fromEntries(images.map((app, number) => [`quay.io/a/app-${number}:1`, app])));
}
