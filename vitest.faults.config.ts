import { defineConfig } from 'vitest/config'
import { FAULT_SUITES, ON_REAL_SERVERS } from './vitest.config.ts'

/** The suites that `npm test` leaves out because they take minutes; CI runs them too. */
export default defineConfig({
  test: {
    ...ON_REAL_SERVERS,
    globalSetup: [...ON_REAL_SERVERS.globalSetup],
    include: FAULT_SUITES,
    // As many as `restore-faults` has tablets: to wait for one would count against a test's own time.
    maxConcurrency: 3,
  },
})
