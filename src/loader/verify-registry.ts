import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { collectGraph } from '../content/graph.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import { type LoadSource, type PlannedImage, planLoad, type TargetProjects } from './load-plan.ts';
import type { Patience } from './patience.ts';
import { readBack } from './read-back.ts';
import { type ArtifactHost, digestAtTag, isInRepository } from './registry-questions.ts';

export const defaultConcurrency = 4;

/** A bundle, and where its images are, or are to be, in a registry. */
export interface RegistryTarget extends TargetProjects {
  readonly bundle: LoadSource;
  readonly client: RegistryClient;
  /** Host and port: `harbor.example:30003`. */
  readonly registry: string;
  /** How many requests run at once. Default: 4. */
  readonly concurrency?: number | undefined;
  /** Where the registry is a Harbor: knows the manifests that a project's rules keep from being pulled. */
  readonly harbor?: ArtifactHost | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface VerifyRegistryOptions extends RegistryTarget {
  /** Manifests and blobs are read back and hashed, each once. Default: false, the registry is asked whether it has them. */
  readonly deep?: boolean | undefined;
  /** How many bytes more have been read back. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** What the registry does not have, or has differently. */
export interface MissingContent {
  /** `referrer`: the manifest is there, and not listed as what refers to its subject. */
  readonly kind: 'tag' | 'manifest' | 'blob' | 'referrer';
  readonly repository: string;
  /** Of the content; of what the tag should lead to. */
  readonly digest: Digest;
  readonly tag?: string | undefined;
  /** What the tag leads to, where that is something else. */
  readonly found?: Digest | undefined;
  /** What is wrong with what is there, where it was read back. */
  readonly damage?: string | undefined;
  /** The images of the bundle that need it. */
  readonly references: readonly string[];
}

export interface RegistryVerification {
  readonly images: number;
  /** Charts and packs. */
  readonly charts: number;
  /** Everything that was looked for, images and charts and what belongs to them. */
  readonly planned: readonly PlannedImage[];
  /** What was asked for, each once in each repository; what is missing is among it. */
  readonly asked: {
    readonly tags: number;
    readonly manifests: number;
    readonly blobs: number;
    readonly blobBytes: number;
  };
  readonly missing: readonly MissingContent[];
}

/** One thing that the registry is asked for. */
interface Question {
  readonly kind: MissingContent['kind'];
  readonly repository: string;
  readonly target: Descriptor;
  readonly tag?: string;
  /** Of a referrer. */
  readonly subject?: Descriptor;
  readonly references: Set<string>;
}

/**
 * Asks the registry for every tag, manifest (the children of indexes too) and blob of the bundle, by digest, in each
 * repository where an image needs it; and whether a signature is listed as what refers to its subject. Changes nothing. With
 * `deep` it reads all of that back, and hashes it.
 *
 * @returns also what is missing: that is no error here (see `ensureVerified`)
 * @throws EdgeBundleError REFERENCE_INVALID; what the bundle throws where it is damaged; what the registry's refusal means:
 *   AUTH_FAILED, ACCESS_DENIED, REGISTRY_UNAVAILABLE, …
 */
export async function verifyRegistry(target: VerifyRegistryOptions): Promise<RegistryVerification> {
  const { bundle, client, registry, signal } = target;
  const images = planLoad(bundle.document, target);
  await client.ping(registry, { signal });
  return verifyImages(target, images);
}

/** @throws EdgeBundleError NOT_VERIFIED where anything is missing, each as one of its failures */
export function ensureVerified({ missing }: Pick<RegistryVerification, 'missing'>, registry: string): void {
  if (missing.length === 0) return;
  const images = new Set(missing.flatMap(({ references }) => references)).size;
  throw new EdgeBundleError(
    'NOT_VERIFIED',
    `${registry} lacks ${count(missing.length, 'tag, manifest or blob', 'tags, manifests and blobs')} of ${count(images, 'image or chart', 'images and charts')}`,
    {
      hint: 'Load the bundle: only what is missing is sent.',
      failures: missing.map((content) => new EdgeBundleError('NOT_VERIFIED', describeMissing(content))),
    },
  );
}

/** One line: what is missing, where, and which images need it. */
export function describeMissing(missing: MissingContent): string {
  const { kind, repository, digest, tag, found, damage, references } = missing;
  const name = kind === 'tag' ? `tag '${tag ?? ''}'` : `${kind} ${digest}`;
  const what =
    damage !== undefined
      ? `is damaged: ${damage}`
      : found === undefined
        ? 'is missing'
        : `leads to ${found} instead of ${digest}`;
  return `${repository}: ${name} ${what} (${references.join(', ')})`;
}

/** `verifyRegistry` for some of the images, and without a login of its own. */
export async function verifyImages(
  target: VerifyRegistryOptions & { readonly patience?: Patience | undefined },
  images: readonly PlannedImage[],
): Promise<RegistryVerification> {
  const { concurrency = defaultConcurrency, deep = false, patience, signal } = target;
  const questions = await questionsAbout(target, images);
  const answers = new Map<Question, Digest | undefined>();
  await forEachLimited(questions, concurrency, async (question) => {
    throwIfAborted(signal);
    const answer = (): Promise<Digest | undefined> => ask(target, question);
    answers.set(question, await (patience === undefined ? answer() : patience.attempt(answer)));
  });
  const damages = deep ? await findDamage(target, questions, answers) : new Map<Question, string>();
  const missing = questions.flatMap((question): MissingContent[] => {
    const { kind, repository, tag, references } = question;
    const { digest } = question.target;
    const found = answers.get(question);
    const damage = damages.get(question);
    if (found === digest && damage === undefined) return [];
    const other = found === digest ? undefined : found;
    return [{ kind, repository, digest, tag, found: other, damage, references: [...references] }];
  });
  const blobs = questions.filter(({ kind }) => kind === 'blob');
  return {
    images: images.filter(({ kind }) => kind === 'image').length,
    charts: images.filter(({ kind }) => kind === 'chart' || kind === 'pack').length,
    planned: images,
    asked: {
      tags: questions.filter(({ kind }) => kind === 'tag').length,
      manifests: questions.filter(({ kind }) => kind === 'manifest').length,
      blobs: blobs.length,
      blobBytes: blobs.reduce((bytes, { target: { size } }) => bytes + size, 0),
    },
    missing,
  };
}

/** What is needed, each once in each repository; a tag before the manifests, these before the blobs of an image. */
async function questionsAbout(
  { bundle, signal }: RegistryTarget,
  images: readonly PlannedImage[],
): Promise<readonly Question[]> {
  const questions = new Map<string, Question>();
  for (const { repository, tags, root, references } of images) {
    const add = (kind: Question['kind'], target: Descriptor, more: Pick<Question, 'tag' | 'subject'> = {}): void => {
      const key = `${repository} ${kind} ${more.tag ?? target.digest}`;
      const known = questions.get(key);
      const question = known ?? { kind, repository, target, references: new Set<string>(), ...more };
      for (const reference of references) question.references.add(reference);
      questions.set(key, question);
    };
    const graph = await collectGraph(bundle, root, { signal });
    for (const tag of tags) add('tag', root, { tag });
    for (const { descriptor, manifest } of graph.manifests) {
      add('manifest', descriptor);
      const { subject } = manifest;
      if (subject !== undefined && descriptor.digest === root.digest) add('referrer', descriptor, { subject });
    }
    for (const blob of graph.blobs) add('blob', blob);
  }
  return [...questions.values()];
}

/** What is wrong with what the registry says it has: a registry stores each blob once, whatever the repositories. */
async function findDamage(
  { client, registry, concurrency = defaultConcurrency, onProgress, signal }: VerifyRegistryOptions,
  questions: readonly Question[],
  answers: ReadonlyMap<Question, Digest | undefined>,
): Promise<ReadonlyMap<Question, string>> {
  const copies = new Map<string, Question[]>();
  for (const question of questions) {
    const { kind, target } = question;
    if ((kind !== 'blob' && kind !== 'manifest') || answers.get(question) !== target.digest) continue;
    const name = `${kind} ${target.digest}`;
    copies.set(name, [...(copies.get(name) ?? []), question]);
  }
  const damages = new Map<Question, string>();
  await forEachLimited(copies.values(), concurrency, async (same) => {
    const [question] = same;
    if (question === undefined) return;
    throwIfAborted(signal);
    const damage = await readBack(client.repository(registry, question.repository), question.target, {
      onProgress,
      signal,
    });
    if (damage !== undefined) for (const each of same) damages.set(each, damage);
  });
  return damages;
}

/** The digest of what the registry has there; undefined where it has nothing. */
async function ask(
  { client, registry, harbor: artifacts, signal }: RegistryTarget,
  question: Question,
): Promise<Digest | undefined> {
  const repository = client.repository(registry, question.repository);
  const { target, tag, subject } = question;
  if (subject !== undefined) {
    const listed = await repository.referrers(subject, { signal });
    return listed.find(({ digest }) => digest === target.digest)?.digest;
  }
  if (tag !== undefined) return digestAtTag(repository, tag, { artifacts, signal });
  return (await isInRepository(repository, target, { artifacts, signal })) ? target.digest : undefined;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
