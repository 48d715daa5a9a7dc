import { RegistryClient } from '../oci-client/registry-client.ts';
import { parseReference } from '../oci-client/reference.ts';
import type { Progress } from './progress/progress.ts';
import { retryNotice } from './progress/retry-notice.ts';
import { type MirrorArguments, readClientOptions, type RegistryArguments } from './registry-options.ts';
import type { Terminal } from './terminal.ts';

/** A client of the registries that images come from. */
export async function openImageRegistries(
  images: readonly { readonly reference: string }[],
  args: RegistryArguments & Partial<MirrorArguments>,
  terminal: Terminal,
  progress: Progress,
): Promise<RegistryClient> {
  const registries = images.map(({ reference }) => parseReference(reference).registry);
  const options = await readClientOptions(args, registries, terminal);
  return new RegistryClient({ ...options, onRetry: retryNotice(progress) });
}
