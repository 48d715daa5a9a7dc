import type { OperationOptions } from '../content/store.ts';
import { isEdgeBundleError } from '../errors.ts';
import type { QuotaHost } from './quota-check.ts';

/** How a project is made where there is none of that name. */
export interface ProjectSettings {
  /** Whether everybody may pull. Default: false. */
  readonly public?: boolean | undefined;
  /** In bytes; -1: none, whatever the registry's default is. Default: the registry's. */
  readonly storageLimit?: number | undefined;
}

/** Knows what a project is: `HarborClient`. */
export interface SettingsHost extends QuotaHost {
  isProjectPublic(name: string, options: OperationOptions): Promise<boolean>;
}

/**
 * In what a project is not as it was asked for, in words: one that exists stays as it is, and a quota is the right of
 * administrators, which Harbor does not refuse to others but ignores. Empty too where this user may not see it.
 */
export async function unmetSettings(
  host: SettingsHost,
  name: string,
  settings: ProjectSettings & OperationOptions,
): Promise<readonly string[]> {
  const { public: isPublic = false, storageLimit, signal } = settings;
  const unmet: string[] = [];
  try {
    if (isPublic && !(await host.isProjectPublic(name, { signal })))
      unmet.push(`project '${name}' is not public: it was there already, and stays as it is`);
    const quota = storageLimit === undefined ? undefined : await host.projectQuota(name, { signal });
    if (quota !== undefined && (quota.hardBytes ?? -1) !== storageLimit) {
      const actual = quota.hardBytes === undefined ? 'without a limit' : `limited to ${quota.hardBytes} bytes`;
      unmet.push(
        `project '${name}' is ${actual}, and not limited to ${storageLimit} bytes: it was there already, or an administrator has to set its quota`,
      );
    }
  } catch (error) {
    if (!isEdgeBundleError(error, 'ACCESS_DENIED', 'HARBOR_ERROR')) throw error;
  }
  return unmet;
}
