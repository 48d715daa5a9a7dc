import { afterEach } from 'vitest';

import { RegistryClient, type RegistryClientOptions } from '../../src/oci-client/registry-client.ts';
import type { Repository } from '../../src/oci-client/repository.ts';
import { type Script, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';

export interface ServedRepository {
  readonly server: ScriptedServer;
  readonly client: RegistryClient;
  /** `team/app` on the scripted server. */
  readonly repository: Repository;
}

/**
 * A function that starts a scripted server and opens its repository `team/app` in plain HTTP; what fails there fails at
 * once. All that it starts ends after each test.
 */
export function useServedRepository(): (script: Script, options?: RegistryClientOptions) => Promise<ServedRepository> {
  const ended: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ended.splice(0).reverse()) await end();
  });
  return async (script, options = {}) => {
    const server = await startScriptedServer(script);
    const client = new RegistryClient({ plainHttp: 'all', retries: 0, ...options });
    ended.push(
      () => server.stop(),
      () => client.close(),
    );
    return { server, client, repository: client.repository(server.host, 'team/app') };
  };
}
