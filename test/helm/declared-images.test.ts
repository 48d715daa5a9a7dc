import { describe, expect, it } from 'vitest';

import { declaredImages } from '../../src/helm/declared-images.ts';
import { chartFiles, makeChart } from '../support/helm.ts';
import { tarGzip } from '../support/tar-archive.ts';

function metadata(annotations: Readonly<Record<string, string>>, name = 'app'): string {
  return JSON.stringify({ apiVersion: 'v2', name, version: '1.2.3', annotations });
}

describe('declaredImages', () => {
  it('finds the lists of Artifact Hub and of Bitnami, in subcharts too', async () => {
    const sub = chartFiles(
      { 'Chart.yaml': metadata({ images: '- image: docker.io/bitnami/redis:7\n  name: redis\n' }, 'redis') },
      'redis',
    );
    const chart = await makeChart({
      'Chart.yaml': metadata({
        'artifacthub.io/images':
          '- name: app\n  image: ghcr.io/org/app:1\n  whitelisted: true\n- image: ghcr.io/org/side:2\n',
        'helm.sh/images': '["quay.io/org/tool:3"]',
        category: 'Storage',
      }),
      'charts/redis.tgz': tarGzip(sub),
    });
    expect(declaredImages(chart)).toEqual([
      { image: 'ghcr.io/org/app:1', path: 'Chart.yaml: annotations["artifacthub.io/images"][0].image' },
      { image: 'ghcr.io/org/side:2', path: 'Chart.yaml: annotations["artifacthub.io/images"][1].image' },
      { image: 'quay.io/org/tool:3', path: 'Chart.yaml: annotations["helm.sh/images"][0]' },
      { image: 'docker.io/bitnami/redis:7', path: 'charts/redis/Chart.yaml: annotations["images"][0].image' },
    ]);
  });

  it('passes over what is no list of images', async () => {
    const annotations = {
      'artifacthub.io/images': 'see the values',
      images: '- name: without an image\n- 5\n- image: [a]\n- image: ""\n- ""\n- image: good.example/a:1\n',
      'a.example/images': '- image: [',
      'artifacthub.io/imagesets': '- image: not.a/list:1',
      screenshots: '- image: not.a/list:2',
    };
    const chart = await makeChart({ 'Chart.yaml': metadata(annotations) });
    expect(declaredImages(chart).map(({ image }) => image)).toEqual(['good.example/a:1']);
  });

  it('finds nothing in a chart without annotations', async () => {
    expect(declaredImages(await makeChart({}))).toEqual([]);
  });
});
