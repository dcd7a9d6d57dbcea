/** Component tests. What needs Node itself (libsignal, sockets, the relay) runs in vitest, see vitest.config.ts. */
const preset = require('jest-expo/android/jest-preset.js');

const [packages, ...rest] = preset.transformIgnorePatterns;

module.exports = {
  preset: 'jest-expo/android',
  testMatch: ['<rootDir>/ui-tests/**/*.test.{ts,tsx}'],
  setupFilesAfterEnv: ['<rootDir>/ui-tests/setup.ts'],
  // These ship ES modules only, and Jest's runtime is CommonJS.
  transformIgnorePatterns: [packages.replace('(?!', '(?!(?:.pnpm/)?@noble|qr/|qr$|'), ...rest],
  maxWorkers: 2,
  // The first test of a file waits until all screens are compiled, on a machine that may be busy.
  testTimeout: 120_000,
};
