import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

import pLimit from 'p-limit';

import type { OperationOptions } from '../content/store.ts';
import { skimTemplate } from '../discovery/skim-definition.ts';
import type { Chart } from '../helm/chart.ts';
import type { HelmFinder } from '../helm/helm-finder.ts';
import { renderChart, type Rendering } from '../helm/render-chart.ts';
import { type ManifestTemplate, type RenderedTemplates, renderTemplates } from '../helm/render-templates.ts';

export interface RendererOptions extends OperationOptions {
  readonly helm: HelmFinder;
  /** `v1.33.5`. Default: the one that Helm was made for. */
  readonly kubeVersion?: string | undefined;
  readonly apiVersions?: readonly string[] | undefined;
}

export interface Release {
  readonly name: string;
  readonly namespace: string;
}

/** Runs Helm for many charts, one more at once than there are processors: while what one gave is read, all have something to do. */
export class Renderer {
  readonly #options: RendererOptions;
  readonly #limit = pLimit(availableParallelism() + 1);
  #fingerprint: Promise<string> | undefined;

  constructor(options: RendererOptions) {
    this.#options = options;
  }

  /** @throws EdgeBundleError HELM_MISSING, RENDER_FAILED, RENDER_LIMIT, ABORTED, FILE_FAILED, NO_SPACE */
  async chart(chart: Chart, values: unknown, release: Release): Promise<Rendering> {
    const helm = await this.#options.helm.program();
    return this.#limit(() =>
      renderChart(helm, {
        ...this.#cluster,
        ...{ chart, values, releaseName: release.name, namespace: release.namespace },
        shorten: skimTemplate,
        hasEllipticKeys: true,
      }),
    );
  }

  /** @throws EdgeBundleError HELM_MISSING, RENDER_FAILED, RENDER_LIMIT, ABORTED, FILE_FAILED, NO_SPACE */
  async templates(templates: readonly ManifestTemplate[], release: Release): Promise<RenderedTemplates> {
    const helm = await this.#options.helm.program();
    return this.#limit(() =>
      renderTemplates(helm, { ...this.#cluster, templates, releaseName: release.name, namespace: release.namespace }),
    );
  }

  /** What renderings depend on besides charts and values. Helm is not run for it. */
  async fingerprint(): Promise<readonly string[]> {
    const { kubeVersion = '', apiVersions = [] } = this.#options;
    return [await (this.#fingerprint ??= fingerprintOf(this.#options.helm)), kubeVersion, ...apiVersions];
  }

  get #cluster(): Pick<RendererOptions, 'kubeVersion' | 'apiVersions' | 'signal'> {
    const { kubeVersion, apiVersions, signal } = this.#options;
    return { kubeVersion, apiVersions, signal };
  }
}

async function fingerprintOf(helm: HelmFinder): Promise<string> {
  const path = await helm.path();
  const { size, mtimeMs } = await stat(path);
  return `${path} ${size} ${mtimeMs}`;
}
