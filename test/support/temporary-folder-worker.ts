/** Makes a temporary folder with a file in it, tells its path, and exits in the middle of its task. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { withTemporaryFolder } from '../../src/files/temporary-folder.ts';

await withTemporaryFolder(async (folder) => {
  writeFileSync(join(folder, 'file'), 'secret');
  await new Promise((sent) => process.send?.(folder, sent));
  process.exit(0);
});
