import { describe, expect, it } from 'vitest';

import { findInContainer, findInData, findInSpec } from './objects.ts';

const everywhere = [
  ['a URL', 'https://quay.io/org/app:1.2'],
  ['a URL with a port', 'http://prometheus.monitoring.svc:9090/api/v1:2'],
  ['a reference of a chart', 'oci://ghcr.io/org/charts/app:1.2'],
  ['a host and a port', 'registry.example.com:5000'],
  ['an address and a port', '10.0.0.1:8080'],
  ['a network', '10.0.0.0/16'],
  ['a path', '/var/lib/app:ro'],
  ['a relative path', './config/app.yaml'],
  ['a file and a line', 'example.com/cmd/main.go:123'],
  ['an import path with a version', 'github.com/org/app:v1.2.3'],
  ['a service account', 'system:serviceaccount:kube-system:default'],
  ['a MIME type', 'application/vnd.oci.image.manifest.v1+json'],
  ['a group and a version', 'networking.k8s.io/v1'],
  ['a group, a version and a kind', 'networking.example.com/v1:Ingress'],
  ['a taint', 'node-role.kubernetes.io/control-plane:NoSchedule'],
  ['a label', 'topology.kubernetes.io/zone=eu-1'],
  ['a permission', 'rbac.example.com/roles:get'],
  ['a quantity', '500Mi'],
  ['a time', '2026-11-22T18:00:00Z'],
  ['a duration', '10m'],
  ['a chart', 'argo-cd-7.1.0'],
  ['a template', '{{ .Values.image.repository }}:{{ .Values.image.tag }}'],
  ['a template with a host', 'quay.io/org/app:{{ .Chart.AppVersion }}'],
  ['a template at the end of a tag', 'quay.io/org/app:v1-{{ .Values.variant }}'],
  ['a template at the beginning', '{{ .Values.registry }}/org/app:v1'],
  ['a variable of the shell', '$REGISTRY/org/app:$TAG'],
  ['a variable of the shell in a tag', 'quay.io/org/app:v1-${ARCH}'],
  ['a placeholder', 'quay.io/org/app:<version>'],
  ['a pattern', 'ghcr.io/org/*:v1'],
  ['an ARN', 'arn:aws:iam::123456789012:role/app'],
  ['a SPIFFE id', 'spiffe://cluster.local/ns/app:1'],
  ['an e-mail address', 'admin@example.com'],
  ['a mount', 'example.com/vol:rw'],
] as const;

describe('findImages', () => {
  it.each(everywhere)('takes %s for no image: %s', (_name, text) => {
    expect(findInSpec({ field: text })).toEqual([]);
    expect(findInContainer({ env: [{ name: 'SETTING', value: text }], args: [`--setting=${text}`, text] })).toEqual([]);
    expect(findInData(`a line\nwith ${text} in it\n`)).toEqual([]);
    expect(findInData(`a: 1\nb: "${text}"\n`)).toEqual([]);
  });

  it.each([
    'https://quay.io/org/app:1.2',
    '/images/app.img',
    'registry.example.com:5000',
    'background.png',
    'assets/logo.svg',
    '500Mi',
    '10m',
    'v1.2.3',
    '1.27',
    'true',
    'IfNotPresent',
    'projects/cos-cloud/global/images/cos-stable',
    'ami-0123456789abcdef0',
    'Canonical:UbuntuServer:22.04',
    'Red Hat Enterprise Linux 9',
    '{{ .Values.image }}',
    '$(IMAGE)',
    'ghcr.io/org/*',
    'system:serviceaccount:x',
    `sha256:${'a'.repeat(64)}`,
  ])('takes %s for no image, even where one is announced', (text) => {
    expect(findInSpec({ image: text })).toEqual([]);
    expect(
      findInContainer({ env: [{ name: 'X_IMAGE', value: text }], args: [`--x-image=${text}`, '--image', text] }),
    ).toEqual([]);
  });

  it.each([
    'imagePullPolicy',
    'imagePullSecret',
    'imageRegistry',
    'imageTag',
    'image-pull-progress-deadline',
    'IMAGE_PULL_POLICY',
    'logoImage',
    'imageSize',
    'imageRepository',
    'allowedImages',
  ])('takes no short name from %s', (key) => {
    expect(findInSpec({ [key]: 'org/app' })).toEqual([]);
    expect(findInSpec({ [key]: 'word' })).toEqual([]);
  });

  it('takes nothing from what is written for people', () => {
    const text = 'Runs quay.io/org/app:1, see below.';
    expect(findInSpec({ description: text, message: text, example: text, rules: [{ message: text }] })).toEqual([]);
  });

  it('takes nothing from labels and selectors', () => {
    expect(findInSpec({ metadata: { labels: { image: 'nginx' } }, selector: { image: 'nginx' } })).toEqual([]);
  });
});
