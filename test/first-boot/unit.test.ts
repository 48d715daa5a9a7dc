import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { temporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);
const unit = fileURLToPath(new URL('../../manifests/first-boot/edge-bundle-first-boot.service', import.meta.url));

it.skipIf(!existsSync('/usr/bin/systemd-analyze'))('systemd finds nothing wrong with the unit', async () => {
  const folder = await temporaryFolder();
  const program = join(folder, 'edge-bundle');
  await writeFile(program, '#!/bin/sh\n');
  await chmod(program, 0o755);
  const text = await readFile(unit, 'utf8');
  const copy = join(folder, 'edge-bundle-first-boot.service');
  await writeFile(copy, text.replace('/opt/edge-bundle/bin/edge-bundle', program));
  const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', copy]);
  expect(stdout + stderr).toBe('');
  // It does find what is wrong: an unknown directive, and a command that is not there.
  await writeFile(copy, text.replace('RestartSec=', 'RestartSecs='));
  const { stderr: wrong } = await run('systemd-analyze', ['verify', '--man=no', copy]).catch(
    (error: unknown) => error as { stderr: string },
  );
  expect(wrong).toMatch(/RestartSecs/);
});
