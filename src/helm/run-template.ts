import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { withTemporaryFolder } from '../files/temporary-folder.ts';
import type { HelmProgram } from './helm-program.ts';
import { helmReason, metLimit } from './helm-reason.ts';
import { encodeValues, hideSecrets } from './helm-values.ts';
import { type HelmLimits, runHelm } from './run-helm.ts';

/** What a rendering knows of the release and the cluster, and what bounds it. */
export interface ReleaseOptions extends HelmLimits {
  readonly releaseName: string;
  readonly namespace: string;
  /** `.Capabilities.KubeVersion`: `v1.33.5`. Default: the one that Helm was made for. */
  readonly kubeVersion?: string | undefined;
  /** `.Capabilities.APIVersions` besides those of Kubernetes: `monitoring.coreos.com/v1`. */
  readonly apiVersions?: readonly string[] | undefined;
}

export interface TemplateRun extends ReleaseOptions {
  /** What fails where this does: the beginning of the error's message. */
  readonly what: string;
  /** A chart's `.tgz` from `helmArchive`. */
  readonly archive: Buffer;
  /** A mapping; `null` and `undefined` are an empty one. */
  readonly values: unknown;
}

/**
 * What `helm template` prints for a chart, CRDs, hooks and tests included.
 *
 * @throws EdgeBundleError RENDER_FAILED with Helm's own reason, RENDER_LIMIT, ABORTED, FILE_FAILED, NO_SPACE
 */
export async function runTemplate(program: HelmProgram, run: TemplateRun): Promise<string> {
  const { what, archive, values } = run;
  const input = encodeValues(values, what);
  return withTemporaryFolder(async (folder) => {
    const path = join(folder, 'chart.tgz');
    await writeFile(path, archive).catch((error: unknown) => {
      throw fileError(error, `${what}: cannot write '${path}'`);
    });
    const args = templateArguments(path, run);
    const ended = await runHelm({ ...run, command: commandOf(program), folder, input, args });
    if (ended.outcome === 'done') return ended.stdout;
    const reason = hideSecrets(helmReason(ended, { ...run, folder }), values);
    throw new EdgeBundleError(metLimit(ended) ? 'RENDER_LIMIT' : 'RENDER_FAILED', `${what}: ${reason}`);
  });
}

function commandOf({ isolation, path }: HelmProgram): readonly [string, ...string[]] {
  const [first, ...others] = isolation;
  return first === undefined ? [path] : [first, ...others, path];
}

/** Values come on stdin, so that their secrets are in no file; after `--` nothing can be taken for an option. */
function templateArguments(path: string, options: ReleaseOptions): string[] {
  const { releaseName, namespace, kubeVersion, apiVersions = [] } = options;
  return [
    'template',
    '--include-crds',
    '--values=-',
    `--namespace=${namespace}`,
    ...(kubeVersion === undefined ? [] : [`--kube-version=${kubeVersion}`]),
    ...apiVersions.map((version) => `--api-versions=${version}`),
    '--',
    releaseName,
    path,
  ];
}
