/** A profile's template as Palette exports it, and where it stands in the document that it was read from. */
export interface ExportForm {
  /** What `spec.template` and the rest are in an export. */
  readonly value: unknown;
  /** The path of what is at `spec.template` in `value`: for messages. */
  readonly templatePath: readonly string[];
}

const exportPath: readonly string[] = ['spec', 'template'];
const infrastructureLayers: ReadonlySet<unknown> = new Set(['kernel', 'os', 'k8s', 'cni', 'csi']);

/** Whether a document means to be a cluster profile, in any of its forms. */
export function looksLikeProfile(value: unknown): boolean {
  if (!isRecord(value) || !isRecord(value.spec)) return false;
  const { kind, spec } = value;
  if (kind !== undefined && kind !== 'ClusterProfile') return false;
  return ['template', 'packs', 'published', 'draft'].some((member) => spec[member] !== undefined);
}

/**
 * A profile in the form of Palette's export. Besides that one there are two raw forms of `kind: ClusterProfile`:
 * the object with `spec.packs`, and the answer of `GET /v1/clusterprofiles/{uid}`, whose packs are in `spec.published`.
 * What is no profile comes back as it is.
 */
export function toExportForm(value: unknown): ExportForm {
  if (!isRecord(value) || !isRecord(value.spec)) return { value, templatePath: exportPath };
  const { metadata, spec } = value;
  if (spec.template !== undefined) return { value, templatePath: exportPath };
  const { packs, published } = spec;
  const templatePath = isRecord(published) ? ['spec', 'published'] : ['spec'];
  const template = isRecord(published) ? published : packs === undefined ? undefined : spec;
  if (template === undefined) return { value, templatePath: exportPath };
  return {
    value: {
      metadata,
      spec: {
        version: textOf(spec.version) ?? textOf(template.profileVersion),
        template: {
          type: template.type ?? typeOf(template.packs),
          cloudType: template.cloudType,
          packs: Array.isArray(template.packs) ? template.packs.map(withType) : template.packs,
        },
        variables: spec.variables,
      },
    },
    templatePath,
  };
}

/** The raw object has a number. */
function textOf(version: unknown): unknown {
  return typeof version === 'number' ? String(version) : version;
}

/** The raw object does not always say which type of profile it is; its layers do. */
function typeOf(packs: unknown): string {
  const layers = Array.isArray(packs) ? packs.map((pack) => (isRecord(pack) ? pack.layer : undefined)) : [];
  if (!layers.some((layer) => infrastructureLayers.has(layer))) return 'add-on';
  return layers.includes('addon') ? 'cluster' : 'infra';
}

/** Palette's default. */
function withType(pack: unknown): unknown {
  return isRecord(pack) ? { ...pack, type: pack.type ?? 'spectro' } : pack;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
