import * as z from 'zod';

import { findImages } from '../discovery/find-images.ts';
import { findImagesInTemplate } from '../discovery/find-images-in-template.ts';
import { findImagesInValues } from '../discovery/find-images-in-values.ts';
import type { FoundImage } from '../discovery/found-image.ts';
import { readManifests } from '../discovery/read-manifests.ts';
import type { EdgeBundleError } from '../errors.ts';
import type { PackValues } from '../profile/packs/pack-values.ts';
import { combineProblems } from '../profile/problems.ts';
import type { AnalysedChart, LayerAnalysis, LocatedMention, UnrenderedPart } from './layer-analysis.ts';

/** Collects what is found in a layer, by many charts at once. */
export class Findings {
  readonly mentions: LocatedMention[] = [];
  readonly charts: AnalysedChart[] = [];
  readonly unrendered: UnrenderedPart[] = [];
  readonly warnings: string[];
  readonly #problems: EdgeBundleError[];

  constructor(warnings: readonly string[], problems: readonly EdgeBundleError[]) {
    this.warnings = [...warnings];
    this.#problems = [...problems];
  }

  /** @param release undefined for manifests that are applied as they are */
  addManifests(
    text: string,
    where: string,
    path: string,
    release: { readonly chart: string | undefined; readonly namespace: string } | undefined,
  ): void {
    const { documents, problems } = readManifests(text, where);
    this.#problems.push(...problems);
    for (const document of documents) {
      const { value, source } = document;
      const place = `${source ?? path}#${[document.kind, document.name].filter((part) => part !== undefined).join('/')}`;
      const namespace = namespaceOf(value) ?? release?.namespace;
      for (const image of findImages(value)) {
        this.mentions.push({ ...mentionOf(image, `${place}.${image.path}`), chart: release?.chart, namespace });
      }
    }
  }

  addStatic(values: unknown, path: string, chart: string | undefined, appVersion: string | undefined): void {
    for (const image of findImagesInValues(values, appVersion === undefined ? {} : { appVersion })) {
      const note = image.note === undefined ? notRendered : `${image.note}; ${notRendered}`;
      this.mentions.push({ ...mentionOf(image, `${path}.${image.path}`), chart, note });
    }
  }

  addTemplates(
    templates: readonly { readonly path: string; readonly text: string }[],
    prefix: string,
    chart: string | undefined,
  ): void {
    for (const { path, text } of templates) {
      for (const image of findImagesInTemplate(text)) {
        this.mentions.push({ ...mentionOf(image, `${prefix}${path}#${image.path}`), chart, note: notRendered });
      }
    }
  }

  /** All of it, each once, in an order that does not depend on which chart was rendered first. */
  finish(where: string, { installPriority, contentCharts }: PackValues): LayerAnalysis {
    if (this.#problems.length > 0) throw combineProblems(where, this.#problems);
    return {
      mentions: distinct(this.mentions).toSorted(byPlace),
      installPriority,
      charts: distinct(this.charts).toSorted((one, other) => compare(one.path, other.path)),
      contentCharts,
      unrendered: distinct(this.unrendered).toSorted((one, other) => compare(one.chart ?? '', other.chart ?? '')),
      warnings: [...new Set(this.warnings)].sort(compare),
    };
  }
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

const notRendered = 'read as it stands, not rendered';

function namespaceOf(object: unknown): string | undefined {
  const result = namespacedSchema.safeParse(object);
  return result.success ? result.data.metadata.namespace : undefined;
}

const namespacedSchema = z.object({ metadata: z.object({ namespace: z.string().min(1) }) });

function byPlace(one: LocatedMention, other: LocatedMention): number {
  const order = (mention: LocatedMention): number => (mention.class === 'declared' ? 0 : 1);
  return order(one) - order(other) || compare(one.chart ?? '', other.chart ?? '');
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function mentionOf({ image, class: name, note }: FoundImage, path: string): LocatedMention {
  return { image, class: name, path, note };
}
