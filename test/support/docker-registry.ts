import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { stringify } from 'yaml';

const startTimeoutMs = 120_000;

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
  /** Ends it and removes its content. */
  stop(): Promise<void>;
}

export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-registry-'));
  const storage = join(folder, 'storage');
  const configPath = join(folder, 'config.yml');
  await writeFile(configPath, stringify(await configuration(options, { folder, storage })));
  const logPath = join(folder, 'log');
  // Not a pipe: it would hold the registry up whenever this process waits for a program that talks to it.
  const log = await open(logPath, 'w');
  const child = spawn('docker-registry', ['serve', configPath], { stdio: ['ignore', 'ignore', log.fd] });
  const killAtExit = (): boolean => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', killAtExit);
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  let port: string;
  try {
    port = await listening(child, logPath);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    await log.close();
  }
  const host = `127.0.0.1:${port}`;
  const url = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
  return { host, url, storage, stop };
}

interface Place {
  readonly folder: string;
  readonly storage: string;
}

async function configuration(options: DockerRegistryOptions, place: Place): Promise<unknown> {
  const { tls, readOnly = false } = options;
  return {
    version: '0.1',
    // That it listens, and where, it says at this level.
    log: { level: 'info', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: place.storage },
      delete: { enabled: true },
      maintenance: { readonly: { enabled: readOnly } },
    },
    http: {
      // Any port: one that was chosen before could be another's by the time that it is used.
      addr: '127.0.0.1:0',
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

/** @returns its port, as soon as it says so */
async function listening(child: ChildProcess, logPath: string): Promise<string> {
  const failed = once(child, 'error').then(([error]: unknown[]) => Promise.reject(error as Error));
  const deadlineMs = performance.now() + startTimeoutMs;
  for (;;) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null;
    const log = await Promise.race([readFile(logPath, 'utf8'), failed]);
    const [, port] = /msg="listening on 127\.0\.0\.1:(\d+)[",]/.exec(log) ?? [];
    if (hasEnded || performance.now() > deadlineMs) throw new Error(`docker-registry did not start: ${log}`);
    if (port !== undefined) return port;
    await sleep(20);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
