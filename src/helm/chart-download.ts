import { digestHex, digestOf } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { basicAuthorization, type CredentialSource } from '../oci-client/credentials.ts';
import { parseRegistry } from '../oci-client/reference.ts';
import { responseError } from '../oci-client/registry-error.ts';
import type { Transport } from '../oci-client/transport.ts';

export interface ChartDownloadOptions extends OperationOptions {
  /** For chart repositories: its `plainHttp` says which of them need no TLS. */
  readonly transport: Transport;
  /** Who logs in at chart repositories, by their hosts. Default: nobody. */
  readonly credentials?: CredentialSource | undefined;
}

/** The largest public index has some 20 MB. */
const maxIndexBytes = 64 * 1024 * 1024;
export const maxArchiveBytes = 100 * 1024 * 1024;

/** Gets files of chart repositories: with a login for their host, and bounded. */
export class ChartDownload {
  readonly #options: ChartDownloadOptions;

  constructor(options: ChartDownloadOptions) {
    this.#options = options;
  }

  async index(url: URL): Promise<string> {
    return (await this.#get(url, maxIndexBytes)).toString('utf8');
  }

  /**
   * @param sha256 what the repository's index says of it, in hex
   * @throws EdgeBundleError DIGEST_MISMATCH
   */
  async archive(url: URL, sha256?: string): Promise<Buffer> {
    const bytes = await this.#get(url, maxArchiveBytes);
    const actual = digestHex(digestOf(bytes));
    if (sha256 === undefined || actual === sha256) return bytes;
    throw new EdgeBundleError(
      'DIGEST_MISMATCH',
      `${url.href}: the index says SHA-256 ${sha256}, what came has ${actual}`,
    );
  }

  async #get(url: URL, maxBytes: number): Promise<Buffer> {
    const { transport, signal } = this.#options;
    const what = `cannot get ${url.href}`;
    const authorization = await this.#authorization(url);
    const response = await transport.send({ what, method: 'GET', url, authorization, signal });
    if (response.status !== 200) {
      throw await responseError(response, response.status === 401 ? { hint: loginHint } : {});
    }
    const bytes = await response.read(maxBytes + 1);
    if (bytes.byteLength <= maxBytes) return bytes;
    throw new EdgeBundleError('CONTENT_TOO_LARGE', `${what}: it has more than ${maxBytes} bytes`);
  }

  async #authorization(url: URL): Promise<string | undefined> {
    const credentials = await this.#options.credentials?.find(parseRegistry(url.host));
    return credentials !== undefined && 'password' in credentials ? basicAuthorization(credentials) : undefined;
  }
}

const loginHint = "Put a login for this host into the 'helm' list of the credentials file.";
