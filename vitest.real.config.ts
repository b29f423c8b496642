import { defineConfig } from 'vitest/config'

/** Against other people's programs, which have to be built first: not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/real/**/*.test.ts'],
    environment: 'node',
    globalSetup: ['test/provide-servers.ts', 'test/real/provide-vitess.ts', 'test/real/provide-stores.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
})
