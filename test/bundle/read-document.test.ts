import { readdirSync } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { smallBundle, writeBundle } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

describe('the document of a bundle', () => {
  it('is read from a bundle, its folder, or its bundle.json alone, and no file stays open', async () => {
    const planned = await smallBundle();
    const path = await writeBundle(await memoryFolder(), planned);
    const text = JSON.stringify(planned.document);
    const alone = join(await memoryFolder(), 'bundle.json');
    await writeFile(alone, text);
    const before = readdirSync('/proc/self/fd').length;
    for (const place of [path, dirname(path), alone]) {
      const { document, digest, id } = await readBundleDocument(place);
      expect([document, digest, id]).toEqual([planned.document, sha256(text), sha256(text).slice(7, 23)]);
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  it('is refused, without reading it, where it is larger than any', async () => {
    const path = join(await memoryFolder(), 'bundle.json');
    const handle = await open(path, 'w');
    await handle.write('{');
    await handle.truncate(16 * 1024 * 1024);
    // As large as it can be: then it is read, and is no JSON.
    await expectError('BUNDLE_INVALID', 'not JSON', () => readBundleDocument(path));
    await handle.truncate(5_000_000_000);
    await handle.close();
    await expectError('BUNDLE_INVALID', 'has 5000000000 bytes; a bundle.json has at most 16777216', () =>
      readBundleDocument(path),
    );
  });

  it('is not in an empty file, an empty folder, or below a file', async () => {
    const folder = await memoryFolder();
    await writeFile(join(folder, 'empty'), '');
    await mkdir(join(folder, 'folder'));
    await expectError('BUNDLE_INVALID', 'no seek table', () => readBundleDocument(join(folder, 'empty')));
    await expectError('FILE_FAILED', 'holds 0 bundles', () => readBundleDocument(join(folder, 'folder')));
    await expectError('FILE_FAILED', 'cannot read', () => readBundleDocument(join(folder, 'empty', 'x')));
  });
});
