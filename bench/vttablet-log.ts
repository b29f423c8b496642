import { TabletkeeperError } from '../model/errors.ts'

/** When vttablet copied files: what comes before and after is stopping and starting mysqld. Milliseconds since 1970. */
export interface CopyPhase {
  readonly begin: number
  readonly end: number
}

/** A line that begins or ends a phase; of go/vt/mysqlctl/builtinbackupengine.go of Vitess 24. */
interface Bounds {
  readonly begin: RegExp
  readonly end: RegExp
}

const BOUNDS: Readonly<Record<'backup' | 'restore', Bounds>> = {
  // backupFiles: the list is there; then all files; then MANIFEST.
  backup: { begin: /^found \d+ files to backup$/, end: /^Backing up file MANIFEST / },
  // executeRestoreFullBackup: mysqld is stopped and its files are gone; then all files.
  restore: { begin: /^Restore: copying \d+ files$/, end: /^Restore: returning replication position / },
}

/**
 * The last whole copy phase of that kind in vttablet's log: lines of JSON, or of glog's format.
 * @param year of lines of glog, which do not say
 * @throws NotFound when the log shows none
 */
export function lastCopyPhase(kind: 'backup' | 'restore', log: string, year = new Date().getFullYear()): CopyPhase {
  const bounds = BOUNDS[kind]
  let begin: number | undefined
  let last: CopyPhase | undefined
  for (const text of log.split('\n')) {
    const line = parseLine(text, year)
    if (line === undefined) continue
    if (bounds.begin.test(line.message)) begin = line.at
    if (begin === undefined || !bounds.end.test(line.message)) continue
    last = { begin, end: line.at }
    begin = undefined
  }
  if (last !== undefined) return last
  throw new TabletkeeperError('NotFound', `vttablet's log shows no ${kind} that copied all its files`)
}

interface LogLine {
  readonly at: number
  readonly message: string
}

function parseLine(text: string, year: number): LogLine | undefined {
  return text.startsWith('{') ? parseJsonLine(text) : parseGlogLine(text, year)
}

/** `{"time":"2025-01-02T03:04:05.678901234Z","level":"INFO","msg":"…"}` of Go's slog. */
function parseJsonLine(text: string): LogLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('time' in value) || !('msg' in value)) return undefined
  const at = Date.parse(String(value.time))
  return Number.isNaN(at) ? undefined : { at: at + restOfMillisecond(String(value.time)), message: String(value.msg) }
}

/** `Date` drops what is below a millisecond. */
function restOfMillisecond(time: string): number {
  const digits = /\.\d{3}(\d+)/.exec(time)?.[1]
  return digits === undefined ? 0 : Number(`0.${digits}`)
}

/** `I0102 03:04:05.678901   12345 file.go:123] …`, local time. */
function parseGlogLine(text: string, year: number): LogLine | undefined {
  const parts = /^[IWEF](\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{3})(\d{3}) +\d+ \S+\] (.*)$/.exec(text)
  if (parts === null) return undefined
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0, milliseconds = 0, micros = 0] = parts
    .slice(1, 8)
    .map(Number)
  const at = new Date(year, month - 1, day, hour, minute, second, milliseconds).getTime() + micros / 1000
  return { at, message: parts[8] ?? '' }
}
