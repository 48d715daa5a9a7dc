import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach } from 'vitest';

import type { RouteSource } from '../../src/oci-client/endpoint.ts';
import { HostsDirectory } from '../../src/oci-client/hosts-directory.ts';
import { RegistriesConf } from '../../src/oci-client/registries-conf.ts';
import type { RegistryClient, RegistryClientOptions } from '../../src/oci-client/registry-client.ts';
import { blob, noise } from '../support/graphs.ts';
import { type Network, startNetwork } from '../support/network.ts';
import { reply, type Script } from '../support/scripted-server.ts';
import { readAll } from '../support/store-contract.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

export const content = blob(noise(300_000, 'mirrored'));
const { digest, size } = content.descriptor;

/** A registry that has the content under `name`, and a tag `1` there. */
export function has(
  name: string,
  { tag = `sha256:${'a'.repeat(64)}`, blobs = reply(200, {}, content.bytes) } = {},
): Script {
  const described = {
    'Content-Type': 'application/vnd.oci.image.manifest.v1+json',
    'Content-Length': '100',
    'Docker-Content-Digest': tag,
  };
  return {
    [`GET /v2/${name}/blobs/${digest}`]: blobs,
    [`HEAD /v2/${name}/blobs/${digest}`]: reply(200, { 'Content-Length': `${size}` }),
    [`HEAD /v2/${name}/manifests/1`]: (_request, response) => void response.writeHead(200, described).end(),
  };
}

/** Whether the content comes, by its digest. */
export async function fetched(
  client: RegistryClient,
  registry = 'origin.example',
  name = 'team/app',
): Promise<boolean> {
  return (await readAll(await client.repository(registry, name).fetch(content.descriptor))).equals(content.bytes);
}

export interface MirrorSetup {
  /** `hosts` holds the folders of hosts.toml files. */
  readonly folder: () => string;
  readonly start: (scripts: Readonly<Record<string, Script>>) => Promise<Network>;
  readonly hostsToml: (host: string, text: string) => Promise<RouteSource>;
  readonly registriesConf: (text: string) => Promise<RouteSource>;
  /** What is to be done after the test. */
  readonly later: (...tasks: (() => Promise<void>)[]) => void;
}

/** A folder for each test, and what it starts: all of that ends after it. */
export function useMirrors(): MirrorSetup {
  let folder = '';
  const ended: (() => Promise<void>)[] = [];
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(async () => {
    for (const end of ended.splice(0).reverse()) await end();
  });
  return {
    folder: () => folder,
    later: (...tasks) => void ended.push(...tasks),
    async start(scripts) {
      const network = await startNetwork(scripts);
      ended.push(() => network.stop());
      return network;
    },
    async hostsToml(host, text) {
      await mkdir(join(folder, 'hosts', host), { recursive: true });
      await writeFile(join(folder, 'hosts', host, 'hosts.toml'), text);
      return HostsDirectory.open(join(folder, 'hosts'));
    },
    async registriesConf(text) {
      const path = join(folder, 'registries.conf');
      await writeFile(path, text);
      return new RegistriesConf(path);
    },
  };
}

/** Opens clients that know `mirrors`. */
export function opener({ open }: Network, ...mirrors: RouteSource[]) {
  return (options: RegistryClientOptions = {}): RegistryClient => open({ mirrors, ...options });
}
