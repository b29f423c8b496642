import { defineConfig } from 'vitest/config'
import { suitesWithoutProgram } from './test/real/programs.ts'
import { ON_REAL_SERVERS } from './vitest.config.ts'

/** Against other people's programs, which have to be built first: not part of `npm test`, but of CI. */
export default defineConfig(async () => {
  const skipped = await suitesWithoutProgram()
  for (const { suites, obstacle } of skipped) process.stderr.write(`skipped: ${suites.join(', ')}: ${obstacle}\n`)
  return {
    test: {
      ...ON_REAL_SERVERS,
      globalSetup: [...ON_REAL_SERVERS.globalSetup],
      include: ['test/real/**/*.test.ts'],
      exclude: skipped.flatMap(({ suites }) => suites),
      testTimeout: 300_000,
    },
  }
})
