import type { Credentials, CredentialSource } from './credentials.ts';

/** Remembers who logs in where, so that a source is asked once, and once more where what it said does not work any more. */
export class LoginBook {
  readonly #source: CredentialSource | undefined;
  readonly #known = new Map<string, Promise<Credentials | undefined>>();
  readonly #refreshed = new Map<string, Promise<Credentials | undefined>>();

  constructor(source: CredentialSource | undefined) {
    this.#source = source;
  }

  /** @throws EdgeBundleError those of the source */
  find(registry: string, repository: string | undefined): Promise<Credentials | undefined> {
    const key = keyOf(registry, repository);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = this.#source?.find(registry, { repository }) ?? Promise.resolve(undefined);
    this.#known.set(key, found);
    found.catch(() => this.#known.delete(key));
    return found;
  }

  /**
   * Asks again, once, after `refused` was refused.
   *
   * @returns whether there is another login now
   */
  async refresh(registry: string, repository: string | undefined, refused: Credentials | undefined): Promise<boolean> {
    const key = keyOf(registry, repository);
    const old = JSON.stringify(refused);
    if (JSON.stringify(await this.find(registry, repository)) !== old) return true;
    const once = `${key} ${old}`;
    const asked =
      this.#refreshed.get(once) ??
      this.#source?.find(registry, { repository, isFresh: true }) ??
      Promise.resolve(undefined);
    this.#refreshed.set(once, asked);
    const found = await asked;
    if (found === undefined || JSON.stringify(found) === old) return false;
    this.#known.set(key, asked);
    return true;
  }
}

function keyOf(registry: string, repository: string | undefined): string {
  return `${registry}/${repository ?? ''}`;
}
