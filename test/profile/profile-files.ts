import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { EdgeBundleError } from '../../src/errors.ts';

/** A folder of profile files that a test writes and that is removed when the test ends. */
export async function withFiles<T>(
  files: Readonly<Record<string, string | Uint8Array>>,
  use: (paths: readonly string[]) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-profile-'));
  try {
    const paths: string[] = [];
    for (const [name, content] of Object.entries(files)) {
      const path = join(folder, name);
      await writeFile(path, content);
      paths.push(path);
    }
    return await use(paths);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface PackFixture {
  readonly name: string;
  readonly layer?: string;
  readonly type?: string;
  readonly values?: string;
  readonly manifests?: readonly { readonly name: string; readonly content?: string }[];
}

/** A profile document in JSON. */
export function profileJson(name: string, packs: readonly PackFixture[], type = 'add-on'): string {
  return JSON.stringify({
    metadata: { name },
    spec: {
      version: '1.0.0',
      template: { type, packs: packs.map((pack) => ({ layer: 'addon', type: 'oci', ...pack })) },
    },
  });
}

/** The messages of an error's failures, or its own where it stands alone. */
export function problemsOf(error: EdgeBundleError): string[] {
  return error.failures.length > 0 ? error.failures.map(({ message }) => message) : [error.message];
}
