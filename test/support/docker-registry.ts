import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { stringify } from 'yaml';

import { freePort } from './free-port.ts';

export interface DockerRegistryOptions {
  readonly tls?: { readonly certificatePath: string; readonly keyPath: string } | undefined;
  /** The one user who may log in with basic authentication. */
  readonly basicAuth?: { readonly username: string; readonly password: string } | undefined;
  /** A token server that it trusts: see `token-server.ts`. */
  readonly tokenAuth?:
    | {
        readonly realm: string;
        readonly service: string;
        readonly issuer: string;
        readonly rootCertificatePath: string;
      }
    | undefined;
  /** Answers every write with 405, as a mirror does. Default: false. */
  readonly readOnly?: boolean | undefined;
}

/** A real `docker-registry` (distribution 2.8, the engine inside Harbor) on 127.0.0.1, with deletes enabled. */
export interface DockerRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `http://127.0.0.1:PORT` or `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** The folder that holds its content. */
  readonly storage: string;
  /** Its log so far. */
  log(): string;
  /** Ends it and removes its content. */
  stop(): Promise<void>;
}

export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-registry-'));
  const port = await freePort();
  const storage = join(folder, 'storage');
  const configPath = join(folder, 'config.yml');
  await writeFile(configPath, stringify(await configuration(options, { folder, port, storage })));
  const child = spawn('docker-registry', ['serve', configPath], { stdio: ['ignore', 'pipe', 'pipe'] });
  const log: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => log.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => log.push(text));
  const killAtExit = (): boolean => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', killAtExit);
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await listening(child, port);
  } catch (error) {
    await stop();
    throw new Error(`docker-registry did not start: ${log.join('')}`, { cause: error });
  }
  const host = `127.0.0.1:${port}`;
  const url = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
  return { host, url, storage, log: () => log.join(''), stop };
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly storage: string;
}

async function configuration(options: DockerRegistryOptions, place: Place): Promise<unknown> {
  const { tls, readOnly = false } = options;
  return {
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: place.storage },
      delete: { enabled: true },
      maintenance: { readonly: { enabled: readOnly } },
    },
    http: {
      addr: `127.0.0.1:${place.port}`,
      secret: 'only for tests',
      ...(tls === undefined ? {} : { tls: { certificate: tls.certificatePath, key: tls.keyPath } }),
    },
    ...(await authentication(options, place.folder)),
  };
}

async function authentication(options: DockerRegistryOptions, folder: string): Promise<object> {
  const { basicAuth, tokenAuth } = options;
  if (basicAuth !== undefined) {
    const path = join(folder, 'htpasswd');
    await writeFile(path, `${basicAuth.username}:${await bcrypt(basicAuth.password)}\n`);
    return { auth: { htpasswd: { realm: 'edge-bundle test', path } } };
  }
  if (tokenAuth !== undefined) {
    const { realm, service, issuer, rootCertificatePath } = tokenAuth;
    return { auth: { token: { realm, service, issuer, rootcertbundle: rootCertificatePath } } };
  }
  return {};
}

/** By crypt(3), which every Debian's perl has: `htpasswd` is in no package that the tests need otherwise. */
async function bcrypt(password: string): Promise<string> {
  const salt = '$2y$04$edgebundleedgebundleed';
  const { stdout } = await promisify(execFile)('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', password, salt]);
  return stdout;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
    if (await accepts(port)) return;
    await sleep(20);
  }
  throw new Error(`nothing listens on port ${port} after 10 s`);
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
