import type { Digest } from '../content/digest.ts';

/** A chart as Helm loads it (Helm 4, "Charts"): its own files, and its subcharts as charts. */
export interface ChartContent {
  readonly name: string;
  readonly version: string;
  readonly appVersion?: string | undefined;
  readonly type: 'application' | 'library';
  readonly annotations: Readonly<Record<string, string>>;
  /** The versions of Kubernetes that it wants. */
  readonly kubeVersion?: string | undefined;
  /** Of `Chart.yaml`, and of `requirements.yaml` in charts of API version v1. */
  readonly dependencies: readonly ChartDependency[];
  /** The text of `values.yaml`; empty where there is none. */
  readonly values: string;
  /** Path → content, without those of the subcharts. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** What is in `charts/`, as a folder or an archive; whether it is switched on is not known here. */
  readonly subcharts: readonly ChartContent[];
}

export interface Chart extends ChartContent {
  /** The `.tgz`, as it was given. */
  readonly archive: Buffer;
  /** Of `archive`. */
  readonly digest: Digest;
}

/** A subchart as its parent names it: its values are below `alias`, or `name` where there is none. */
export interface ChartDependency {
  readonly name: string;
  readonly alias?: string | undefined;
  readonly version?: string | undefined;
  readonly repository?: string | undefined;
}

export const chartFile = 'Chart.yaml';
export const valuesFile = 'values.yaml';
export const schemaFile = 'values.schema.json';
