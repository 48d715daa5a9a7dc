/** A token as an Authorization header. */
export interface Token {
  readonly header: string;
  /** How long it holds, from when it was asked for. */
  readonly lifetimeMs: number;
}

interface Entry {
  readonly token: Promise<Token>;
  /** On the clock of performance.now(). */
  renewAtMs: number;
  header?: string | undefined;
}

const maxMarginMs = 30_000;

/** Keeps tokens until shortly before they expire. However many ask for one at a time, it is fetched once. */
export class TokenCache {
  readonly #entries = new Map<string, Entry>();

  /** The token under `key`, and whether it comes from `fetch` just now. A fetch that fails is not kept. */
  async get(key: string, fetch: () => Promise<Token>): Promise<Token & { readonly isFresh: boolean }> {
    const known = this.#entries.get(key);
    if (known !== undefined && performance.now() < known.renewAtMs) {
      const isFresh = known.header === undefined;
      return { ...(await known.token), isFresh };
    }
    return { ...(await this.#start(key, fetch).token), isFresh: true };
  }

  /** Whether `header` is the token under `key`, and not about to expire. */
  holds(key: string, header: string | undefined): boolean {
    const known = this.#entries.get(key);
    return known?.header !== undefined && known.header === header && performance.now() < known.renewAtMs;
  }

  /** Forgets the token under `key` where it is still this one. */
  drop(key: string, header: string): void {
    if (this.#entries.get(key)?.header === header) this.#entries.delete(key);
  }

  /** Forgets the token under `key`, whichever it is: another one is needed. */
  forget(key: string): void {
    this.#entries.delete(key);
  }

  #start(key: string, fetch: () => Promise<Token>): Entry {
    const startedMs = performance.now();
    const entry: Entry = { token: fetch(), renewAtMs: Infinity };
    this.#entries.set(key, entry);
    entry.token.then(
      ({ header, lifetimeMs }) => {
        entry.header = header;
        entry.renewAtMs = startedMs + lifetimeMs - Math.min(maxMarginMs, lifetimeMs / 4);
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }
}
