import { createHmac, randomBytes } from 'node:crypto';

import { compare } from 'bcryptjs';
import pLimit from 'p-limit';

import { EdgeBundleError } from '../errors.ts';
import { ProtocolError } from './protocol-error.ts';

const entryPattern = /^(?<user>[^:\s]{1,255}):(?<hash>\$2[aby]\$(?<cost>\d\d)\$[./A-Za-z0-9]{53})$/;
/** At a cost of 14, one password takes a second or more. */
const maxCost = 14;
/** bcrypt looks at no more bytes than that. */
const maxPasswordBytes = 72;
const maxEntries = 10_000;
const maxWaiting = 64;
const rememberedLogins = 256;

/**
 * Who may use a registry: a file as `htpasswd -B` writes it, one `user:hash` a line, hashed with bcrypt, as the CNCF Distribution
 * registry reads it too.
 */
export class Htpasswd {
  readonly #hashes: ReadonlyMap<string, string>;
  /** Guessing takes one core at most. */
  readonly #oneAtATime = pLimit(1);
  /** A client says its password with every request; a bcrypt for each would be all that the server does. */
  readonly #accepted = new Set<string>();
  readonly #key = randomBytes(32);

  private constructor(hashes: ReadonlyMap<string, string>) {
    this.#hashes = hashes;
  }

  /** @throws EdgeBundleError CONFIG_INVALID where a line is none, or hashed in another way */
  static parse(text: string): Htpasswd {
    const lines = text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
    const hashes = new Map<string, string>();
    for (const [number, line] of lines.entries()) {
      const { user, hash, cost } = entryPattern.exec(line)?.groups ?? {};
      if (user === undefined || hash === undefined || Number(cost) > maxCost || Number(cost) < 4 || hashes.has(user)) {
        throw new EdgeBundleError('CONFIG_INVALID', `entry ${number + 1} of the password file cannot be used`, {
          hint: `Each line is 'user:hash', each user once, hashed with bcrypt at a cost of at most ${maxCost}: htpasswd -B.`,
        });
      }
      hashes.set(user, hash);
    }
    if (hashes.size === 0 || hashes.size > maxEntries) {
      throw new EdgeBundleError('CONFIG_INVALID', `the password file has ${hashes.size} users`, {
        hint: 'Make it with htpasswd -B.',
      });
    }
    return new Htpasswd(hashes);
  }

  /**
   * Whether an `Authorization` header is a login of the file: RFC 7617, "The 'Basic' HTTP Authentication Scheme".
   *
   * @throws ProtocolError 429 where too many wait to be checked
   */
  async accepts(header: string | undefined): Promise<boolean> {
    const login = parseBasic(header);
    if (login === undefined) return false;
    const remembered = createHmac('sha256', this.#key).update(`${login.user}:${login.password}`).digest('base64');
    if (this.#accepted.has(remembered)) return true;
    if (this.#oneAtATime.pendingCount >= maxWaiting) {
      throw new ProtocolError(429, 'TOOMANYREQUESTS', 'too many logins are being checked', {
        headers: { 'retry-after': '1' },
      });
    }
    // A user that is not there takes as long as one that is.
    const hash = this.#hashes.get(login.user) ?? [...this.#hashes.values()][0] ?? '';
    const isRight = await this.#oneAtATime(() => compare(login.password, hash));
    if (!isRight || !this.#hashes.has(login.user)) return false;
    if (this.#accepted.size >= rememberedLogins) this.#accepted.clear();
    this.#accepted.add(remembered);
    return true;
  }
}

function parseBasic(header: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const { base64 = '' } = /^Basic +(?<base64>[A-Za-z0-9+/]+=*) *$/i.exec(header ?? '')?.groups ?? {};
  const { user, password } =
    /^(?<user>[^:]*):(?<password>.*)$/s.exec(Buffer.from(base64, 'base64').toString('utf8'))?.groups ?? {};
  if (user === undefined || password === undefined) return undefined;
  return Buffer.byteLength(password) > maxPasswordBytes ? undefined : { user, password };
}
