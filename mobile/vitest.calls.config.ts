import { defineConfig } from 'vitest/config';

/** Real WebRTC through a real TURN server. `make calls` adds the long ones (tests/calls/*.long.ts). */
export default defineConfig({
  test: {
    include: ['tests/calls/*.e2e.ts', ...(process.env['CALLS_LONG'] === undefined ? [] : ['tests/calls/*.long.ts'])],
    pool: 'forks',
    fileParallelism: false, // one relay, one TURN server and one set of voices at a time
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
