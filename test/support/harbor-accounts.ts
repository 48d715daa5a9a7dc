import { createSign, createVerify, generateKeyPairSync, randomUUID } from 'node:crypto';

export type Action = 'pull' | 'push' | 'delete';

export interface HarborUser {
  readonly name: string;
  readonly password: string;
  /** May do everything. */
  readonly admin?: boolean | undefined;
  readonly mayCreateProjects?: boolean | undefined;
  /** Project name to what the user may do there. */
  readonly rights?: Readonly<Record<string, readonly Action[]>> | undefined;
  /** Another program that checks the content, skopeo: it logs in for each image, and its tokens are not counted. */
  readonly isPeer?: boolean | undefined;
}

/** An entry of a token's `access` claim; `name` is a repository. */
export interface TokenAccess {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly Action[];
}

export interface HarborToken {
  readonly id: string;
  /** Empty: anonymous. */
  readonly subject: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Permission is per project: what is allowed in one repository of it is allowed in all. */
  readonly projects: ReadonlyMap<string, readonly Action[]>;
}

const freezeMs = 1_500;

/** Passwords as Harbor treats them: a failed login freezes the name for 1.5 s, for the right password too. */
export class HarborUsers {
  readonly #users: ReadonlyMap<string, HarborUser>;
  readonly #frozenUntil = new Map<string, number>();

  constructor(users: readonly HarborUser[]) {
    this.#users = new Map(users.map((user) => [user.name, user]));
  }

  find(name: string): HarborUser | undefined {
    return this.#users.get(name);
  }

  login(name: string, password: string): HarborUser | undefined {
    const now = Date.now();
    const user = this.#users.get(name);
    if (now < (this.#frozenUntil.get(name) ?? 0)) return undefined;
    if (user?.password === password) return user;
    this.#frozenUntil.set(name, now + freezeMs);
    return undefined;
  }
}

/** Issues and checks JSON Web Tokens signed with RS256, as Harbor's core does. */
export class HarborTokens {
  readonly #keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #issued = new Map<string, HarborToken>();

  issue(subject: string, access: readonly TokenAccess[], lifetimeMs: number): string {
    const now = Date.now();
    const projects = new Map<string, readonly Action[]>();
    for (const { type, name, actions } of access) {
      if (type === 'repository') projects.set(projectOf(name), actions);
    }
    const id = randomUUID();
    this.#issued.set(id, { id, subject, issuedAtMs: now, expiresAtMs: now + lifetimeMs, projects });
    const seconds = Math.floor(now / 1000);
    const claims = {
      iss: 'harbor-token-issuer',
      sub: subject,
      aud: 'harbor-registry',
      exp: Math.ceil((now + lifetimeMs) / 1000),
      nbf: seconds,
      iat: seconds,
      jti: id,
      access,
    };
    const body = `${encode({ typ: 'JWT', alg: 'RS256' })}.${encode(claims)}`;
    return `${body}.${createSign('RSA-SHA256').update(body).sign(this.#keys.privateKey, 'base64url')}`;
  }

  /** Undefined where the signature is wrong or the token has expired. */
  check(text: string): HarborToken | undefined {
    const [header = '', claims = '', signature = ''] = text.split('.');
    const verify = createVerify('RSA-SHA256').update(`${header}.${claims}`);
    if (!verify.verify(this.#keys.publicKey, signature, 'base64url')) return undefined;
    const { jti } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { jti: string };
    const token = this.#issued.get(jti);
    return token === undefined || Date.now() > token.expiresAtMs ? undefined : token;
  }
}

export function projectOf(repository: string): string {
  return repository.split('/')[0] ?? '';
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
