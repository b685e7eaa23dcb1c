import { defineConfig } from 'vitest/config';

// `unit` needs no network and no server; `real` starts real servers (PostgreSQL, S3, sshd, kube-apiserver) of its own.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: ['test/**/*.real.test.ts'], testTimeout: 20_000 } },
      {
        test: {
          name: 'real',
          include: ['test/**/*.real.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
    ],
  },
});
