import { fieldOf, isPlainObject, type PlainObject } from './plain-object.ts';

/** An image that an operator makes of a version in a custom resource. */
export interface OperatorImage {
  readonly image: string;
  /** The fields that it follows from: `['spec', 'version']`. */
  readonly path: readonly string[];
  readonly note: string;
}

interface OperatorRule {
  /** The API group and the kind: `kibana.k8s.elastic.co/Kibana`. */
  readonly kind: string;
  readonly version: readonly string[];
  /** Where the resource may name the image itself; then nothing is inferred. */
  readonly image?: readonly string[];
  /** The image for a version; `spec` is the resource's. Undefined where there is none. */
  readonly imageOf: (version: string, spec: PlainObject) => string | undefined;
}

/**
 * What the operator of a custom resource would start for its version field, by the operator's own defaults. Nothing for
 * kinds that are not known, and where the resource names the image itself.
 */
export function operatorImages(object: PlainObject): OperatorImage[] {
  const { apiVersion, kind, spec } = object;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || !isPlainObject(spec)) return [];
  const found: OperatorImage[] = [];
  for (const rule of rulesByKind.get(`${apiVersion.split('/')[0] ?? ''}/${kind}`) ?? []) {
    const version = fieldOf(spec, rule.version);
    if (
      (typeof version !== 'string' && typeof version !== 'number') ||
      fieldOf(spec, rule.image ?? ['image']) !== undefined
    )
      continue;
    const image = rule.imageOf(String(version), spec);
    if (image === undefined) continue;
    const path = ['spec', ...rule.version];
    found.push({ image, path, note: `what the operator of ${kind} starts for this version by default` });
  }
  return found;
}

const elastic = 'docker.elastic.co';

// Elastic: Elastic Cloud on Kubernetes 3, pkg/controller/common/container. The others: the defaults that the operators document.
const rules: readonly OperatorRule[] = [
  plain('elasticsearch.k8s.elastic.co/Elasticsearch', `${elastic}/elasticsearch/elasticsearch`),
  plain('kibana.k8s.elastic.co/Kibana', `${elastic}/kibana/kibana`),
  plain('apm.k8s.elastic.co/ApmServer', `${elastic}/apm/apm-server`),
  plain('enterprisesearch.k8s.elastic.co/EnterpriseSearch', `${elastic}/enterprise-search/enterprise-search`),
  plain('logstash.k8s.elastic.co/Logstash', `${elastic}/logstash/logstash`),
  {
    kind: 'beat.k8s.elastic.co/Beat',
    version: ['version'],
    imageOf: (version, { type }) =>
      typeof type === 'string' && /^[a-z]+$/.test(type) ? `${elastic}/beats/${type}:${version}` : undefined,
  },
  {
    kind: 'agent.k8s.elastic.co/Agent',
    version: ['version'],
    imageOf: (version) =>
      `${elastic}/${Number.parseInt(version) < 9 ? 'beats' : 'elastic-agent'}/elastic-agent:${version}`,
  },
  {
    kind: 'maps.k8s.elastic.co/ElasticMapsServer',
    version: ['version'],
    imageOf: (version) => `${elastic}/elastic-maps-service/elastic-maps-server${mapsSuffix(version)}:${version}`,
  },
  {
    kind: 'packageregistry.k8s.elastic.co/PackageRegistry',
    version: ['version'],
    imageOf: (version) => `${elastic}/package-registry/distribution:lite-${version}`,
  },
  plain('monitoring.coreos.com/Prometheus', 'quay.io/prometheus/prometheus'),
  plain('monitoring.coreos.com/PrometheusAgent', 'quay.io/prometheus/prometheus'),
  plain('monitoring.coreos.com/Alertmanager', 'quay.io/prometheus/alertmanager'),
  plain('monitoring.coreos.com/ThanosRuler', 'quay.io/thanos/thanos'),
  plain('argoproj.io/ArgoCD', 'quay.io/argoproj/argocd'),
  {
    kind: 'grafana.integreatly.org/Grafana',
    version: ['version'],
    // The field takes a whole image too.
    imageOf: (version) => (/[/:@]/.test(version) ? version : `docker.io/grafana/grafana:${version}`),
  },
  {
    ...plain('opensearch.opster.io/OpenSearchCluster', 'docker.io/opensearchproject/opensearch'),
    version: ['general', 'version'],
    image: ['general', 'image'],
  },
  {
    ...plain('opensearch.opster.io/OpenSearchCluster', 'docker.io/opensearchproject/opensearch-dashboards'),
    version: ['dashboards', 'version'],
    image: ['dashboards', 'image'],
  },
  { ...plain('scylla.scylladb.com/ScyllaCluster', 'docker.io/scylladb/scylla'), image: ['repository'] },
  {
    ...plain('scylla.scylladb.com/ScyllaCluster', 'docker.io/scylladb/scylla-manager-agent'),
    version: ['agentVersion'],
    image: ['agentRepository'],
  },
  {
    kind: 'mongodbcommunity.mongodb.com/MongoDBCommunity',
    version: ['version'],
    imageOf: (version) => `docker.io/mongodb/mongodb-community-server:${version}-ubi8`,
  },
];

const rulesByKind: ReadonlyMap<string, readonly OperatorRule[]> = new Map(
  rules.map(({ kind }) => [kind, rules.filter((rule) => rule.kind === kind)]),
);

function plain(kind: string, repository: string): OperatorRule {
  return { kind, version: ['version'], imageOf: (version) => `${repository}:${version}` };
}

function mapsSuffix(version: string): string {
  if (isBefore(version, 8, 12)) return '-ubi8';
  return isBefore(version, 8, 16) ? '-ubi' : '';
}

function isBefore(version: string, major: number, minor: number): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split('.').map((digits) => Number.parseInt(digits));
  return itsMajor < major || (itsMajor === major && itsMinor < minor);
}
