import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { isManifest } from '../content/media-types.ts';
import type { OperationOptions } from '../content/store.ts';
import { isEdgeBundleError } from '../errors.ts';
import { answeredStatus } from '../oci-client/registry-error.ts';
import type { Repository } from '../oci-client/repository.ts';

/** Knows what manifests a registry has where its rules keep them from being pulled: `HarborClient`. */
export interface ArtifactHost {
  /** The digest that a tag or a digest leads to; undefined where there is nothing. */
  artifactDigest(repository: string, reference: string, options: OperationOptions): Promise<Digest | undefined>;
}

export interface QuestionOptions extends OperationOptions {
  readonly artifacts?: ArtifactHost | undefined;
}

/** Whether a repository has content. */
export async function isInRepository(
  repository: Repository,
  target: Descriptor,
  { artifacts, signal }: QuestionOptions,
): Promise<boolean> {
  try {
    return await repository.exists(target, { signal });
  } catch (error) {
    if (artifacts === undefined || !isWithheld(error) || !isManifest(target.mediaType)) throw error;
    const { repositoryName } = repository;
    return (await artifacts.artifactDigest(repositoryName, target.digest, { signal })) === target.digest;
  }
}

/** What a tag leads to; undefined where there is none. */
export async function digestAtTag(
  repository: Repository,
  tag: string,
  { artifacts, signal }: QuestionOptions,
): Promise<Digest | undefined> {
  try {
    return (await repository.resolve(tag, { signal })).digest;
  } catch (error) {
    if (isEdgeBundleError(error, 'NOT_FOUND')) return undefined;
    if (artifacts === undefined || !isWithheld(error)) throw error;
    return artifacts.artifactDigest(repository.repositoryName, tag, { signal });
  }
}

/** Harbor withholds manifests with vulnerabilities, and unsigned ones, where a project says so: 412, to HEAD too. */
function isWithheld(error: unknown): boolean {
  return answeredStatus(error) === 412;
}
