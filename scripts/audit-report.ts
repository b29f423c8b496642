/** What came of asking the registry for known weaknesses of the packages that ours needs. */
export type AuditVerdict =
  | { readonly outcome: 'sound'; readonly packages: number }
  | { readonly outcome: 'vulnerable'; readonly findings: readonly string[] }
  /** Nobody answered who knows: not every registry, and no machine without a network. */
  | { readonly outcome: 'not audited'; readonly reason: string }

const GRAVE = ['high', 'critical']

/** Reads what `npm audit --json` printed. */
export function readAuditReport(printed: string): AuditVerdict {
  const report = parsed(printed)
  const { vulnerabilities, metadata } = record(report)
  if (vulnerabilities === undefined || metadata === undefined) {
    const { error, message } = record(report)
    const reason = [
      message,
      record(error)['summary'],
      record(error)['code'],
      printed.trim().split('\n')[0],
      'no answer',
    ]
    return { outcome: 'not audited', reason: String(reason.find((text) => typeof text === 'string' && text !== '')) }
  }
  const findings = Object.entries(record(vulnerabilities)).flatMap(([name, found]) => {
    const { severity, range } = record(found)
    return GRAVE.includes(String(severity)) ? [`${name} ${String(range)}: ${String(severity)}`] : []
  })
  if (findings.length > 0) return { outcome: 'vulnerable', findings }
  return { outcome: 'sound', packages: Number(record(record(metadata)['dependencies'])['prod'] ?? 0) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
