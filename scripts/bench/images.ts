import { availableParallelism } from 'node:os';

import pLimit from 'p-limit';

import { LayoutStore } from '../../src/store/layout-store.ts';
import { makeImage } from '../../test/support/images.ts';
import { debianTar, type Layer, makeLayer } from '../../test/support/layers.ts';
import { debianArchitecture, DebianArchive, type DebianPackage } from '../support/debian-archive.ts';
import type { Processes } from '../support/processes.ts';

const base = ['base-files', 'busybox-static', 'libc6', 'netbase'];
const tls = ['openssl'];
const java = ['openjdk-17-jre-headless'];
const python = ['python3'];
const erlang = ['erlang-base'];
const containerd = ['containerd'];

/** Each image's layers, each of them the packages that it adds to the ones below. */
const images: Readonly<Record<string, readonly (readonly string[])[]>> = {
  base: [base],
  tls: [base, tls],
  java: [base, tls, java],
  tomcat: [base, tls, java, ['libtomcat10-java']],
  zookeeper: [base, tls, java, ['libzookeeper-java']],
  postgres: [base, tls, ['postgresql-15']],
  rabbitmq: [base, tls, erlang, ['rabbitmq-server']],
  containerd: [base, tls, containerd],
  docker: [base, tls, containerd, ['docker.io']],
  podman: [base, tls, ['podman']],
  python: [base, tls, python],
  numpy: [base, tls, python, ['python3-numpy']],
  go: [base, ['golang-go']],
  prometheus: [base, ['prometheus']],
  alertmanager: [base, ['prometheus-alertmanager']],
  etcd: [base, ['etcd-server']],
  kubectl: [base, tls, ['kubernetes-client']],
  nginx: [base, tls, ['nginx']],
};

/** Docker's default. */
const gzipLevel = 6;

/** Makes the images that are measured into an OCI layout, and gives their names there. */
export async function makeImages(processes: Processes, layout: string, downloads: string): Promise<readonly string[]> {
  const store = await LayoutStore.open(layout);
  const archive = await DebianArchive.download(processes, Object.values(images).flat(2), downloads);
  const platform = { os: 'linux', architecture: await debianArchitecture(processes) };
  const limit = pLimit(availableParallelism());

  const layers = new Map<string, Promise<Layer>>();
  const layerOf = (packages: readonly DebianPackage[]): Promise<Layer> => {
    const paths = packages.map(({ path }) => path);
    const known = layers.get(paths.join());
    if (known !== undefined) return known;
    const made = limit(() => makeLayer(store, debianTar(paths, { epoch: 0 }), { level: gzipLevel }));
    layers.set(paths.join(), made);
    return made;
  };

  await Promise.all(
    Object.entries(images).map(async ([name, stack]) => {
      const below = new Set<DebianPackage>();
      const own = stack.map((packages) => {
        const added = archive.find(packages).filter((each) => !below.has(each));
        added.forEach((each) => below.add(each));
        return added;
      });
      const image = await makeImage(store, { layers: await Promise.all(own.map(layerOf)), platform });
      await store.tag(image, `${name}:1`);
    }),
  );
  return Object.keys(images).map((name) => `${name}:1`);
}
