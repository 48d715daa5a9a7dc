/**
 * `hold PATH`: takes a lock and keeps it. `lose PATH CONTENT`: ends with a lock that another process has taken meanwhile.
 * `count PATH FILE TIMES`: adds 1 to the number in FILE, under the lock.
 */
import { readFile, writeFile } from 'node:fs/promises';

import { FileLock, withFileLock } from '../../src/files/file-lock.ts';

const [task, path = '', file = '', times = '0'] = process.argv.slice(2);

if (task === 'hold') {
  await FileLock.acquire(path);
  process.send?.('held');
  setInterval(() => undefined, 1_000);
} else if (task === 'lose') {
  await FileLock.acquire(path);
  await writeFile(path, file);
  process.disconnect();
} else {
  for (let time = 0; time < Number(times); time += 1) {
    await withFileLock(path, { waitMs: 200_000 }, async () => {
      const number = Number(await readFile(file, 'utf8'));
      await writeFile(file, String(number + 1));
    });
  }
  process.disconnect();
}
