import { z } from 'zod';

import { combineProblems, formatPath, problem } from './problems.ts';

const noContent = 'the manifest has no content';

const manifestSchema = z.looseObject({
  name: z.string().min(1),
  /** Palette's plain API answer leaves it out; its export has it. */
  content: z.string({ error: noContent }).regex(/\S/, { error: noContent }),
});

const packSchema = z.looseObject({
  name: z.string().min(1),
  type: z.enum(['spectro', 'oci', 'helm', 'manifest']),
  layer: z.enum(['kernel', 'os', 'k8s', 'cni', 'csi', 'addon']),
  version: z.string().nullish(),
  tag: z.string().nullish(),
  /** YAML in a string. */
  values: z.string().nullish(),
  manifests: z.array(manifestSchema).nullish(),
});

const profileDocumentSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    description: z.string().nullish(),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.looseObject({
    version: z.string().nullish(),
    template: z.looseObject({
      type: z.enum(['cluster', 'infra', 'add-on', 'system']),
      cloudType: z.string().nullish(),
      packs: z.array(packSchema),
    }),
    variables: z.array(z.looseObject({ name: z.string().min(1), defaultValue: z.string().nullish() })).nullish(),
  }),
});

/** A cluster profile as Palette exports and imports it. Members that are not named here are allowed and ignored. */
export type ProfileDocument = z.infer<typeof profileDocumentSchema>;
export type ProfilePack = z.infer<typeof packSchema>;

/** The JSON Schema (draft 2020-12) of a profile document; `manifests/profile.schema.json` is this. */
export function profileJsonSchema(): object {
  return z.toJSONSchema(profileDocumentSchema, { io: 'input' });
}

/**
 * Checks the shape of a document that was read. `where` names it in the errors.
 *
 * @throws EdgeBundleError PROFILE_INVALID with path and reason, all problems together
 */
export function parseProfileDocument(value: unknown, where: string): ProfileDocument {
  const result = profileDocumentSchema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => {
    const place = [where, ...namedPlaces(value, path)].join(', ');
    return problem(path.length === 0 ? place : `${place}, ${formatPath(path)}`, message, { hint: exportHint });
  });
  throw combineProblems(where, problems);
}

const exportHint =
  'A profile is what Palette exports (GET /v1/clusterprofiles/{uid}/export); only the export holds every manifest’s content.';

/** `pack 'a', manifest 'b'` for the objects on the way to `path` that have a name. */
function namedPlaces(value: unknown, path: readonly PropertyKey[]): string[] {
  const kinds: Readonly<Record<PropertyKey, string>> = { packs: 'pack', manifests: 'manifest' };
  const places: string[] = [];
  let current = value;
  for (const [index, key] of path.entries()) {
    if (typeof current !== 'object' || current === null) break;
    current = Reflect.get(current, key);
    const kind = typeof key === 'number' ? kinds[path[index - 1] ?? ''] : undefined;
    if (kind === undefined || typeof current !== 'object' || current === null) continue;
    if ('name' in current && typeof current.name === 'string') places.push(`${kind} '${current.name}'`);
  }
  return places;
}
