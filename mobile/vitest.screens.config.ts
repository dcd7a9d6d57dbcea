import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['screens/*.e2e.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
