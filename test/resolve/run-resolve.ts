import { join } from 'node:path';

import { documentSchemas, type ResolveDocument } from '../../src/report/documents.ts';
import { type CliResult, runInProcess } from '../cli/run-cli.ts';
import { helmPath } from '../support/helm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const cache = join(await temporaryFolder(), 'cache');

/** Runs `edge-bundle resolve` with the pinned Helm, and a cache that only this test file has. */
export async function runResolve(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  const own = { EDGE_BUNDLE_HELM: helmPath, EDGE_BUNDLE_CACHE_DIR: cache, PATH: process.env.PATH ?? '' };
  return runInProcess(['resolve', ...args], { environment: { ...own, ...environment } });
}

/** What `resolve` finds. @throws Error with stderr where it fails */
export async function resolveJson(
  args: readonly string[],
  environment?: Readonly<Record<string, string>>,
): Promise<ResolveDocument> {
  const { exitCode, stdout, stderr } = await runResolve([...args, '--output', 'json'], environment);
  if (exitCode !== 0) throw new Error(`resolve ended with ${String(exitCode)}: ${stderr}`);
  return documentSchemas.resolve.parse(JSON.parse(stdout));
}

/** `reference class,class` of each image. */
export function summaryOf({ images }: Pick<ResolveDocument, 'images'>): string[] {
  return images.map(({ reference, classes }) => `${reference} ${classes.join(',')}`);
}

export function referencesOf({ images }: Pick<ResolveDocument, 'images'>): string[] {
  return images.map(({ reference }) => reference);
}
