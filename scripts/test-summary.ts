import { existsSync, readFileSync } from 'node:fs';

import * as z from 'zod';

const reportSchema = z.object({
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) })),
});

/** Prints `N passed, N failed, N skipped` from vitest's JSON report. A file that does not load is one failure. */
function main(path: string): void {
  const files = existsSync(path) ? reportSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).testResults : [];
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const { status, assertionResults: tests } of files) {
    for (const test of tests) {
      if (test.status === 'passed') count.passed += 1;
      else if (test.status === 'failed') count.failed += 1;
      else count.skipped += 1;
    }
    if (status === 'failed' && !tests.some((test) => test.status === 'failed')) count.failed += 1;
  }
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  process.exitCode = count.passed > 0 && count.failed === 0 ? 0 : 1;
}

main(process.argv[2] ?? '');
