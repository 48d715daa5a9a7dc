import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { findAlwaysPullImages } from '../../src/lint/admission-plugins.ts';

const find = (yaml: string): string[] => findAlwaysPullImages(parse(yaml));

describe('findAlwaysPullImages', () => {
  it.each([
    [
      'k3s: a list of arguments',
      'cluster: {config: {kube-apiserver-arg: [profiling=false, "enable-admission-plugins=AlwaysPullImages,NodeRestriction"]}}',
      'cluster.config.kube-apiserver-arg[1]',
    ],
    [
      'kubeadm v1beta3: a mapping',
      'cluster: {config: {clusterConfiguration: {apiServer: {extraArgs: {enable-admission-plugins: "NodeRestriction,AlwaysPullImages"}}}}}',
      'cluster.config.clusterConfiguration.apiServer.extraArgs.enable-admission-plugins',
    ],
    [
      'kubeadm v1beta4: a list of names and values',
      'apiServer: {extraArgs: [{name: enable-admission-plugins, value: "AlwaysPullImages"}]}',
      'apiServer.extraArgs[0].value',
    ],
    [
      'a list of plugins',
      'apiServer: {enable-admission-plugins: [NodeRestriction, AlwaysPullImages]}',
      'apiServer.enable-admission-plugins[1]',
    ],
    ['a command line', 'args: "--profiling=false --enable-admission-plugins=AlwaysPullImages --v=2"', 'args'],
    [
      'a configuration in a text: k3s and RKE2',
      'cluster:\n  config: |\n    # no AlwaysPullImages here\n    kube-apiserver-arg:\n    - anonymous-auth=true\n    - enable-admission-plugins=NodeRestriction,AlwaysPullImages\n',
      'cluster.config#kube-apiserver-arg[1]',
    ],
    [
      'a configuration in a text: kubeadm',
      'cluster:\n  config: |\n    clusterConfiguration:\n      apiServer:\n        extraArgs:\n          enable-admission-plugins: AlwaysPullImages\n',
      'cluster.config#clusterConfiguration.apiServer.extraArgs.enable-admission-plugins',
    ],
    [
      'a file that user data writes',
      'stages:\n  initramfs:\n  - files:\n    - path: /etc/rancher/k3s/config.d/a.yaml\n      content: |\n        kube-apiserver-arg:\n        - enable-admission-plugins=AlwaysPullImages\n',
      'stages.initramfs[0].files[0].content#kube-apiserver-arg[0]',
    ],
    [
      'a script',
      'commands:\n- |\n  # without AlwaysPullImages\n  exec kube-apiserver --v=2 \\\n    --enable-admission-plugins=AlwaysPullImages\n',
      'commands[0]',
    ],
    ['an admission configuration', 'plugins: [{name: AlwaysPullImages}]', 'plugins[0].name'],
  ])('finds it in %s', (_name, yaml, path) => {
    expect(find(yaml)).toEqual([path]);
  });

  it.each([
    ['it is switched off in a list', 'kube-apiserver-arg: ["disable-admission-plugins=AlwaysPullImages"]'],
    ['it is switched off in a mapping', 'extraArgs: {disable-admission-plugins: "AlwaysPullImages"}'],
    ['it is switched off by name', 'extraArgs: [{name: disable-admission-plugins, value: "A,AlwaysPullImages"}]'],
    [
      'it is switched off in a text',
      'cluster:\n  config: |\n    clusterConfiguration:\n      apiServer:\n        extraArgs:\n          disable-admission-plugins: AlwaysPullImages\n',
    ],
    [
      'only a comment in a text names it',
      'config: |\n  # AlwaysPullImages\n  kube-apiserver-arg:\n  - profiling=false\n',
    ],
    ['only a comment in a script names it', 'commands:\n- |\n  # AlwaysPullImages\n  exec true -- x\n'],
    ['another word holds its name', 'args: ["enable-admission-plugins=AlwaysPullImagesNot"]'],
    ['others are enabled', 'args: ["enable-admission-plugins=NodeRestriction"]'],
  ])('finds nothing where %s', (_name, yaml) => {
    expect(find(yaml)).toEqual([]);
  });

  it('finds each place', () => {
    expect(
      find('a: ["enable-admission-plugins=AlwaysPullImages"]\nb: {enable-admission-plugins: AlwaysPullImages}'),
    ).toEqual(['a[0]', 'b.enable-admission-plugins']);
  });
});
