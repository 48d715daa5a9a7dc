import type { Action, HarborUser } from './harbor-accounts.ts';

/** What a test may switch at any time. */
export interface HarborKnobs {
  /** Of every project without a limit of its own, in bytes; -1: none. */
  quotaBytes: number;
  readOnly: boolean;
  /** Tags that cannot be pushed again, whatever the digest. */
  immutableTags: RegExp | undefined;
  /** Components that `/health` calls unhealthy, with HTTP status 200 all the same. */
  unhealthy: Set<string>;
  tokenLifetimeMs: number;
  /** Checking a password costs Harbor 600,000 rounds of PBKDF2. */
  passwordCheckMs: number;
  /** Whether `/systeminfo/getcert` gives the CA. */
  offersCertificate: boolean;
  /** Repositories whose manifests are not given away (vulnerabilities, no signature): 412 to GET and HEAD. */
  withheld: RegExp | undefined;
  /** Blobs that are being collected: 404 to HEAD and to PUT. */
  collecting: Set<string>;
}

export type HarborRule =
  | 'cookie-kept'
  | 'slash-missing'
  | 'wrong-blob-put'
  | 'manifest-before-children'
  | 'login-storm'
  | 'basic-for-bulk-work'
  | 'too-many-at-once'
  | 'wrong-content-type'
  | 'name-encoded-once';

/** A way in which a client was wrong about Harbor. */
export interface HarborViolation {
  readonly rule: HarborRule;
  readonly request: string;
}

export interface HarborProject {
  readonly id: number;
  readonly name: string;
  readonly public: boolean;
  readonly createdAtMs: number;
  /** In bytes; undefined: the knob's; -1: none. */
  quotaBytes: number | undefined;
  readonly owner: string;
  /** Digest to size of what counts against the quota. */
  readonly content: Map<string, number>;
}

export function defaultKnobs(): HarborKnobs {
  return {
    quotaBytes: -1,
    readOnly: false,
    immutableTags: undefined,
    unhealthy: new Set(),
    tokenLifetimeMs: 30 * 60_000,
    passwordCheckMs: 40,
    offersCertificate: true,
    withheld: undefined,
    collecting: new Set(),
  };
}

/** The database of the Harbor front. */
export class HarborState {
  readonly knobs: HarborKnobs = defaultKnobs();
  readonly violations: HarborViolation[] = [];
  readonly projects = new Map<string, HarborProject>();
  /** Bytes of blobs' bodies that have come, complete or not. */
  uploadedBytes = 0;
  /** Of these, what came of uploads that broke off. */
  lostBytes = 0;
  /** Is called whenever `uploadedBytes` grows. */
  onUpload: ((bytes: number) => void) | undefined;
  /** Repository to what the database knows of it: digests, and tags with theirs. */
  readonly #artifacts = new Map<string, Map<string, string>>();
  /** What was there and was collected since: `repository@digest`. */
  readonly #collected = new Set<string>();

  addProject(project: {
    name: string;
    public?: boolean;
    quotaBytes?: number | undefined;
    owner?: string;
  }): HarborProject {
    const { name, quotaBytes, owner = 'admin' } = project;
    const added = {
      id: this.projects.size + 1,
      name,
      public: project.public ?? false,
      createdAtMs: Date.now(),
      quotaBytes,
      owner,
      content: new Map<string, number>(),
    };
    this.projects.set(name, added);
    return added;
  }

  actionsOf(user: HarborUser | undefined, project: HarborProject): readonly Action[] {
    if (user !== undefined && (user.admin === true || project.owner === user.name)) return ['pull', 'push', 'delete'];
    return user?.rights?.[project.name] ?? (project.public ? ['pull'] : []);
  }

  hardBytes(project: HarborProject): number {
    return project.quotaBytes ?? this.knobs.quotaBytes;
  }

  usedBytes(project: HarborProject): number {
    return [...project.content.values()].reduce((sum, size) => sum + size, 0);
  }

  /** What a write of `size` more bytes is refused with, or undefined where it fits. */
  quotaRefusal(project: HarborProject, digest: string | undefined, size: number): string | undefined {
    const hard = this.hardBytes(project);
    const used = this.usedBytes(project);
    const more = digest !== undefined && project.content.has(digest) ? 0 : size;
    if (hard === -1 || used + more <= hard) return undefined;
    return (
      `adding ${more} Bytes of storage resource, which when updated to current usage of ${used} Bytes ` +
      `will exceed the configured upper limit of ${hard} Bytes.`
    );
  }

  upload(bytes: number): void {
    this.uploadedBytes += bytes;
    this.onUpload?.(this.uploadedBytes);
  }

  /** A manifest was put, by its digest or by a tag. */
  keepArtifact(repository: string, reference: string, digest: string): void {
    const known = this.#artifacts.get(repository) ?? new Map<string, string>();
    this.#artifacts.set(repository, known.set(digest, digest).set(reference, digest));
    this.#collected.delete(`${repository}@${digest}`);
  }

  keepBlob(repository: string, digest: string): void {
    this.#collected.delete(`${repository}@${digest}`);
  }

  /** The digest that a tag or a digest leads to. */
  artifact(repository: string, reference: string): string | undefined {
    return this.#artifacts.get(repository)?.get(reference);
  }

  /** Harbor collects an untagged manifest, or a blob that nothing refers to. */
  collect(repository: string, digest: string): void {
    this.#artifacts.get(repository)?.delete(digest);
    this.#collected.add(`${repository}@${digest}`);
  }

  isCollected(repository: string, digest: string): boolean {
    return this.#collected.has(`${repository}@${digest}`);
  }

  violate(rule: HarborRule, request: string): void {
    this.violations.push({ rule, request });
  }
}
