import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/android/*.android.ts'],
    pool: 'forks',
    fileParallelism: false, // each file has a JVM beside it
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
