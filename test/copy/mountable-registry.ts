import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Descriptor } from '../../src/content/descriptor.ts';
import type { ContentStore, FetchOptions, Mounter } from '../../src/content/store.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';

/** A registry in memory whose repositories can mount from each other. */
export class MountableRegistry {
  readonly uploads: string[] = [];
  readonly mounts: string[] = [];
  readonly scope: string;
  /** Refuses mounts, as a registry does for a repository that the user must not read. */
  refusesMounts = false;
  /** Is called before an upload is taken; it may fail. */
  beforeUpload: (digest: string, repository: string) => void = () => undefined;
  readonly #repositories = new Map<string, MountableRepository>();

  constructor(scope = 'registry.test') {
    this.scope = scope;
  }

  repository(name: string): MountableRepository {
    const known = this.#repositories.get(name) ?? new MountableRepository(this, name);
    this.#repositories.set(name, known);
    return known;
  }
}

export class MountableRepository implements ContentStore, Mounter {
  readonly repositoryName: string;
  readonly #registry: MountableRegistry;
  readonly #store = new MemoryStore();

  constructor(registry: MountableRegistry, name: string) {
    this.#registry = registry;
    this.repositoryName = name;
  }

  get mountScope(): string {
    return this.#registry.scope;
  }

  async exists(target: Descriptor): Promise<boolean> {
    await sleep(1);
    return this.#store.exists(target);
  }

  fetch(target: Descriptor, options?: FetchOptions): Promise<Readable> {
    return this.#store.fetch(target, options);
  }

  async push(expected: Descriptor, content: Readable): Promise<void> {
    try {
      await sleep(2);
      this.#registry.beforeUpload(expected.digest, this.repositoryName);
      await this.#store.push(expected, content);
      this.#registry.uploads.push(expected.digest);
    } finally {
      content.destroy();
    }
  }

  async mount(target: Descriptor, fromRepository: string): Promise<boolean> {
    await sleep(1);
    const from = this.#registry.repository(fromRepository);
    if (this.#registry.refusesMounts || !(await from.exists(target))) return false;
    await this.#store.push(target, await from.fetch(target));
    this.#registry.mounts.push(target.digest);
    return true;
  }
}
