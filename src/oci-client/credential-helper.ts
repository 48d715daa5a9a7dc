import { spawn } from 'node:child_process';

import * as z from 'zod';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { redact, registerSecret } from '../redaction.ts';
import type { Credentials } from './credentials.ts';

export interface CredentialHelperOptions {
  /** The helper's environment; its PATH is where the program is looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long one run may take. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
}

const maxOutputBytes = 1024 * 1024;
const maxMessageLength = 300;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** How a helper says that it holds an identity token, in the place of the user. */
const tokenUser = '<token>';

const answerSchema = z.object({ Username: z.string(), Secret: z.string() });

type Action = 'get' | 'store' | 'erase';

/** What came of a run: the text on stdout where all went well, or else what the helper said. */
type Outcome = { readonly output: string } | { readonly failure: string } | 'not-installed';

/**
 * A program `docker-credential-NAME` that keeps logins (Docker's credential helper protocol): it is run without a shell,
 * and what it gets is on its stdin.
 */
export class CredentialHelper {
  readonly program: string;
  readonly #options: CredentialHelperOptions;

  /** @throws EdgeBundleError CREDENTIALS_INVALID where `name` could be a path */
  constructor(name: string, options: CredentialHelperOptions) {
    if (!namePattern.test(name)) {
      throw new EdgeBundleError(
        'CREDENTIALS_INVALID',
        `${JSON.stringify(name)} is not the name of a credential helper`,
        {
          hint: "A helper is named as its program is after 'docker-credential-': letters, digits, '.', '_' and '-'.",
        },
      );
    }
    this.program = `docker-credential-${name}`;
    this.#options = options;
  }

  /**
   * The login for `server`; undefined where the helper has none, 'not-installed' where there is no such program.
   *
   * @throws EdgeBundleError CREDENTIALS_INVALID where it fails, with what it says; TIMEOUT
   */
  async get(server: string): Promise<Credentials | undefined | 'not-installed'> {
    const outcome = await this.#run('get', server, server);
    if (outcome === 'not-installed') return outcome;
    if ('failure' in outcome) {
      if (/credentials not found/i.test(outcome.failure)) return undefined;
      throw this.#failed('get', server, outcome.failure);
    }
    return this.#read(outcome.output, server);
  }

  /** @throws EdgeBundleError CREDENTIALS_INVALID, TIMEOUT */
  async store(server: string, credentials: Credentials): Promise<void> {
    const login =
      'identityToken' in credentials
        ? { Username: tokenUser, Secret: credentials.identityToken }
        : { Username: credentials.username, Secret: credentials.password };
    this.#ensureDone(
      await this.#run('store', server, JSON.stringify({ ServerURL: server, ...login })),
      'store',
      server,
    );
  }

  /** Removes what it has for `server`; it is no failure where that is nothing. */
  async erase(server: string): Promise<void> {
    const outcome = await this.#run('erase', server, server);
    if (typeof outcome === 'object' && 'failure' in outcome && /not found/i.test(outcome.failure)) return;
    this.#ensureDone(outcome, 'erase', server);
  }

  #read(output: string, server: string): Credentials | undefined {
    let answer: z.infer<typeof answerSchema>;
    try {
      answer = answerSchema.parse(JSON.parse(output));
    } catch {
      // Without the cause: it would quote the secret.
      throw this.#failed('get', server, 'its answer is not {"Username", "Secret"} in JSON');
    }
    const { Username: username, Secret: secret } = answer;
    if (secret === '') return undefined;
    registerSecret(secret);
    return username === tokenUser ? { identityToken: secret } : { username, password: secret };
  }

  #ensureDone(outcome: Outcome, action: Action, server: string): void {
    if (outcome === 'not-installed') throw this.#failed(action, server, 'there is no such program in PATH');
    if ('failure' in outcome) throw this.#failed(action, server, outcome.failure);
  }

  #failed(action: Action, server: string, reason: string): EdgeBundleError {
    return new EdgeBundleError('CREDENTIALS_INVALID', `'${this.program} ${action}' failed for ${server}: ${reason}`);
  }

  #run(action: Action, server: string, input: string): Promise<Outcome> {
    const { environment, timeoutMs = 60_000 } = this.#options;
    return new Promise((resolve, reject) => {
      const child = spawn(this.program, [action], { env: { ...environment }, stdio: ['pipe', 'pipe', 'pipe'] });
      const chunks: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
      let bytes = 0;
      const stop = (error: EdgeBundleError): void => {
        child.kill('SIGKILL');
        // What it has started may hold these open.
        child.stdout.destroy();
        child.stderr.destroy();
        reject(error);
      };
      const timer = setTimeout(() => {
        const message = `'${this.program} ${action}' did not end within ${timeoutMs / 1000} s for ${server}`;
        stop(new EdgeBundleError('TIMEOUT', message));
      }, timeoutMs);
      for (const name of ['stdout', 'stderr'] as const) {
        child[name].on('data', (chunk: Buffer) => {
          bytes += chunk.byteLength;
          if (bytes > maxOutputBytes) stop(this.#failed(action, server, `it writes more than ${maxOutputBytes} bytes`));
          else chunks[name].push(chunk);
        });
      }
      // It may end without reading.
      child.stdin.on('error', () => undefined).end(input);
      child.on('error', (error) => {
        clearTimeout(timer);
        if (systemErrorCode(error) === 'ENOENT') resolve('not-installed');
        else reject(this.#failed(action, server, error.message));
      });
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        const [output, complaint] = [Buffer.concat(chunks.stdout), Buffer.concat(chunks.stderr)].map((all) =>
          all.toString('utf8').trim(),
        );
        const end = signal ?? `exit code ${String(code)}`;
        if (code === 0) resolve({ output: output ?? '' });
        else resolve({ failure: explain([output, complaint], end) });
      });
    });
  }
}

/** What a helper says where it fails; JSON may be an answer, with its secret. */
function explain(texts: readonly (string | undefined)[], end: string): string {
  const said = texts
    .filter((text) => text !== undefined)
    .filter((text) => text !== '' && !text.includes('{'))
    // Before it is cut: a part of a secret would not be known for one.
    .map((text) => redact(text))
    .join(': ')
    .replace(/[\s\p{C}]+/gu, ' ');
  return said === '' ? end : `${said.slice(0, maxMessageLength)} (${end})`;
}
