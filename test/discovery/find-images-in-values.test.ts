import { describe, expect, it } from 'vitest';

import { findImagesInTemplate } from '../../src/discovery/find-images-in-template.ts';
import { findImagesInValues } from '../../src/discovery/find-images-in-values.ts';
import { linesOf } from './objects.ts';

describe('findImagesInValues', () => {
  it('finds strings and parts, all of them as referenced', () => {
    const values = {
      image: { registry: 'quay.io', repository: 'org/app', tag: '1.2' },
      sidecarImage: 'org/sidecar:3',
      initContainers: [{ name: 'wait', image: 'busybox:1.36' }],
      env: [{ name: 'HELPER_IMAGE', value: 'org/helper:4' }],
      replicas: 3,
    };
    expect(linesOf(findImagesInValues(values))).toEqual([
      'referenced quay.io/org/app:1.2 image',
      'referenced org/sidecar:3 sidecarImage',
      'referenced busybox:1.36 initContainers[0].image',
      'referenced org/helper:4 env[0].value',
    ]);
  });

  it("takes the chart's version where there is no tag, and says so", () => {
    const values = { image: { repository: 'org/app', tag: '' }, proxy: { image: { repository: 'org/proxy', tag: 7 } } };
    expect(findImagesInValues(values, { appVersion: '2.5' })).toEqual([
      {
        image: 'org/app:2.5',
        class: 'referenced',
        path: 'image',
        note: "composed of repository: the tag is the chart's appVersion",
      },
      { image: 'org/proxy:7', class: 'referenced', path: 'proxy.image', note: 'composed of repository, tag' },
    ]);
  });

  it('takes the global registry in place of every other, as charts do', () => {
    const values = {
      global: { imageRegistry: 'registry.example:5000' },
      image: { registry: 'docker.io', repository: 'bitnami/redis', tag: '7.2' },
      exporter: { image: { registry: 'docker.io', repository: 'bitnami/exporter', tag: '1' } },
      other: { image: 'quay.io/org/other:1' },
    };
    expect(linesOf(findImagesInValues(values))).toEqual([
      'referenced registry.example:5000/bitnami/redis:7.2 image',
      'referenced registry.example:5000/bitnami/exporter:1 exporter.image',
      'referenced quay.io/org/other:1 other.image',
    ]);
    const unset = { ...values, global: { imageRegistry: '' } };
    expect(findImagesInValues(unset)[0]?.image).toBe('docker.io/bitnami/redis:7.2');
  });

  it('takes registry and tag from the global values, and from defaults beside them', () => {
    const values = {
      global: { hub: 'docker.io/istio', tag: '1.20', proxy: { image: 'proxyv2' } },
      pilot: { image: 'pilot' },
    };
    expect(linesOf(findImagesInValues(values))).toEqual([
      'referenced docker.io/istio/proxyv2:1.20 global.proxy',
      'referenced docker.io/istio/pilot:1.20 pilot',
    ]);
    const defaults = {
      defaultImageRegistry: 'quay.io',
      defaultImageRepository: 'org',
      defaultImageTag: '0.40',
      bridge: { image: { registry: '', repository: '', name: 'bridge', tag: '0.28' } },
      server: { image: { registry: '', repository: '', name: 'server' } },
    };
    expect(linesOf(findImagesInValues(defaults, { appVersion: '9' }))).toEqual([
      'referenced quay.io/org/bridge:0.28 bridge.image',
      'referenced quay.io/org/server:0.40 server.image',
    ]);
  });

  it('joins a repository that begins with a slash to the registry above it', () => {
    const values = { image: { baseRepo: 'registry.k8s.io', csi: { repository: '/sig-storage/csi', tag: 'v1' } } };
    expect(linesOf(findImagesInValues(values, { appVersion: '4' }))).toEqual([
      'referenced registry.k8s.io/sig-storage/csi:v1 image.csi',
    ]);
  });

  it('leaves out what is switched off', () => {
    const values = {
      metrics: { enabled: false, image: { repository: 'org/exporter', tag: '1' } },
      web: { enabled: true, image: { repository: 'org/web', tag: '1' } },
    };
    expect(linesOf(findImagesInValues(values))).toEqual(['referenced org/web:1 web.image']);
  });

  it('finds nothing in values that are none', () => {
    for (const values of [undefined, null, '', 'image', 7, [], {}]) expect(findImagesInValues(values)).toEqual([]);
  });
});

describe('findImagesInTemplate', () => {
  it('finds what is written out, with the line', () => {
    const template = `{{- if .Values.enabled }}
kind: Deployment
spec:
  containers:
    - image: {{ .Values.image.repository }}:{{ .Values.image.tag }}
    - image: "bitnami/kubectl:1.30"
    - image: {{ .Values.registry }}/org/app:1
    # image: quay.io/org/old:1
      env:
        - name: RELATED_IMAGE_PROXY
          value: quay.io/org/proxy:v2
        - image: {{ .Values.backup.image | default "org/backup:3" | quote }}
        - image: {{ printf "%s:%s" .Values.name (default "1.2" .Values.tag) }}
        - image: {{ .Values.full | default "quay.io/org/full:4" }}
        - name: {{ .Values.name | default "some/path:1" }}
      args: ["--url=https://example.org/a/b:1", "--image={{ .Values.x }}"]
{{- end }}
`;
    expect(linesOf(findImagesInTemplate(template))).toEqual([
      'referenced bitnami/kubectl:1.30 line 6',
      'referenced quay.io/org/proxy:v2 line 11',
      'referenced org/backup:3 line 12',
      'referenced quay.io/org/full:4 line 14',
    ]);
  });
});
