import { defineConfig } from 'vitest/config'

/** What ends, kills and freezes things for minutes, and what measures: `npm run test:faults`. */
export const FAULT_SUITES = [
  'engine/copy-memory',
  'engine/killed-copy',
  'engine/page-format',
  'engine/responsive-copy',
  'engine/resume',
  'fuzz/inputs',
  'integration/agent-crash',
  'integration/agent-start',
  'integration/allow-primary',
  'integration/broken-replication',
  'integration/dead-man',
  'integration/ended-runs',
  'integration/ex-primary',
  'integration/failover',
  'integration/failover-restore',
  'integration/fences',
  'integration/foreign-lease',
  'integration/graceful-stop',
  'integration/one-at-a-time',
  'integration/reboot',
  'integration/refused-backups',
  'integration/restore-crash',
  'integration/restore-faults',
  'integration/second-agent',
  'integration/snapshot-faults',
  'security/grants',
  'security/secrets',
].map((suite) => `test/${suite}.test.ts`)

/** Real servers on a small machine: two files at once, and time for a mysqld to start, stop and catch up. */
export const ON_REAL_SERVERS = {
  environment: 'node',
  globalSetup: ['test/provide-servers.ts'],
  maxWorkers: 2,
  testTimeout: 120_000,
  hookTimeout: 120_000,
  teardownTimeout: 30_000,
  // The default of one second is too short for a server on a busy machine.
  expect: { poll: { timeout: 30_000 } },
} as const

export default defineConfig({
  test: {
    ...ON_REAL_SERVERS,
    globalSetup: [...ON_REAL_SERVERS.globalSetup],
    include: ['test/**/*.test.ts'],
    exclude: ['test/real/**', ...FAULT_SUITES],
  },
})
