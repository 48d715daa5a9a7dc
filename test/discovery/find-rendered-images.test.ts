import { describe, expect, it } from 'vitest';

import { findIn, linesOf } from './objects.ts';

describe('findImages in the specifications of pods', () => {
  it('finds containers, init containers and ephemeral containers of a pod', () => {
    const found = findIn(`
apiVersion: v1
kind: Pod
spec:
  initContainers: [{ name: a, image: busybox }]
  containers: [{ name: b, image: nginx:1.27 }, { name: c, image: "quay.io/org/app:2" }]
  ephemeralContainers: [{ name: d, image: docker.io/nicolaka/netshoot:v0.13 }]
`);
    expect(linesOf(found)).toEqual([
      'rendered busybox spec.initContainers[0].image',
      'rendered nginx:1.27 spec.containers[0].image',
      'rendered quay.io/org/app:2 spec.containers[1].image',
      'rendered docker.io/nicolaka/netshoot:v0.13 spec.ephemeralContainers[0].image',
    ]);
  });

  it('finds image volumes', () => {
    const found = findIn(`
apiVersion: v1
kind: Pod
spec:
  containers: [{ name: a }]
  volumes:
    - name: model
      image: { reference: quay.io/org/model:3, pullPolicy: IfNotPresent }
    - name: empty
      emptyDir: {}
`);
    expect(linesOf(found)).toEqual(['rendered quay.io/org/model:3 spec.volumes[0].image.reference']);
  });

  it('finds the pod template of a CronJob', () => {
    const found = findIn(`
apiVersion: batch/v1
kind: CronJob
spec:
  jobTemplate: { spec: { template: { spec: { containers: [{ name: a, image: curlimages/curl:8.19.0 }] } } } }
`);
    expect(linesOf(found)).toEqual([
      'rendered curlimages/curl:8.19.0 spec.jobTemplate.spec.template.spec.containers[0].image',
    ]);
  });

  it('finds the objects of a List', () => {
    const found = findIn(`
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Pod, spec: { containers: [{ image: one:1 }] } }
  - apiVersion: v1
    kind: List
    items: [{ apiVersion: v1, kind: Pod, spec: { containers: [{ image: two:2 }] } }]
`);
    expect(linesOf(found)).toEqual([
      'rendered one:1 items[0].spec.containers[0].image',
      'rendered two:2 items[1].items[0].spec.containers[0].image',
    ]);
  });

  it('finds pod templates in custom resources', () => {
    const found = findIn(`
apiVersion: example.org/v1
kind: Cluster
spec:
  nodeSets:
    - podTemplate: { spec: { containers: [{ name: sidecar, image: ghcr.io/org/sidecar:1 }, { name: main }] } }
`);
    expect(linesOf(found)).toEqual([
      'rendered ghcr.io/org/sidecar:1 spec.nodeSets[0].podTemplate.spec.containers[0].image',
    ]);
  });

  it('finds the deployments and the related images of a ClusterServiceVersion, but not its examples', () => {
    const found = findIn(`
apiVersion: operators.coreos.com/v1alpha1
kind: ClusterServiceVersion
metadata:
  annotations:
    containerImage: quay.io/org/operator:1.4
    alm-examples: '[{"apiVersion": "example.org/v1", "kind": "App", "spec": {"image": "quay.io/org/example:1"}}]'
    description: Runs quay.io/org/described:1
spec:
  relatedImages:
    - { name: proxy, image: "quay.io/org/proxy@sha256:${'a'.repeat(64)}" }
  install:
    spec:
      deployments:
        - spec: { template: { spec: { containers: [{ name: a, image: quay.io/org/operator:1.4 }] } } }
`);
    expect(linesOf(found)).toEqual([
      'referenced quay.io/org/operator:1.4 metadata.annotations.containerImage',
      `referenced quay.io/org/proxy@sha256:${'a'.repeat(64)} spec.relatedImages[0].image`,
      'rendered quay.io/org/operator:1.4 spec.install.spec.deployments[0].spec.template.spec.containers[0].image',
    ]);
  });

  it.each([
    ['a port in the registry', 'localhost:5000/app'],
    ['an address of IPv6', '[::1]:5000/org/app:1'],
    ['tag and digest together', `registry.k8s.io/pause:3.9@sha256:${'0'.repeat(64)}`],
    ['a template that nobody rendered', '{{ .Values.image }}'],
  ])('leaves an image as it is written: %s', (_name, image) => {
    const found = findIn(`kind: Pod\napiVersion: v1\nspec:\n  containers:\n    - image: "${image}"\n`);
    expect(found).toEqual([{ image, class: 'rendered', path: 'spec.containers[0].image' }]);
  });

  it('leaves out what controllers fill in', () => {
    expect(findIn('spec:\n  containers: [{ image: "" }, { image: null }, { name: istio-proxy }, null, 7]\n')).toEqual(
      [],
    );
  });

  it('finds nothing in the status of an object', () => {
    const found = findIn(`
apiVersion: v1
kind: Node
status: { images: [{ names: ["quay.io/org/app:1"] }] }
`);
    expect(found).toEqual([]);
  });
});

describe('findImages in the defaults of custom resource definitions', () => {
  const crd = (properties: string): string => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.example.org }
spec:
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          description: such as quay.io/org/described:1
          example: { image: quay.io/org/example:1 }
          properties:
${properties.replace(/^/gm, '            ')}
`;
  const path = 'spec.versions[0].schema.openAPIV3Schema.properties';

  it('finds an image by the name of the property', () => {
    const found = findIn(
      crd('sidecarImage: { type: string, default: busybox, description: "or quay.io/org/other:2" }'),
    );
    expect(linesOf(found)).toEqual([`referenced busybox ${path}.sidecarImage.default`]);
  });

  it('finds a pod specification', () => {
    const found = findIn(
      crd(
        'template:\n  type: object\n  default:\n    spec:\n      containers: [{ name: a, image: quay.io/org/app:1 }]',
      ),
    );
    expect(linesOf(found)).toEqual([`rendered quay.io/org/app:1 ${path}.template.default.spec.containers[0].image`]);
  });

  it('composes the defaults of several properties, and reads lists and maps', () => {
    const found = findIn(
      crd(`
proxy:
  type: object
  properties:
    repository: { type: string, default: quay.io/org/proxy }
    tag: { type: string, default: v2 }
tools:
  type: array
  items: { type: object, properties: { image: { type: string, default: "alpine:3.20" } } }
extra:
  type: object
  additionalProperties: { type: object, properties: { image: { type: string, default: "alpine:3.21" } } }
`),
    );
    expect(linesOf(found)).toEqual([
      `referenced quay.io/org/proxy:v2 ${path}.proxy`,
      `referenced alpine:3.20 ${path}.tools.items.properties.image.default`,
      `referenced alpine:3.21 ${path}.extra.additionalProperties.properties.image.default`,
    ]);
  });

  it('takes a property that is called default for a property', () => {
    expect(
      findIn(crd('default: { type: object, properties: { image: { type: string, enum: ["nginx:1"] } } }')),
    ).toEqual([]);
  });
});

describe('findImages in containers whose image is none', () => {
  it('takes patterns of policies, and templates of injectors, for no images', () => {
    const found = findIn(`
apiVersion: kyverno.io/v1
kind: ClusterPolicy
spec:
  rules:
    - validate: { pattern: { spec: { containers: [{ image: "!*:latest" }, { image: "registry.example/*" }] } } }
---
apiVersion: v1
kind: ConfigMap
data:
  config: |
    templates:
      sidecar: |
        spec:
          initContainers: [{ image: "{{ .Values.hub }}/init:{{ .Values.tag }}" }, { image: quay.io/org/init:1 }]
`);
    expect(linesOf(found)).toEqual([
      'referenced quay.io/org/init:1 data.config#templates.sidecar#spec.initContainers[1].image',
    ]);
  });

  it('takes a workload in another object for a template', () => {
    const found = findIn(`
apiVersion: kro.run/v1alpha1
kind: ResourceGraphDefinition
spec:
  resources:
    - template:
        apiVersion: apps/v1
        kind: Deployment
        spec: { template: { spec: { containers: [{ image: "\${schema.spec.image}" }, { image: x.io/sidecar:1 }] } } }
`);
    expect(found.map(({ class: itsClass, image }) => `${itsClass} ${image}`)).toEqual(['rendered x.io/sidecar:1']);
  });

  it("takes the injector's mark for no image", () => {
    const found = findIn(`
apiVersion: apps/v1
kind: Deployment
spec: { template: { spec: { containers: [{ name: istio-proxy, image: auto }] } } }
`);
    expect(found).toEqual([]);
  });

  it('lists what a workload runs as it is written, so that a mistake in it is noticed', () => {
    const found = findIn(`
apiVersion: apps/v1
kind: Deployment
spec: { template: { spec: { containers: [{ image: "quay.io/org/app:" }, { image: "\${IMAGE}" }] } } }
`);
    expect(found.map(({ class: itsClass, image }) => `${itsClass} ${image}`)).toEqual([
      'rendered quay.io/org/app:',
      'rendered ${IMAGE}',
    ]);
    const listed = findIn(`
apiVersion: v1
kind: List
items: [{ apiVersion: v1, kind: Pod, spec: { containers: [{ image: "app:" }] } }]
`);
    expect(listed.map(({ image }) => image)).toEqual(['app:']);
  });
});
