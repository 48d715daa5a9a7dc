import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { temporaryFolder } from '../support/temporary-folder.ts';
import { referencesOf, resolveJson, runResolve, summaryOf } from './run-resolve.ts';

const digest = 'sha256:4cb2b9019f1757be8482419002cb7afe028fdba35d47958829e4cfeaf6246d80';

let folder: string;

beforeAll(async () => {
  folder = await temporaryFolder();
});

function manifest(text: string): string {
  const path = join(folder, 'objects.yaml');
  writeFileSync(path, text);
  return path;
}

const found = async (text: string): Promise<string[]> => summaryOf(await resolveJson([manifest(text)]));

const pod = (spec: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: ${spec}\n`;

describe('resolve on Kubernetes objects', () => {
  it.each([
    ['a container', '{containers: [{name: a, image: x.io/main:1}]}'],
    ['an init container', '{initContainers: [{name: a, image: x.io/main:1}]}'],
    ['an ephemeral container', '{ephemeralContainers: [{name: a, image: x.io/main:1}]}'],
    ['an image volume', '{volumes: [{name: a, image: {reference: x.io/main:1, pullPolicy: Always}}]}'],
  ])('finds %s', async (_name, spec) => {
    expect(await found(pod(spec))).toEqual(['x.io/main:1 rendered']);
  });

  it.each([
    [
      'CronJob',
      'apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{image: "x.io/a:1"}]}}}}}',
    ],
    [
      'List object',
      'apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: PodTemplate, template: {spec: {containers: [{image: "x.io/a:1"}]}}}',
    ],
    [
      'custom resource with a pod template',
      'apiVersion: example.com/v1\nkind: Store\nspec: {tiers: [{podTemplate: {spec: {containers: [{image: "x.io/a:1"}]}}}]}',
    ],
  ])('finds the containers of a %s', async (_name, text) => {
    expect(await found(text)).toEqual(['x.io/a:1 rendered']);
  });

  it.each([
    ['an environment variable', pod('{containers: [{env: [{name: SIDECAR_IMAGE, value: "x.io/a:1"}]}]}')],
    ['RELATED_IMAGE_*', pod('{containers: [{env: [{name: RELATED_IMAGE_PROXY, value: "team/proxy:1"}]}]}')],
    ['an argument', pod('{containers: [{args: ["--v=2", "--sidecar-image=x.io/a:1"]}]}')],
    ['an argument that follows its flag', pod('{containers: [{command: [run, --agent-image, "x.io/a:1"]}]}')],
    ['a ConfigMap', 'apiVersion: v1\nkind: ConfigMap\ndata: {proxyImage: "x.io/a:1"}'],
    [
      'YAML in a ConfigMap',
      'apiVersion: v1\nkind: ConfigMap\ndata:\n  config.yaml: |\n    sidecar:\n      image: x.io/a:1\n',
    ],
    ['an annotation', 'apiVersion: v1\nkind: Service\nmetadata: {annotations: {example.com/inject-image: "x.io/a:1"}}'],
    ['a field of a custom resource', 'apiVersion: example.com/v1\nkind: Db\nspec: {imageName: "x.io/a:1"}'],
    [
      'parts in a custom resource',
      'apiVersion: example.com/v1\nkind: Db\nspec: {image: {registry: x.io, repository: a, tag: "1"}}',
    ],
    [
      'the default of a CRD',
      `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec: {versions: [{schema: {openAPIV3Schema: {properties: {spec: {properties: {image: {type: string, default: "x.io/a:1"}}}}}}}]}`,
    ],
  ])('finds what is written in %s', async (_name, text) => {
    const images = await found(text);
    expect(images).toHaveLength(1);
    expect(images[0]).toMatch(/^(x\.io\/a:1|docker\.io\/team\/proxy:1) referenced$/);
  });

  it('marks what an operator would make of a version as inferred', async () => {
    const images = await found(
      'apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: p}\nspec: {version: v2.53.0}',
    );
    expect(images).toEqual(['quay.io/prometheus/prometheus:v2.53.0 inferred']);
  });

  it('reads several documents with comments, anchors and merge keys', async () => {
    const text = `# first
---
apiVersion: v1
kind: Pod
common: &base {image: x.io/base:1, name: b} # shared
spec:
  containers:
    - <<: *base
    - *base
---
# nothing here
---
apiVersion: v1
kind: Pod
spec:
  containers:
    - {name: c, image: 'x.io/second:1'}
...
`;
    const names = referencesOf(await resolveJson([manifest(text)]));
    expect(names).toEqual(['x.io/base:1', 'x.io/second:1']);
  });

  it('keeps digest and tag together, and the port of a registry', async () => {
    const spec = `{containers: [{image: "nginx:1.27@${digest}"}, {image: "registry.example:5000/app"}, {image: "localhost/a:2"}]}`;
    expect(await found(pod(spec))).toEqual([
      `docker.io/library/nginx:1.27@${digest} rendered`,
      'registry.example:5000/app:latest rendered',
      'localhost/a:2 rendered',
    ]);
  });

  it('reads a folder of manifests', async () => {
    const many = await temporaryFolder();
    writeFileSync(join(many, 'a.yaml'), pod('{containers: [{image: "x.io/a:1"}]}'));
    writeFileSync(
      join(many, 'b.json'),
      JSON.stringify({ apiVersion: 'v1', kind: 'Pod', spec: { containers: [{ image: 'x.io/b:1' }] } }),
    );
    writeFileSync(join(many, 'README.md'), 'image: x.io/not:1');
    expect(referencesOf(await resolveJson([many]))).toEqual(['x.io/a:1', 'x.io/b:1']);
  });

  it('passes over what names no image: URLs, paths, schemas, empty fields', async () => {
    const text = `apiVersion: v1
kind: ConfigMap
data: {url: "https://example.com/a:1", path: /var/lib/image, logoImage: "https://x.io/a.png", imagePullPolicy: Always}
---
apiVersion: apps/v1
kind: Deployment
spec: {template: {spec: {containers: [{name: filled-in-later}, {name: empty, image: ""}]}}}
`;
    expect(await found(text)).toEqual([]);
  });

  it('refuses an image that is no reference, with the place', async () => {
    const { exitCode, stderr } = await runResolve([manifest(pod('{containers: [{image: "x.io/Upper:1"}]}'))]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/profile 'objects', objects\.yaml#Pod\/p\.spec\.containers\[0\]\.image: .*x\.io\/Upper:1/);
  });
});
