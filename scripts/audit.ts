// npm run audit: known weaknesses, high or critical, of the packages that ours brings with it. A registry that cannot tell fails nothing.
import { spawnSync } from 'node:child_process'
import { readAuditReport } from './audit-report.ts'

/** A registry that does not answer at all is not waited for longer, in milliseconds. */
const LIMIT = 120_000

const asked = spawnSync('npm', ['audit', '--omit=dev', '--audit-level=high', '--json'], {
  encoding: 'utf8',
  timeout: LIMIT,
})
const verdict = readAuditReport(asked.stdout ?? '')
switch (verdict.outcome) {
  case 'sound':
    process.stdout.write(`no known weakness, high or critical, in ${verdict.packages} packages\n`)
    break
  case 'vulnerable':
    process.stdout.write(`${verdict.findings.join('\n')}\n`)
    process.exitCode = 1
    break
  case 'not audited':
    process.stdout.write(`NOT AUDITED: ${asked.error?.message ?? verdict.reason}\n`)
    break
}
