/** Parsers of text: what users, registries, hosts and clients write. */
import * as z from 'zod';

import { readChartMetadata } from '../../src/artifact/chart-metadata.ts';
import { parsePlatform } from '../../src/content/platform-match.ts';
import { parseDigest } from '../../src/content/digest.ts';
import { findImages } from '../../src/discovery/find-images.ts';
import { findImagesInTemplate } from '../../src/discovery/find-images-in-template.ts';
import { findImagesInValues } from '../../src/discovery/find-images-in-values.ts';
import { readImageName } from '../../src/discovery/image-name.ts';
import { readManifests } from '../../src/discovery/read-manifests.ts';
import { parseBlockDevices } from '../../src/first-boot/block-devices.ts';
import { parseMountTable } from '../../src/first-boot/mount-table.ts';
import { parseFirstBootConfig } from '../../src/first-boot/read-config.ts';
import { parseLeftOut } from '../../src/bundle/left-out.ts';
import { findInRepository } from '../../src/helm/chart-repository.ts';
import { parseChecksums } from '../../src/iso/checksum-file.ts';
import { parseChallenges } from '../../src/oci-client/challenge.ts';
import { parseCredentialText } from '../../src/oci-client/credential-text.ts';
import { dockerConfigSchema, nameOfKey } from '../../src/oci-client/docker-config.ts';
import { parseHostsToml } from '../../src/oci-client/hosts-toml.ts';
import { parseMappingRules } from '../../src/oci-client/mapping-rules.ts';
import { parseNoProxy } from '../../src/oci-client/no-proxy.ts';
import { formatReference, parseReference } from '../../src/oci-client/reference.ts';
import { parseRegistriesConf } from '../../src/oci-client/registries-conf.ts';
import { profilesSchema } from '../../src/palette/lists.ts';
import { answerError, readAnswer as readPaletteAnswer } from '../../src/palette/palette-answer.ts';
import { parsePackJson } from '../../src/profile/packs/pack-definition.ts';
import { readPackValues } from '../../src/profile/packs/pack-values.ts';
import { readTextInput } from '../../src/profile/inputs/text-input.ts';
import { parseGivenValue } from '../../src/profile/macros/given-values.ts';
import { maskMacros } from '../../src/profile/macros/macro-text.ts';
import { parseYaml } from '../../src/profile/yaml-text.ts';
import { parseChunkRange, parseRange } from '../../src/serve/byte-range.ts';
import { Htpasswd } from '../../src/serve/htpasswd.ts';
import { parseLayoutName } from '../../src/serve/names.ts';
import { parseRoute } from '../../src/serve/route.ts';
import type { FuzzTarget } from './run-target.ts';

const hex = 'a'.repeat(64);
const values = `# spectrocloud.com/enabled-presets: Group:name
pack:
  namespace: harbor
  namespaceLabels:
    harbor: "pod-security.kubernetes.io/enforce=privileged"
  spectrocloud.com/install-priority: "10"
  content:
    images:
      - image: docker.io/goharbor/harbor-core:v2.9.0
      - image: "{{ .spectro.pack.edge.options.system.uri }}"
    charts:
      - repo: https://helm.goharbor.io
        name: harbor
        version: 1.13.0
charts:
  harbor:
    image: {registry: ghcr.io, repository: a/b, tag: v1}
    args: ["--sidecar-image=quay.io/a/b:1"]
    replicas: &r 2
    more: *r
`;

const profile = {
  metadata: { name: 'edge', description: 'x', labels: { a: 'b' } },
  spec: {
    version: '1.0.0',
    template: {
      type: 'cluster',
      cloudType: 'edge-native',
      packs: [
        {
          name: 'nginx',
          type: 'helm',
          layer: 'addon',
          version: '1.0.0',
          tag: '1.0.0',
          values,
          registry: { metadata: { uid: '1', name: 'Public', kind: 'helm', isPrivate: false } },
          manifests: [{ name: 'm', content: 'apiVersion: v1\nkind: Pod\nspec:\n  containers: [{image: a/b:1}]\n' }],
        },
      ],
    },
    variables: [{ name: 'v', defaultValue: 'x', isSensitive: false }],
  },
};

const kubernetes = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  template:
    spec:
      initContainers: [{name: i, image: "docker.io/library/busybox:1.36"}]
      containers:
        - name: web
          image: nginx:1.27
          env: [{name: RELATED_IMAGE_A, value: "quay.io/a/b:1"}]
          args: ["--sidecar-image=quay.io/c/d:2"]
---
apiVersion: v1
kind: ConfigMap
data:
  config.yaml: |
    image: ghcr.io/x/y:3
`;

function text(
  name: string,
  seeds: readonly string[],
  parse: (input: string) => unknown,
  judged: Pick<FuzzTarget, 'isRefusal' | 'takesAll'> = {},
): FuzzTarget {
  return {
    name,
    seeds: seeds.map((seed) => Buffer.from(seed)),
    parse: (input) => parse(input.toString('utf8')),
    ...judged,
  };
}

/** Of parsers that tell what is wrong in their results. */
const byProblems = {
  isRefusal: (result: unknown) =>
    typeof result === 'object' && result !== null && 'problems' in result && isFilled(result.problems),
};
const byNothing = { isRefusal: (result: unknown) => result === undefined };

function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}

export const textTargets: readonly FuzzTarget[] = [
  text(
    'reference',
    ['nginx', 'docker.io/library/nginx:1.27', `localhost:5000/a/b@sha256:${hex}`, `[::1]:5000/a:b@sha256:${hex}`],
    (input) => {
      const reference = parseReference(input);
      // What is accepted has one normal form.
      if (formatReference(parseReference(formatReference(reference))) !== formatReference(reference)) {
        throw new Error('the normal form of a reference has another one');
      }
    },
  ),
  text('digest', [`sha256:${hex}`, `sha512:${hex}${hex}`], parseDigest),
  text('platform', ['linux/amd64', 'arm/v7', 'windows/amd64'], parsePlatform),
  text('image name in text', ['nginx:1.27', 'quay.io/org/app', `a.b/c@sha256:${hex}`], readImageName, byNothing),
  text(
    'profile',
    [JSON.stringify(profile), JSON.stringify(profile, undefined, 2), kubernetes, 'nginx:1.27\nquay.io/a/b:1\n'],
    (input) => readTextInput(input, { file: 'profile.json', digest: `sha256:${hex}` }),
  ),
  text('pack values', [values], (input) => readPackValues(input, 'values.yaml'), byProblems),
  text(
    'presets',
    [
      'presets:\n- name: a\n  displayName: A\n  group: Group\n  remove: ["charts.x"]\n  add: |\n    charts:\n      x: 1\n',
    ],
    (input) => readPackValues(values.replace('Group:name', 'Group:a'), 'values.yaml', input),
    byProblems,
  ),
  text('YAML', [values, kubernetes], (input) => parseYaml(input, 'file'), byProblems),
  text(
    'pack.json',
    [
      JSON.stringify({
        name: 'a',
        version: '1',
        layer: 'addon',
        charts: ['charts/a.tgz'],
        kubeManifests: ['manifests/a.yaml'],
        constraints: {},
      }),
    ],
    (input) => parsePackJson(Buffer.from(input), 'pack.json'),
  ),
  text('macros', [values, '{{ .spectro.var.x | substr 0 4 }} {{.spectro.macro.y}}'], maskMacros, { takesAll: true }),
  text('given values', ['podCidr=10.0.0.0/16', 'macro.x=y'], parseGivenValue),
  text(
    'Kubernetes manifests',
    [kubernetes],
    (input) => {
      const manifests = readManifests(input, 'file');
      for (const { value } of manifests.documents) findImages(value);
      findImagesInTemplate(input);
      return manifests;
    },
    byProblems,
  ),
  text(
    'images in values',
    [JSON.stringify({ image: { repository: 'a/b', tag: '1' }, args: ['--image=quay.io/a/b:1'] })],
    (input) => {
      let value: unknown;
      try {
        value = JSON.parse(input);
      } catch {
        return undefined;
      }
      return findImagesInValues(value);
    },
    byNothing,
  ),
  text(
    'Chart.yaml',
    ['apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies:\n- name: b\n  version: 1\n  repository: https://x\n'],
    (input) => readChartMetadata(Buffer.from(input), undefined, 'chart'),
  ),
  text(
    'WWW-Authenticate',
    [
      'Bearer realm="https://a/token",service="r",scope="repository:a:pull"',
      'Basic realm="harbor", Bearer realm=x',
      'Negotiate abc==',
    ],
    parseChallenges,
    // Whoever asks looks for one of the schemes that it knows, with what belongs to it.
    { isRefusal: (challenges) => !isFilled(challenges) },
  ),
  text(
    'Range',
    ['bytes=0-499', 'bytes=-500', 'bytes=9500-', 'bytes=0-0,-1'],
    (input) => {
      const range = parseRange(input, 10_000);
      if (typeof range === 'object' && !(range.start >= 0 && range.start < range.end && range.end <= 10_000)) {
        throw new Error('a range is not within the content');
      }
      return range;
    },
    { isRefusal: (range) => typeof range === 'string' },
  ),
  text('Content-Range of an upload', ['0-499', '500-999'], parseChunkRange, byNothing),
  text(
    'path of a request',
    ['/v2/', '/v2/a/b/manifests/latest', `/v2/a/blobs/sha256:${hex}`, '/v2/a/blobs/uploads/x', '/v2/a/referrers/x'],
    parseRoute,
  ),
  text(
    'name in index.json',
    ['docker.io/library/nginx:1.27', `quay.io/a@sha256:${hex}`, '1.27'],
    (input) => parseLayoutName(input, 'folder'),
    // What names no repository is given one.
    { isRefusal: (name) => typeof name === 'object' && name !== null && Reflect.get(name, 'repository') === 'folder' },
  ),
  text('htpasswd', [`edge:$2y$05$${'a'.repeat(53)}\n# x\nb:$2b$10$${'b'.repeat(53)}\n`], (input) =>
    Htpasswd.parse(input),
  ),
  text(
    'hosts.toml',
    [
      'server = "https://a"\n[host."https://b"]\n  capabilities = ["pull", "resolve"]\n  ca = "/a.pem"\n  skip_verify = true\n  override_path = true\n[host."https://b".header]\n  x = ["y"]\n',
    ],
    (input) => parseHostsToml(input, 'hosts.toml'),
  ),
  text(
    'registries.conf',
    [
      'unqualified-search-registries = ["a"]\n[[registry]]\nprefix = "*.example.com"\nlocation = "a/b"\ninsecure = true\nblocked = false\n[[registry.mirror]]\nlocation = "m"\npull-from-mirror = "digest-only"\n',
    ],
    (input) => parseRegistriesConf(input, 'registries.conf'),
  ),
  text(
    'mapping rules',
    [
      'stylus:\n  externalRegistries:\n    registryMappingRules:\n      docker.io/a: b.example/c\n',
      'docker.io: x.example\n',
    ],
    (input) => parseMappingRules(input, 'rules'),
  ),
  text('NO_PROXY', ['localhost,.example.com,10.0.0.0/8,[::1]:80,*'], (input) => parseNoProxy(input)('10.1.2.3', 443), {
    isRefusal: (isDirect) => isDirect === false,
  }),
  text(
    'Docker configuration',
    [
      JSON.stringify({
        auths: { 'https://index.docker.io/v1/': { auth: 'YTpi' }, 'a:5': { identitytoken: 'x' } },
        credHelpers: { a: 'b' },
        credsStore: 'c',
      }),
    ],
    (input) => {
      const config = parseCredentialText(input, dockerConfigSchema, 'config.json');
      for (const key of Object.keys(config.auths ?? {})) nameOfKey(key);
    },
  ),
  text(
    'credentials file',
    [JSON.stringify({ image: [{ endpoint: 'a', username: 'b', password: 'c' }], helm: [] })],
    (input) =>
      parseCredentialText(input, z.object({ image: z.array(z.object({ endpoint: z.string() })) }), 'cred-file'),
  ),
  text(
    'first-boot.yaml',
    [
      'sources:\n  - directory: /opt/spectrocloud/content\n  - label: COS_CONTENT\n    path: bundle-content\nharbor: https://10.0.0.5:30003\nkeys: [/a.pem]\nwait: {content: 30m}\n',
    ],
    (input) => parseFirstBootConfig(input, 'first-boot.yaml'),
  ),
  text(
    'document of resolve',
    [JSON.stringify({ images: [], excluded: [{ reference: 'docker.io/a/b:1', pattern: 'x', namespaces: ['n'] }] })],
    (input) => parseLeftOut(input, "'resolution.json'"),
  ),
  text('SHA256SUMS', [`${hex}  ./content/a.tar.zst\n${hex} *./b\n`], parseChecksums),
  text(
    'mount table',
    ['36 35 98:0 / /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw\n37 35 8:1 /sub /x rw - ext4 /dev/sda1 rw\n'],
    parseMountTable,
    { isRefusal: (mounts) => !isFilled(mounts) },
  ),
  text(
    'lsblk',
    [
      JSON.stringify({
        blockdevices: [
          {
            path: '/dev/sda',
            'maj:min': '8:0',
            rm: '1',
            children: [{ path: '/dev/sda1', 'maj:min': ' 8:1', label: 'A' }],
          },
        ],
      }),
    ],
    parseBlockDevices,
  ),
  text(
    'index.yaml of a chart repository',
    [
      `apiVersion: v1\nentries:\n  nginx:\n  - name: nginx\n    version: 1.2.3\n    digest: ${hex}\n    urls: [nginx-1.2.3.tgz]\n`,
      JSON.stringify({ entries: { nginx: [{ version: '1.2.3', urls: ['https://a/nginx.tgz'], digest: hex }] } }),
    ],
    (input) =>
      findInRepository(new URL('https://charts.example/a/nginx:1.2.3'), { index: () => Promise.resolve(input) }),
  ),
  text(
    "answer of Palette's API",
    [
      JSON.stringify({
        items: [{ metadata: { name: 'a', uid: 'b', annotations: { c: 'd' } }, specSummary: { versions: [] } }],
        listmeta: { continue: '' },
      }),
    ],
    (input) =>
      readPaletteAnswer({ what: 'cannot list', host: 'palette.example', status: 200, text: input }, profilesSchema),
  ),
  text(
    'error of Palette',
    ['{"code":"Unauthorized","message":"no","ref":"x"}', '<html><body>bad gateway</body></html>'],
    (input) => answerError({ what: 'cannot list', host: 'palette.example', status: 502, text: input }).message,
    { isRefusal: (message) => message === 'cannot list: palette.example answered 502 Bad Gateway' },
  ),
];
