import { describe, expect, it } from 'vitest';

import { findImages } from '../../src/discovery/find-images.ts';
import { findIn, findInContainer, findInData, findInSpec, linesOf } from './objects.ts';

const digest = `sha256:${'5'.repeat(64)}`;
const imagesOf = (found: readonly { image: string }[]): string[] => found.map(({ image }) => image);

describe('findImages in environment variables', () => {
  const inVariable = (name: string, value: string): string[] => imagesOf(findInContainer({ env: [{ name, value }] }));

  it('finds what a name announces, short names too', () => {
    expect(inVariable('RELATED_IMAGE_PROXY', `envoyproxy/envoy@${digest}`)).toEqual([`envoyproxy/envoy@${digest}`]);
    expect(inVariable('HELPER_IMAGE', 'busybox')).toEqual(['busybox']);
    expect(inVariable('POSTGRES_IMAGE_NAME', 'ghcr.io/org/postgresql:16')).toEqual(['ghcr.io/org/postgresql:16']);
    expect(inVariable('EXPORTER_IMAGE', 'ghcr.io/org/exporter')).toEqual(['ghcr.io/org/exporter']);
  });

  it('finds a full reference under any name', () => {
    expect(inVariable('PROXY', 'quay.io/org/proxy:v1')).toEqual(['quay.io/org/proxy:v1']);
    expect(inVariable('PROXY', `localhost:5000/proxy@${digest}`)).toEqual([`localhost:5000/proxy@${digest}`]);
  });

  it('finds each image of a list, one a line or with commas', () => {
    expect(inVariable('KAFKA_IMAGES', '3.6.0=quay.io/x/kafka:0.40-3.6\n3.7.0=quay.io/x/kafka:0.40-3.7\n')).toEqual([
      'quay.io/x/kafka:0.40-3.6',
      'quay.io/x/kafka:0.40-3.7',
    ]);
    expect(inVariable('SIDECARS', 'log=quay.io/x/log:1,quay.io/x/trace:2')).toEqual([
      'quay.io/x/log:1',
      'quay.io/x/trace:2',
    ]);
  });

  it('says where: the variable, in the list', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    ];
    const found = findInContainer({ env: [...env, { name: 'X_IMAGE', value: 'nginx:1' }] });
    expect(linesOf(found)).toEqual(['referenced nginx:1 spec.template.spec.containers[0].env[2].value']);
  });

  it('composes an image of several variables', () => {
    const found = findInContainer({
      env: [
        { name: 'PROXY_IMAGE_REPOSITORY', value: 'quay.io/org/proxy' },
        { name: 'PROXY_IMAGE_TAG', value: 'v3' },
        { name: 'AGENT_IMAGE', value: 'quay.io/org/agent' },
        { name: 'AGENT_VERSION', value: 'v4' },
      ],
    });
    expect(linesOf(found)).toEqual([
      'referenced quay.io/org/proxy:v3 spec.template.spec.containers[0].env',
      'inferred quay.io/org/agent:v4 spec.template.spec.containers[0].env',
    ]);
    expect(found[0]?.note).toBe('composed of PROXY_IMAGE_REPOSITORY, PROXY_IMAGE_TAG');
  });
});

describe('findImages in arguments and commands', () => {
  const inArguments = (...args: readonly string[]): string[] => imagesOf(findInContainer({ args }));

  it('finds the value of a flag, with and without an equals sign', () => {
    expect(inArguments('--sidecar-image=org/sidecar:1', '-v=4')).toEqual(['org/sidecar:1']);
    expect(inArguments('--image', 'busybox', '--port', '8080')).toEqual(['busybox']);
    expect(inArguments('-helperImage', 'quay.io/org/helper:2')).toEqual(['quay.io/org/helper:2']);
    expect(inArguments('--reloader=quay.io/org/reloader:v0.73.2')).toEqual(['quay.io/org/reloader:v0.73.2']);
  });

  it('finds several images in one argument', () => {
    expect(inArguments('--x=quay.io/org/a:1,y=quay.io/org/b:2')).toEqual(['quay.io/org/a:1', 'quay.io/org/b:2']);
    expect(inArguments('--images=org/a:1,org/b:2')).toEqual(['org/a:1', 'org/b:2']);
  });

  it('finds images in a script, but not in its comments', () => {
    const script =
      '#!/bin/sh\n# docker pull quay.io/org/old:1\nctr images pull quay.io/org/new:2\nrun --image=org/tool:3\n';
    expect(imagesOf(findInContainer({ command: ['/bin/sh', '-c', script] }))).toEqual([
      'quay.io/org/new:2',
      'org/tool:3',
    ]);
  });

  it('infers from a repository that gets its tag elsewhere', () => {
    const found = findInContainer({ args: ['--prometheus-default-base-image=quay.io/prometheus/prometheus'] });
    expect(found).toEqual([
      {
        image: 'quay.io/prometheus/prometheus',
        class: 'inferred',
        path: 'spec.template.spec.containers[0].args[0]',
        note: 'no tag is given',
      },
    ]);
  });
});

describe('findImages in ConfigMaps and Secrets', () => {
  it('finds them in YAML, with the path in it', () => {
    const yaml =
      '# settings\nsidecar:\n  image: org/sidecar:2 # the newest\nworkers: [{ image: quay.io/org/worker }]\n';
    expect(linesOf(findInData(yaml, 'app.yaml'))).toEqual([
      'referenced org/sidecar:2 data["app.yaml"]#sidecar.image',
      'referenced quay.io/org/worker data["app.yaml"]#workers[0].image',
    ]);
  });

  it('finds them in JSON, and in JSON in JSON', () => {
    const inner = JSON.stringify({ proxy: { image: 'quay.io/org/proxy:1' } });
    expect(linesOf(findInData(JSON.stringify({ template: inner })))).toEqual([
      'referenced quay.io/org/proxy:1 data.file#template#proxy.image',
    ]);
  });

  it('finds the objects of a manifest', () => {
    const yaml = `
apiVersion: v1
kind: Pod
spec: { containers: [{ image: "nginx:1", args: ["--image=org/a:1"] }] }
---
apiVersion: kibana.k8s.elastic.co/v1
kind: Kibana
spec: { version: 9.4.0 }
`;
    expect(linesOf(findInData(yaml))).toEqual([
      'referenced nginx:1 data.file#[0].spec.containers[0].image',
      'referenced org/a:1 data.file#[0].spec.containers[0].args[0]',
      'inferred docker.elastic.co/kibana/kibana:9.4.0 data.file#[1].spec.version',
    ]);
  });

  it('finds them in INI files and in templates that are no YAML', () => {
    const ini = '[runners]\n; none\nimage = "alpine"\nhelper_image = org/helper:17\nname = "x"\nimage = img\n';
    expect(imagesOf(findInData(ini))).toEqual(['alpine', 'org/helper:17']);
    const template = 'spec:\n{{- if .Sidecar }}\n  image: quay.io/org/sidecar:1\n{{- end }}\n  image: "{{ .Image }}"\n';
    expect(imagesOf(findInData(template))).toEqual(['quay.io/org/sidecar:1']);
  });

  it('takes the key of an entry into account', () => {
    expect(imagesOf(findInData('busybox', 'helper-image'))).toEqual(['busybox']);
    expect(imagesOf(findInData('busybox', 'helper'))).toEqual([]);
  });

  it('reads Secrets, as text and encoded', () => {
    const encoded = Buffer.from('image: quay.io/org/encoded:1\n').toString('base64');
    const found = findIn(`
apiVersion: v1
kind: Secret
stringData: { a.yaml: "image: quay.io/org/plain:1\\nx: 1\\n" }
data: { b.yaml: ${encoded}, key: "${Buffer.from([0, 255, 254]).toString('base64')}" }
`);
    expect(linesOf(found)).toEqual([
      'referenced quay.io/org/plain:1 stringData["a.yaml"]#image',
      'referenced quay.io/org/encoded:1 data["b.yaml"]',
    ]);
  });
});

describe('findImages in annotations', () => {
  it('finds strings and JSON, in pod templates too', () => {
    const found = findIn(`
apiVersion: apps/v1
kind: Deployment
metadata:
  annotations:
    sidecar.example.org/proxy-image: org/proxyv2:1.20
    example.org/config: '{"init": {"image": "quay.io/org/init:1"}}'
    example.org/description: uses quay.io/org/described:1
spec:
  template:
    metadata:
      annotations: { example.org/sidecar: "quay.io/org/sidecar:2", example.org/sidecar-image-pull-policy: Always }
`);
    expect(linesOf(found)).toEqual([
      'referenced org/proxyv2:1.20 metadata.annotations["sidecar.example.org/proxy-image"]',
      'referenced quay.io/org/init:1 metadata.annotations["example.org/config"]#init.image',
      'referenced quay.io/org/sidecar:2 spec.template.metadata.annotations["example.org/sidecar"]',
    ]);
  });
});

describe('findImages in custom resources', () => {
  it.each(['image', 'imageName', 'sidecarImage', 'proxy_image', 'imageRef', 'containerimage'])('finds %s', (key) => {
    expect(linesOf(findInSpec({ [key]: 'org/app:1' }))).toEqual([`referenced org/app:1 spec.${key}`]);
  });

  it('finds parameters, lists and maps of images', () => {
    const found = findInSpec({
      parameters: [{ name: 'builder-image', value: 'golang' }],
      images: ['org/a:1', 'org/b:2'],
      relatedImages: { proxy: 'quay.io/org/proxy:3' },
      set: { image: 'nginx' },
    });
    expect(linesOf(found)).toEqual([
      'referenced golang spec.parameters[0].value',
      'referenced org/a:1 spec.images[0]',
      'referenced org/b:2 spec.images[1]',
      'referenced quay.io/org/proxy:3 spec.relatedImages.proxy',
      'referenced nginx spec.set.image',
    ]);
  });

  it.each<[string, string, unknown]>([
    ['registry, repository and tag', 'quay.io/org/app:1', { registry: 'quay.io', repository: 'org/app', tag: '1' }],
    [
      'registry, repository, tag and digest',
      `quay.io/org/app:1@${digest}`,
      { registry: 'quay.io', repository: 'org/app', tag: '1', digest },
    ],
    ['a tag that is a number', 'org/app:1.27', { repository: 'org/app', tag: 1.27 }],
    ['a digest without its algorithm', `org/app@${digest}`, { repository: 'org/app', sha256: '5'.repeat(64) }],
    ['a digest in the place of the tag', `org/app@${digest}`, { repository: 'org/app', tag: `@${digest}` }],
    ['an empty tag beside a digest', `org/app@${digest}`, { repository: 'org/app', tag: '', digest }],
    [
      'repository, image and version',
      'nvcr.io/team/driver:24.1',
      { repository: 'nvcr.io/team', image: 'driver', version: '24.1' },
    ],
    ['repo, name and tag', 'quay.io/org/app:1', { repo: 'quay.io/org', name: 'app', tag: '1' }],
    ['hub, image and tag', 'docker.io/istio/proxyv2:1.20', { hub: 'docker.io/istio', image: 'proxyv2', tag: '1.20' }],
    ['registry, image and tag', 'quay.io/org/app:1', { registry: 'quay.io', image: 'org/app', tag: '1' }],
    ['image and tag', 'org/app:1', { image: 'org/app', tag: '1' }],
    ['a registry and an image with its tag', 'quay.io/org/app:1', { registry: 'quay.io', image: 'org/app:1' }],
    ['a prefix', 'org/job:2', { jobImageRepository: 'org/job', jobImageTag: '2', pullPolicy: 'Always' }],
    [
      'imageRegistry, imageName and imageTag',
      'quay.io/org/app:1',
      { imageRegistry: 'quay.io', imageName: 'org/app', imageTag: '1' },
    ],
    ['a registry with a port', 'reg.local:5000/app:1', { registry: 'reg.local:5000/', repository: 'app', tag: '1' }],
    [
      'a repository that begins with its registry',
      'quay.io/org/app:1',
      { registry: 'quay.io', repository: 'quay.io/org/app', tag: '1' },
    ],
  ])('composes %s', (_name, image, object) => {
    expect(linesOf(findInSpec({ component: object }))).toEqual([`referenced ${image} spec.component`]);
  });

  it('takes registry and tag from around the image', () => {
    const found = findInSpec({
      base: 'quay.io/org',
      components: {
        controller: { tag: 'v1', image: 'server' },
        loader: { tag: 'v2', image: 'noble', match: [{ osImage: 'Debian GNU/Linux 12', image: 'bookworm' }] },
      },
    });
    expect(linesOf(found)).toEqual([
      'referenced quay.io/org/server:v1 spec.components.controller',
      'referenced quay.io/org/noble:v2 spec.components.loader',
      'referenced quay.io/org/bookworm:v2 spec.components.loader.match[0]',
    ]);
  });

  it('composes nothing of parts that are no image', () => {
    expect(findInSpec({ imageRegistry: 'quay.io', imagePullSecrets: [{ name: 'regcred' }] })).toEqual([]);
    expect(findInSpec({ imageTag: 'v1', imagePullPolicy: 'IfNotPresent' })).toEqual([]);
    expect(findInSpec({ chart: { repository: 'https://charts.example.org', name: 'web', version: '1.2.3' } })).toEqual(
      [],
    );
    expect(findInSpec({ source: { repository: '{{ .Values.repo }}', tag: 'v1' } })).toEqual([]);
    expect(findInSpec({ versions: [{ name: 'v1', version: '1.2' }] })).toEqual([]);
    expect(findInSpec({ git: { repo: 'git@github.com:org/app.git', tag: 'v1' } })).toEqual([]);
  });

  it('guesses where a version is the tag, and says so', () => {
    expect(findInSpec({ image: 'mattermost/team-edition', version: '7.8' })).toEqual([
      {
        image: 'mattermost/team-edition:7.8',
        class: 'inferred',
        path: 'spec',
        note: 'composed of image, version: the tag is the version',
      },
    ]);
    expect(linesOf(findInSpec({ version: 'v7.5.0', storage: { baseImage: 'org/storage' } }))).toEqual([
      'inferred org/storage:v7.5.0 spec.storage',
    ]);
  });

  it('reports an image once for a place', () => {
    const found = findImages({ env: [{ name: 'X', value: 'quay.io/org/a:1 quay.io/org/a:1' }] });
    expect(linesOf(found)).toEqual(['referenced quay.io/org/a:1 env[0].value']);
  });
});

describe('findImages in custom resources of operators', () => {
  const of = (apiVersion: string, kind: string, spec: unknown): string[] =>
    linesOf(findImages({ apiVersion, kind, metadata: { name: 'x' }, spec }));

  it.each<[string, string, unknown, string]>([
    [
      'elasticsearch.k8s.elastic.co/v1',
      'Elasticsearch',
      { version: '9.4.0' },
      'docker.elastic.co/elasticsearch/elasticsearch:9.4.0',
    ],
    [
      'beat.k8s.elastic.co/v1beta1',
      'Beat',
      { type: 'filebeat', version: '8.1.0' },
      'docker.elastic.co/beats/filebeat:8.1.0',
    ],
    ['agent.k8s.elastic.co/v1alpha1', 'Agent', { version: '8.17.0' }, 'docker.elastic.co/beats/elastic-agent:8.17.0'],
    [
      'agent.k8s.elastic.co/v1alpha1',
      'Agent',
      { version: '9.0.0' },
      'docker.elastic.co/elastic-agent/elastic-agent:9.0.0',
    ],
    [
      'maps.k8s.elastic.co/v1alpha1',
      'ElasticMapsServer',
      { version: '8.15.1' },
      'docker.elastic.co/elastic-maps-service/elastic-maps-server-ubi:8.15.1',
    ],
    ['monitoring.coreos.com/v1', 'Prometheus', { version: 'v2.55.0' }, 'quay.io/prometheus/prometheus:v2.55.0'],
  ])('infers from %s %s %j', (apiVersion, kind, spec, image) => {
    expect(of(apiVersion, kind, spec)).toEqual([`inferred ${image} spec.version`]);
  });

  it('infers nothing where the resource names the image, gives no version, or is not known', () => {
    expect(of('kibana.k8s.elastic.co/v1', 'Kibana', { version: '9.4.0', image: 'reg.local/kibana:9.4.0' })).toEqual([
      'referenced reg.local/kibana:9.4.0 spec.image',
    ]);
    expect(of('kibana.k8s.elastic.co/v1', 'Kibana', { count: 1 })).toEqual([]);
    expect(of('example.org/v1', 'Kibana', { version: '9.4.0' })).toEqual([]);
    expect(of('beat.k8s.elastic.co/v1beta1', 'Beat', { type: '{{ .x }}', version: '8.1.0' })).toEqual([]);
  });
});

describe('findImages below a key that tells of images', () => {
  it('finds the members of a map, short names with a tag too', () => {
    const found = findInSpec({
      images: {
        proxy: 'envoyproxy/envoy:v1.30',
        cache: 'redis:7.2',
        nova: 'openstack/nova:train',
        agent: `org/agent@${digest}`,
      },
      image: { value: 'org/notebook:v1', options: ['org/notebook:v1', 'org/notebook-cuda:v1'] },
      extraImages: { tools: { name: 'org/tools', tag: '2' } },
    });
    expect(linesOf(found)).toEqual([
      'referenced envoyproxy/envoy:v1.30 spec.images.proxy',
      'referenced redis:7.2 spec.images.cache',
      'referenced openstack/nova:train spec.images.nova',
      `referenced org/agent@${digest} spec.images.agent`,
      'referenced org/notebook:v1 spec.image.value',
      'referenced org/notebook:v1 spec.image.options[0]',
      'referenced org/notebook-cuda:v1 spec.image.options[1]',
      'referenced org/tools:2 spec.extraImages.tools',
    ]);
  });

  it('takes nothing else there for an image', () => {
    const images = {
      registry: 'quay.io/org',
      mirror: 'https://mirror.example/v2/x:1',
      pullPolicy: 'Always',
      pullSecrets: [{ name: 'login' }],
      cache: { address: 'redis:6379', role: 'system:reader', path: '/var/lib/x:ro', size: '10Gi' },
      description: 'org/app:1 is the best',
    };
    expect(findInSpec({ images })).toEqual([]);
  });
});

describe('findImages in what Kustomize and parameters name', () => {
  it('takes the new name of an image, with its new tag or digest', () => {
    const images = [
      { name: 'nginx', newName: 'quay.io/org/nginx', newTag: '1.27' },
      { name: 'quay.io/org/app', newTag: 'v2' },
      { name: 'podinfo', newName: 'org/podinfo', digest },
    ];
    expect(imagesOf(findInSpec({ images }))).toEqual([
      'quay.io/org/nginx:1.27',
      'quay.io/org/app:v2',
      `org/podinfo@${digest}`,
    ]);
  });

  it('finds the default of a parameter', () => {
    const params = [
      { name: 'builderImage', default: 'org/builder:1' },
      { name: 'level', default: 'org/nothing:1' },
    ];
    expect(linesOf(findInSpec({ params }))).toEqual(['referenced org/builder:1 spec.params[0].default']);
  });
});
