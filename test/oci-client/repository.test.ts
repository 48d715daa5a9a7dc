import { afterAll, beforeAll } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { describeStoreContract } from '../support/store-contract.ts';

let registry: DockerRegistry;
let made = 0;

beforeAll(async () => {
  registry = await startDockerRegistry();
});
afterAll(async () => registry.stop());

function openRepository(chunkBytes?: number) {
  made += 1;
  const client = new RegistryClient({ plainHttp: [registry.host], chunkBytes });
  return Promise.resolve({ store: client.repository(registry.host, `contract/${made}`), close: () => client.close() });
}

describeStoreContract('a repository of a real registry', () => openRepository());
describeStoreContract('a repository that is pushed to in parts', () => openRepository(70_000));
