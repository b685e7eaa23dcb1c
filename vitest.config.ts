import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { FaultReporter } from './scripts/test-report/report-faults.ts';
import { SkipReporter } from './scripts/test-report/report-skips.ts';

// The counts of CI come from here: a file for vitest's JSON report.
const report = process.env['PGBACKUP_TEST_REPORT'];

// Hundreds of processes of the product, and every worker, start from the same sources: compiled once, and kept.
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(new URL('.cache/compiled', import.meta.url));

// What is looked for again and again may take its time on a busy machine; vitest gives it a second.
const expectOptions = { poll: { timeout: 60_000, interval: 50 } };

// `unit` needs no network and no server; `real` starts real servers (PostgreSQL, S3, sshd, kube-apiserver) of its own.
// `faults` (minutes), `foreign` (servers of others, which scripts/foreign fetches), `cluster` (root, a whole node) and `chaos` (as long as
// it is told to) have runs of their own: npm run test:faults, test:foreign, test:cluster, test:chaos.
export default defineConfig({
  test: {
    reporters: ['default', new FaultReporter(), new SkipReporter(), ...(report === undefined ? [] : ['json'])],
    ...(report === undefined ? {} : { outputFile: { json: report } }),
    projects: [
      {
        test: {
          name: 'unit',
          expect: expectOptions,
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.real.test.ts'],
          setupFiles: ['test/servers/use-private-programs.ts'],
          // Far above what any of them takes alone: a busy machine is no failure.
          testTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'real',
          expect: expectOptions,
          include: ['test/**/*.real.test.ts'],
          exclude: ['test/chaos/**', 'test/faults/**', 'test/cluster/**', 'test/foreign/**'],
          setupFiles: ['test/servers/use-private-programs.ts'],
          // Against hanging only: on a busy machine some take two minutes.
          testTimeout: 600_000,
          hookTimeout: 300_000,
          // One more than the smallest machine has cores: most of the time goes into waiting for limits to pass.
          maxWorkers: 3,
          // Projects with another number of workers run after each other.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'faults',
          expect: expectOptions,
          include: ['test/faults/**/*.real.test.ts'],
          globalSetup: ['test/faults/share-server.ts'],
          setupFiles: ['test/servers/use-private-programs.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
          // Whole runs beside each other, in each of two files: more of them take no less time, and each of them much more.
          maxConcurrency: 3,
        },
      },
      {
        test: {
          name: 'foreign',
          expect: expectOptions,
          include: ['test/foreign/**/*.real.test.ts'],
          setupFiles: ['test/servers/use-private-programs.ts'],
          testTimeout: 600_000,
          hookTimeout: 300_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'chaos',
          expect: expectOptions,
          include: ['test/chaos/**/*.real.test.ts'],
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'cluster',
          expect: expectOptions,
          include: ['test/cluster/**/*.real.test.ts'],
          setupFiles: ['test/servers/use-private-programs.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // There can be one node on a machine.
          maxWorkers: 1,
        },
      },
    ],
  },
});
