import { defineConfig } from 'vitest/config';

const report = process.env.TEST_REPORT;

export default defineConfig({
  test: {
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    include: ['test/**/*.test.ts'],
    // For what hangs: a machine that is ten times slower, or busy with something else, fails no test.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 120_000, interval: 20 } },
    // Tests start registries and child processes of their own; a machine of two cores is no faster with more workers.
    maxWorkers: 2,
  },
});
