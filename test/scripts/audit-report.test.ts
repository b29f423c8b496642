import { describe, expect, test } from 'vitest'
import { readAuditReport } from '../../scripts/audit-report.ts'

const metadata = { vulnerabilities: {}, dependencies: { prod: 214, dev: 90 } }
const report = (vulnerabilities: object) => JSON.stringify({ auditReportVersion: 2, vulnerabilities, metadata })

describe('an audit of the dependencies', () => {
  test('is sound without findings, or with small ones only', () => {
    expect(readAuditReport(report({}))).toEqual({ outcome: 'sound', packages: 214 })
    const small = { semver: { name: 'semver', severity: 'moderate', range: '<7.5.2' } }
    expect(readAuditReport(report(small))).toEqual({ outcome: 'sound', packages: 214 })
  })

  test('names each package with a grave one', () => {
    const found = {
      'proto-js': { severity: 'critical', range: '<7.2.5' },
      semver: { severity: 'low', range: '*' },
      ws: { severity: 'high', range: '8.0.0 - 8.17.0' },
    }
    expect(readAuditReport(report(found))).toEqual({
      outcome: 'vulnerable',
      findings: ['proto-js <7.2.5: critical', 'ws 8.0.0 - 8.17.0: high'],
    })
  })

  test.each([
    [
      'a registry without an endpoint for it',
      '{"message":"404 Not Found - POST /-/npm/v1/security/audits/quick"}',
      /404/,
    ],
    [
      'no network',
      '{"error":{"code":"ENOTFOUND","summary":"request to registry failed"}}',
      /request to registry failed/,
    ],
    ['nothing at all', '', /no answer/],
    ['something else', '<html>Sign in</html>', /Sign in/],
  ])('was none with %s, and says so', (_what, printed, reason) => {
    expect(readAuditReport(printed)).toEqual({ outcome: 'not audited', reason: expect.stringMatching(reason) })
  })
})
