import * as z from 'zod';

import { build, diff, extract, inspect, merge, sign } from './bundle-documents.ts';
import { cacheList, cachePrune, cacheVerify } from './cache-documents.ts';
import { loaderPackage, mirrorConfig, preflight, transfer } from './host-documents.ts';
import { isoInspect, isoParts, madeIso } from './iso-documents.ts';
import { difference, lint, resolve, why } from './resolve-documents.ts';
import { firstBootStatusSchema } from './first-boot-status.ts';

/** What commands write to stdout with `--output json`, by the command's name. */
export const documentSchemas = {
  build,
  'cache ls': cacheList,
  'cache prune': cachePrune,
  'cache verify': cacheVerify,
  diff,
  extract,
  'first-boot': firstBootStatusSchema,
  inspect,
  'iso create': madeIso,
  'iso embed': madeIso,
  'iso inspect': isoInspect,
  'iso parts': isoParts,
  lint,
  load: transfer,
  'loader package': loaderPackage,
  'mirror-config': mirrorConfig,
  merge,
  preflight,
  resolve,
  'resolve --diff': difference,
  'resolve --why': why,
  sign,
  verify: transfer,
} as const;

export type BuildDocument = z.infer<typeof build>;
export type CacheListDocument = z.infer<typeof cacheList>;
export type CachePruneDocument = z.infer<typeof cachePrune>;
export type CacheVerifyDocument = z.infer<typeof cacheVerify>;
export type DiffDocument = z.infer<typeof diff>;
export type ExtractDocument = z.infer<typeof extract>;
export type InspectDocument = z.infer<typeof inspect>;
export type LoaderPackageDocument = z.infer<typeof loaderPackage>;
export type MirrorConfigDocument = z.infer<typeof mirrorConfig>;
/** Of `iso create` and of `iso embed`. */
export type MadeIsoDocument = z.infer<typeof madeIso>;
export type IsoInspectDocument = z.infer<typeof isoInspect>;
export type IsoPartsDocument = z.infer<typeof isoParts>;
export type LintDocument = z.infer<typeof lint>;
export type MergeDocument = z.infer<typeof merge>;
export type DifferenceDocument = z.infer<typeof difference>;
export type PreflightDocument = z.infer<typeof preflight>;
export type ResolveDocument = z.infer<typeof resolve>;
export type SignDocument = z.infer<typeof sign>;
export type WhyDocument = z.infer<typeof why>;
/** Of `load` and of `verify`. */
export type TransferDocument = z.infer<typeof transfer>;

/** JSON Schema (draft 2020-12) of all documents, under `$defs`; `docs/cli-output.schema.json` is this. */
export function documentsJsonSchema(): object {
  const definitions = Object.entries(documentSchemas).map(([name, schema]): [string, object] => [
    name,
    Object.fromEntries(Object.entries(z.toJSONSchema(schema)).filter(([key]) => key !== '$schema')),
  ]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'What edge-bundle writes to standard output with --output json, by command',
    $defs: Object.fromEntries(definitions),
  };
}
