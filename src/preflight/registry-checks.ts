import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { essentialComponents, type HarborClient } from '../harbor/harbor-client.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import { formatBytes } from '../report/units.ts';
import type { Check, CheckName } from '../report/preflight-check.ts';

/** A project, and what is to come into it. */
export interface CheckedProject {
  readonly name: string;
  readonly contentBytes: number;
}

export interface CheckedRegistry {
  /** Host and port. */
  readonly registry: string;
  readonly client: RegistryClient;
  /** Undefined where the registry is not a Harbor. */
  readonly harbor: HarborClient | undefined;
  /** Whether there is a login for it. */
  readonly hasLogin: boolean;
}

/** No image is called so: uploads that are begun here, and cancelled, are nobody's. */
const probeRepository = 'edge-bundle-preflight';

/**
 * What a load would meet at the registry: health, login, read-only mode, projects, quotas. Nothing is changed: a project is
 * not made, and an upload that is begun is cancelled.
 *
 * @throws EdgeBundleError ABORTED
 */
export async function checkRegistry(
  target: CheckedRegistry,
  projects: readonly CheckedProject[],
  signal?: AbortSignal,
): Promise<readonly Check[]> {
  const { harbor } = target;
  const health = await checkHealth(target, signal);
  if (health.status === 'fail') return [health];
  const credentials = await checkCredentials(target, signal);
  if (credentials.status === 'fail') return [health, credentials];
  if (harbor === undefined) {
    const checks: Check[] = [];
    for (const { name } of projects) checks.push(await checkPush(target, name, signal));
    return [health, credentials, ...checks];
  }
  const readOnly = await checkReadOnly(harbor, signal);
  const checks: Check[] = [];
  for (const project of projects) checks.push(...(await checkProject(target, harbor, { project, readOnly, signal })));
  return [health, credentials, readOnly, ...checks];
}

async function checkHealth({ registry, client, harbor }: CheckedRegistry, signal?: AbortSignal): Promise<Check> {
  return attempt('health', signal, async () => {
    if (harbor === undefined) {
      // A refused login is no illness: that is the next check.
      await client.ping(registry, { signal }).catch((error: unknown) => {
        if (!isEdgeBundleError(error, 'AUTH_FAILED', 'ACCESS_DENIED', 'CREDENTIALS_INVALID', 'FILE_FAILED'))
          throw error;
      });
      return { name: 'health', status: 'pass', message: `${registry} is a registry` };
    }
    const { components } = await harbor.health({ signal });
    const ill = components.filter(({ isHealthy }) => !isHealthy);
    if (ill.length === 0)
      return { name: 'health', status: 'pass', message: `all ${components.length} components are healthy` };
    const message = `not healthy: ${ill.map(({ name, error }) => `${name} (${error ?? 'no reason given'})`).join(', ')}`;
    return ill.some(({ name }) => essentialComponents.has(name))
      ? {
          name: 'health',
          status: 'fail',
          message,
          hint: 'Harbor may still be starting. A load waits for core, registry, database and redis.',
        }
      : { name: 'health', status: 'warn', message, hint: 'A load needs none of these.' };
  });
}

async function checkCredentials({ registry, client, hasLogin }: CheckedRegistry, signal?: AbortSignal): Promise<Check> {
  return attempt('credentials', signal, async () => {
    await client.ping(registry, { signal });
    if (hasLogin) return { name: 'credentials', status: 'pass', message: 'the login is accepted' };
    const hint = 'Give --username with --password-file, or --cred-file.';
    return { name: 'credentials', status: 'warn', message: `there is no login for ${registry}`, hint };
  });
}

async function checkReadOnly(harbor: HarborClient, signal?: AbortSignal): Promise<Check> {
  return attempt('read-only', signal, async () => {
    const { isReadOnly, version = 'of unknown version' } = await harbor.systemInfo({ signal });
    if (!isReadOnly) return { name: 'read-only', status: 'pass', message: `Harbor ${version} takes content` };
    return {
      name: 'read-only',
      status: 'fail',
      message: `Harbor ${version} is in read-only mode`,
      hint: "Wait for its garbage collection to end, or switch it off in Harbor's settings. first-boot waits.",
    };
  });
}

interface ProjectCircumstances {
  readonly project: CheckedProject;
  readonly readOnly: Check;
  readonly signal: AbortSignal | undefined;
}

async function checkProject(
  target: CheckedRegistry,
  harbor: HarborClient,
  { project: { name, contentBytes }, readOnly, signal }: ProjectCircumstances,
): Promise<readonly Check[]> {
  let exists: boolean | undefined;
  const existence = await attempt('project', signal, async () => {
    exists = await harbor.projectExists(name, { signal });
    return { name: 'project', subject: name, status: 'pass', message: 'it exists' };
  });
  if (exists === undefined) return [{ ...existence, subject: name }];
  if (!exists) return [await checkCreation(harbor, name, signal)];
  if (readOnly.status === 'fail') {
    const message = 'it exists; whether this login may push cannot be seen in read-only mode';
    return [
      { name: 'project', subject: name, status: 'skip', message },
      await checkQuota(harbor, { name, contentBytes }, signal),
    ];
  }
  return [await checkPush(target, name, signal), await checkQuota(harbor, { name, contentBytes }, signal)];
}

async function checkCreation(harbor: HarborClient, name: string, signal?: AbortSignal): Promise<Check> {
  const found = await attempt('project', signal, async () => {
    const mayCreate = await harbor.mayCreateProjects({ signal });
    if (mayCreate === true)
      return { name: 'project', status: 'pass', message: 'it does not exist, and will be created' };
    if (mayCreate === undefined) {
      const message =
        'it does not exist; whether this login may create it cannot be told: a robot account of the system may';
      return { name: 'project', status: 'warn', message };
    }
    return {
      name: 'project',
      status: 'fail',
      message: 'it does not exist, and this login may not create it',
      hint: "Have an administrator create it, and give this login the developer's role in it.",
    };
  });
  return { ...found, subject: name };
}

async function checkPush({ registry, client }: CheckedRegistry, project: string, signal?: AbortSignal): Promise<Check> {
  const found = await attempt('project', signal, async () => {
    await client.repository(registry, `${project}/${probeRepository}`).ensureUploadAllowed({ signal });
    return { name: 'project', status: 'pass', message: 'this login may push' };
  });
  return { ...found, subject: project };
}

async function checkQuota(harbor: HarborClient, project: CheckedProject, signal?: AbortSignal): Promise<Check> {
  const { name, contentBytes } = project;
  const found = await attempt('quota', signal, async () => {
    const quota = await harbor.projectQuota(name, { signal }).catch((error: unknown) => {
      if (isEdgeBundleError(error, 'ACCESS_DENIED')) return 'hidden' as const;
      throw error;
    });
    if (quota === 'hidden') return { name: 'quota', status: 'skip', message: 'this login may not see it' };
    if (quota?.hardBytes === undefined) return { name: 'quota', status: 'pass', message: 'there is no limit' };
    const freeBytes = Math.max(0, quota.hardBytes - quota.usedBytes);
    const message = `${formatBytes(freeBytes)} of ${formatBytes(quota.hardBytes)} are free; the images are ${formatBytes(contentBytes)}`;
    if (freeBytes >= contentBytes) return { name: 'quota', status: 'pass', message };
    // What the project has already counts no more: a load asks for each content before it says that the quota is too small.
    const isHopeless = contentBytes > quota.hardBytes || quota.usedBytes === 0;
    const hint = isHopeless
      ? "Raise the project's quota in Harbor."
      : "Raise the project's quota in Harbor, unless the project has most of the images already.";
    return { name: 'quota', status: isHopeless ? 'fail' : 'warn', message, hint };
  });
  return { ...found, subject: name };
}

/** What the check fails with is its result. */
async function attempt(name: CheckName, signal: AbortSignal | undefined, task: () => Promise<Check>): Promise<Check> {
  try {
    return await task();
  } catch (error) {
    throwIfAborted(signal);
    if (!(error instanceof EdgeBundleError)) throw error;
    const { message, hint } = error;
    return { name, status: 'fail', message, ...(hint === undefined ? {} : { hint }) };
  }
}
