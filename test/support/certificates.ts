import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A certificate and its private key, as PEM and as the files that hold it. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
  readonly certificatePath: string;
  readonly keyPath: string;
}

export interface CertificateOptions {
  /** How long it is valid, in days; a negative number makes one that has expired. Default: 2. */
  readonly days?: number;
}

/** A certificate authority of a test's own, made with the openssl CLI, in a temporary folder. */
export class CertificateAuthority {
  readonly certificate: string;
  readonly certificatePath: string;
  readonly #folder: string;
  readonly #keyPath: string;
  #issued = 0;

  private constructor(folder: string, certificate: string) {
    this.#folder = folder;
    this.certificate = certificate;
    this.certificatePath = join(folder, 'ca.crt');
    this.#keyPath = join(folder, 'ca.key');
  }

  static async create(): Promise<CertificateAuthority> {
    const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-ca-'));
    const [key, certificate] = [join(folder, 'ca.key'), join(folder, 'ca.crt')];
    await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key]);
    const subject = ['-subj', '/CN=edge-bundle test CA'];
    await run('openssl', ['req', '-x509', '-new', '-key', key, '-out', certificate, '-days', '3', ...subject]);
    return new CertificateAuthority(folder, await readFile(certificate, 'utf8'));
  }

  /** A server's certificate for host names and IP addresses; a client can use it too. */
  async issue(names: readonly string[], options: CertificateOptions = {}): Promise<Certificate> {
    this.#issued += 1;
    const base = join(this.#folder, `server-${this.#issued}`);
    const [keyPath, certificatePath] = [`${base}.key`, `${base}.crt`];
    await run('openssl', ['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', keyPath]);
    await run('openssl', ['req', '-new', '-key', keyPath, '-out', `${base}.csr`, '-subj', '/CN=edge-bundle test']);
    const alternativeNames = names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',');
    await writeFile(`${base}.ext`, `subjectAltName=${alternativeNames}\nextendedKeyUsage=serverAuth,clientAuth\n`);
    await run('openssl', [
      ...['x509', '-req', '-in', `${base}.csr`, '-out', certificatePath, '-extfile', `${base}.ext`],
      ...['-CA', this.certificatePath, '-CAkey', this.#keyPath, '-CAcreateserial', '-days', `${options.days ?? 2}`],
    ]);
    const [certificate, key] = await Promise.all([readFile(certificatePath, 'utf8'), readFile(keyPath, 'utf8')]);
    return { certificate, key, certificatePath, keyPath };
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
