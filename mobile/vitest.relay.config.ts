import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/relay/real_*.contract.ts', 'tests/relay/real_*.e2e.ts'],
    pool: 'forks',
    fileParallelism: false, // one relay and one database at a time
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
