/** Work that is under way, by name, for those who would else do the same work at the same time. */
export class Flights {
  readonly #underway = new Map<string, Promise<void>>();

  /** Settles, without an error, when the work under this name ends; undefined where there is none. */
  get(name: string): Promise<void> | undefined {
    return this.#underway.get(name);
  }

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const flight = work();
    this.#underway.set(
      name,
      flight.then(
        () => undefined,
        () => undefined,
      ),
    );
    try {
      return await flight;
    } finally {
      this.#underway.delete(name);
    }
  }
}
