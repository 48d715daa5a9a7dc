import type { ChildProcess } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { freePort } from '../../test/support/free-port.ts';
import type { Processes } from '../support/processes.ts';

export interface DockerRegistry {
  /** `127.0.0.1:<port>`, plain HTTP. */
  readonly address: string;
  readonly process: ChildProcess;
}

/** Starts Debian's docker-registry over `folder` on a free port. */
export async function startDockerRegistry(processes: Processes, folder: string): Promise<DockerRegistry> {
  const address = `127.0.0.1:${await freePort()}`;
  const config = join(folder, 'config.json');
  await mkdir(folder, { recursive: true });
  // YAML is a superset of JSON.
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: folder }, cache: { blobdescriptor: 'inmemory' } },
      http: { addr: address },
    }),
  );
  const child = await processes.startRegistry('docker-registry', ['serve', config], `http://${address}`);
  return { address, process: child };
}
