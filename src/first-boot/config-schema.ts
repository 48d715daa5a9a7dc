import * as z from 'zod';

import { isEdgeBundleError } from '../errors.ts';
import { parseHostAddress } from '../oci-client/host-addresses.ts';
import { parseRegistry } from '../oci-client/reference.ts';

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In milliseconds; Infinity for `forever`. */
const waitSchema = z
  .string()
  .regex(/^([1-9][0-9]{0,5}[smhd]|forever)$/, { error: "expected a duration like 90s, 30m, 12h or 'forever'" })
  .transform((text) => (text === 'forever' ? Infinity : Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] ?? NaN)));

const pathSchema = z.string().regex(/^\/[^\0]*$/, { error: 'expected an absolute path' });

/** A folder within a medium: it must not lead out of it. */
const innerPathSchema = z
  .string()
  .regex(/^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\0]+$/, { error: "expected a path within the medium, without '..'" });

const urlSchema = z
  .string()
  .regex(/^https?:\/\/[^/\s@?#]+\/?$/, { error: 'expected https://HOST[:PORT], without a path or a user', abort: true })
  .refine(isRegistryAddress, { error: 'it is the address of no host: expected https://HOST[:PORT]' });

const directorySource = z.strictObject({
  directory: pathSchema.describe('A folder of the host; folders in it are searched too'),
});

const labelSource = z.strictObject({
  label: z
    .string()
    .min(1)
    .max(255)
    .describe('The label of a file system, or of a GPT partition: a second ISO, a USB disk, a partition of this disk'),
  path: innerPathSchema.describe('The folder on it that is searched. Default: all of it').optional(),
});

const removableSource = z.strictObject({
  removable: z.literal(true).describe('Every removable disk, USB disk and optical disk with a known file system'),
  path: innerPathSchema.describe('The folder on each that is searched. Default: all of it').optional(),
});

const sourceSchema = z.union([directorySource, labelSource, removableSource], {
  error: "expected one of 'directory: /path', 'label: NAME' or 'removable: true'",
});

const fingerprintSchema = z.string().regex(/^(sha256:)?([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/, {
  error: "expected the SHA-256 fingerprint of a certificate, as 'openssl x509 -fingerprint -sha256' prints it",
});

const configFields = z.strictObject({
  sources: z
    .array(sourceSchema)
    .min(1)
    .max(32)
    .describe('Where bundles may lie, in the order in which they are looked for'),
  harbor: urlSchema.describe('The Harbor that is loaded: https://HOST:PORT').optional(),
  registry: urlSchema.describe('In place of harbor: any other OCI registry').optional(),
  caCert: pathSchema.describe("The authority that signed the registry's certificate: a file in PEM").optional(),
  caFingerprint: fingerprintSchema
    .describe("Fetch the authority's certificate from Harbor, and trust it where it has this SHA-256 fingerprint")
    .optional(),
  insecure: z.boolean().default(false).describe('Do not check the certificate of the registry: for a test only'),
  resolve: z
    .array(
      z
        .string()
        .regex(/^[^\s:]+:[0-9]{1,5}:(\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+)$/, {
          error: 'expected HOST:PORT:ADDRESS',
          abort: true,
        })
        .refine(isHostAddress, { error: 'expected HOST:PORT:ADDRESS' }),
    )
    .max(32)
    .default([])
    .describe('Addresses of names that no name server knows: HOST:PORT:ADDRESS, as curl has it'),
  credFile: pathSchema.describe('Logins: {"image":[{"endpoint","username","password"}]}').optional(),
  username: z
    .string()
    .min(1)
    .max(255)
    .describe('In place of credFile: the user; passwordFile has the password')
    .optional(),
  passwordFile: pathSchema.optional(),
  project: z.string().min(1).max(255).default('spectro-images').describe('Of the images'),
  packsProject: z.string().min(1).max(255).default('spectro-packs').describe('Of charts and packs'),
  concurrency: z.int().min(1).max(32).default(4).describe('How many transfers run at once'),
  keys: z
    .array(pathSchema)
    .max(32)
    .default([])
    .describe(
      "Public keys in PEM, or the installer's .edge_custom_config.yaml: where any are given, only content that one of them signed is loaded",
    ),
  minimumDate: z.iso
    .datetime({ offset: true })
    .describe(
      'The least date (SOURCE_DATE_EPOCH of the build) that a bundle may have: nobody brings back what was replaced',
    )
    .optional(),
  require: z
    .array(z.string().regex(/^[0-9a-f]{16}$/, { error: 'expected the id of a bundle: 16 hex digits, in quotes' }))
    .max(256)
    .default([])
    .describe('Ids of bundles that have to be loaded in the end; without it, whatever is found is enough'),
  checkParts: z
    .boolean()
    .default(true)
    .describe('Check the parts of a bundle against BUNDLE.parts.json, where it is there'),
  recheck: z
    .boolean()
    .default(false)
    .describe('Ask the registry at every boot whether it still has what was loaded, and load again what is missing'),
  preflight: z
    .boolean()
    .default(true)
    .describe('Check host and registry before the first load, and tell what is amiss'),
  dataPath: pathSchema
    .describe("Where the registry's data will be stored: preflight compares its free space with the bundles")
    .optional(),
  stateDir: pathSchema.default('/var/lib/edge-bundle').describe('The journal, the status file, and what was loaded'),
  mountDir: pathSchema.default('/run/edge-bundle').describe('Below it media are mounted, read-only'),
  wait: z
    .strictObject({
      content: waitSchema.default(Infinity).describe('For media with the bundles'),
      registry: waitSchema.default(Infinity).describe('For the registry to be ready, from when it last was'),
    })
    .prefault({})
    .describe('How long to wait at most: 90s, 30m, 12h, forever'),
  ready: z
    .enum(['started', 'loaded'])
    .default('started')
    .describe('When systemd is told that the service is up: at once, or when everything is loaded'),
});

/** `/etc/edge-bundle/first-boot.yaml` (docs/first-boot.md); every member is documented in its JSON Schema. */
export const firstBootConfigSchema = configFields.check((context) => {
  const { harbor, registry, caCert, caFingerprint, credFile, username, passwordFile, insecure } = context.value;
  const problems: readonly (readonly [boolean, keyof z.infer<typeof configFields>, string])[] = [
    [harbor === undefined && registry === undefined, 'harbor', 'https://HOST:PORT is missing'],
    [harbor !== undefined && registry !== undefined, 'registry', "'harbor' and 'registry' exclude each other"],
    [
      caCert !== undefined && caFingerprint !== undefined,
      'caFingerprint',
      "'caCert' and 'caFingerprint' exclude each other",
    ],
    [insecure && (caCert ?? caFingerprint) !== undefined, 'insecure', "'insecure' and a CA exclude each other"],
    [caFingerprint !== undefined && harbor === undefined, 'caFingerprint', 'only a Harbor hands out its CA'],
    [credFile !== undefined && username !== undefined, 'username', "'credFile' and 'username' exclude each other"],
    [
      (username === undefined) !== (passwordFile === undefined),
      'passwordFile',
      "'username' and 'passwordFile' go together",
    ],
  ];
  for (const [isWrong, member, message] of problems) {
    if (isWrong) context.issues.push({ code: 'custom', message, path: [member], input: context.value });
  }
});

function isRegistryAddress(text: string): boolean {
  return URL.canParse(text) && succeeds(() => parseRegistry(new URL(text).host));
}

function isHostAddress(text: string): boolean {
  return succeeds(() => parseHostAddress(text));
}

function succeeds(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    if (isEdgeBundleError(error)) return false;
    throw error;
  }
}

export type FirstBootConfig = z.infer<typeof firstBootConfigSchema>;
export type ContentSource = z.infer<typeof sourceSchema>;

/** JSON Schema (draft 2020-12) of the configuration file; `manifests/first-boot/first-boot.schema.json` is this. */
export function firstBootConfigJsonSchema(): object {
  return {
    ...z.toJSONSchema(firstBootConfigSchema, { io: 'input', target: 'draft-2020-12' }),
    title: '/etc/edge-bundle/first-boot.yaml: what edge-bundle first-boot loads, from where, and into which registry',
  };
}
