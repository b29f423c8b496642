import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/real/**'],
    environment: 'node',
    globalSetup: ['test/provide-servers.ts'],
    // Real servers on a small machine: two files at once, and time for a mysqld to start, stop and catch up.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
})
