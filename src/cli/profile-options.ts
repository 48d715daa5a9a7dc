import type { InferredOptionTypes, Options, PositionalOptions } from 'yargs';

const inputGroup = 'Profiles:';
const renderGroup = 'Charts:';

/** What every command that resolves profiles takes. */
export const profileOptions = {
  'pack-dir': {
    group: inputGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Find packs in this folder, laid out as pack-central is (repeatable)',
  },
  'pack-registry': {
    group: inputGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Find packs at HOST[/BASE]/spectro-packs/archive/NAME:VERSION (repeatable)',
  },
  var: {
    group: inputGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'NAME=VALUE of a profile variable, of macro.NAME or of system.NAME (repeatable)',
  },
  'var-file': {
    group: inputGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Read such variables from a YAML or JSON file (repeatable)',
  },
  exclude: {
    group: inputGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Leave out an image: a reference, or a glob over normal forms (repeatable)',
  },
  'palette-endpoint': {
    group: inputGroup,
    type: 'string',
    requiresArg: true,
    describe: "Read profiles from Palette's API at this URL",
  },
  'palette-profile': {
    group: inputGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'A profile there: its uid, NAME or NAME@VERSION (repeatable)',
  },
  'palette-project': { group: inputGroup, type: 'string', requiresArg: true, describe: 'Its project: name or uid' },
  'palette-api-key-file': {
    group: inputGroup,
    type: 'string',
    requiresArg: true,
    describe: 'Read the API key from this file (or EDGE_BUNDLE_PALETTE_API_KEY)',
  },
  helm: {
    group: renderGroup,
    type: 'string',
    requiresArg: true,
    describe: 'The Helm program (or EDGE_BUNDLE_HELM; default: on the PATH)',
  },
  'kube-version': {
    group: renderGroup,
    type: 'string',
    requiresArg: true,
    describe: "The cluster's Kubernetes version (default: that of the profile's Kubernetes layer)",
  },
  'api-versions': {
    group: renderGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'An API version that the cluster has, as GROUP/VERSION[/KIND] (repeatable)',
  },
  values: {
    group: renderGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'CHART=FILE: values of a chart that is given by itself (repeatable)',
  },
  'allow-unrendered': {
    group: renderGroup,
    type: 'boolean',
    default: false,
    describe: 'Go on where charts cannot be rendered, with what reading them finds',
  },
  'cache-dir': {
    group: renderGroup,
    type: 'string',
    requiresArg: true,
    describe: 'Where renderings are kept (or EDGE_BUNDLE_CACHE_DIR; default: ~/.cache/edge-bundle)',
  },
} as const satisfies Readonly<Record<string, Options>>;

/** What is given by itself, before the options. */
export const profilesPositional = {
  type: 'string',
  array: true,
  describe: 'Profiles, packs, charts, Kubernetes manifests, lists of images: files, folders, addresses',
} as const satisfies PositionalOptions;

export type ProfileArguments = InferredOptionTypes<typeof profileOptions>;
