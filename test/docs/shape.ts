/** What differs from run to run, and the word that stands for it. The order matters: what comes first is taken first. */
const VARIABLES: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(:\d+(-\d+)?)?/g, 'UUID'],
  [/\b[0-9a-f]{8}…:\d+(-\d+)?/g, 'UUID'],
  [/\d{4}-\d{2}-\d{2}\.\d{6}\.\w+-\d{10}/g, 'BACKUP'],
  [/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z| UTC)?/g, 'WHEN'],
  [/\b\d{2}:\d{2}:\d{2}\b/g, 'WHEN'],
  [/(?<!\w)(file:)?(\/[\w.-]+)+/g, 'PATH'],
  [/\b(\d{1,3}\.){3}\d{1,3}(:\d+)?\b|\b(db\d|[\w-]+\.example\.com)\b(:\d+)?/g, 'HOST'],
  [/\bMySQL \d+\.\d+\.(\d+|x)|\bVer \d+\.\d+\.\d+[^,·]*/g, 'VERSION'],
  [/\d+(\.\d+)?((\/| → )\d+(\.\d+)?)? ([KMGT]i)?B\b( → \d+(\.\d+)? ([KMGT]i)?B\b)?(\/s)?/g, 'SIZE'],
  [/\b(\d+d)?(\d+h)?(\d+m)?\d+(\.\d+)?(ms|s|m|h|d)\b/g, 'TIME'],
  [/^ {2}out of service TIME\. /g, ''],
  [/\b(\d+\/)?\d+ (files|objects)\b/g, 'COUNT'],
]

/**
 * What a line says, without what differs from run to run and without its spaces: in a pipe, tabs separate the cells of a table.
 * @param hostname of this machine, which stands in some lines
 */
export function shapeOf(line: string, hostname: string): string {
  // Where a run is just then, nobody knows.
  if (/^[a-z]\w*-\d{10}\s+(backup|restore|bootstrap)\s/.test(line)) return 'RUN'
  const known = line.replaceAll(new RegExp(`\\b${hostname}\\b(?=[,)])`, 'g'), '127.0.0.1')
  return VARIABLES.reduce((text, [pattern, word]) => text.replaceAll(pattern, word), known)
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** A line that only a person at a terminal gets, or only at some moments: the titles of a table, the step under way, its counters. */
function isPassing(line: string): boolean {
  if (/^ {2}\S+ [KMGT]?i?B {2}\d+\/\d+ files/.test(line) || isNews(line)) return true
  return /^[A-Z]+(\s+[A-Z]+)+$/.test(line) || /^ [⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(line)
}

/** In a pipe: the step under way, when it takes long, or what it waits for. */
function isNews(line: string | undefined): boolean {
  return line !== undefined && /^ … \S/.test(line)
}

/** What is said in any case: not what passes, nor the line below a wait that tells what to do about it. */
function lasting(lines: readonly string[]): string[] {
  return lines.filter(
    (line, at) => line.trim() !== '' && !isPassing(line) && !(/^ {3}\S/.test(line) && isNews(lines[at - 1])),
  )
}

/** Stands alone for lines that a page leaves out. */
const LEFT_OUT = '…'

/** The lines that a page shows, each with the one that was printed: undefined when the two outputs differ in shape. */
export function align(
  shown: readonly string[],
  printed: readonly string[],
  hostname: string,
): readonly (readonly [shown: string, printed: string])[] | undefined {
  const [line, ...others] = lasting(shown)
  const [real, ...rest] = lasting(printed)
  if (line === undefined) return real === undefined ? [] : undefined
  if (line.trim() === LEFT_OUT) {
    return align(others, printed, hostname) ?? (real === undefined ? undefined : align(shown, rest, hostname))
  }
  if (real === undefined || shapeOf(line, hostname) !== shapeOf(real, hostname)) return undefined
  const following = align(others, rest, hostname)
  return following && [[line, real], ...following]
}

/** Names of backups and ids of runs in a line, in order. */
export function namesIn(line: string): string[] {
  const run = /\b(?:backup|restore|bootstrap)\/[\w-]+\/[\w-]+\/\w+-\d{10}(?:[/-][\w:.-]+)?/
  const backup = /\d{4}-\d{2}-\d{2}\.\d{6}\.\w+-\d{10}/
  return line.match(new RegExp(`${run.source}|${backup.source}`, 'g')) ?? []
}
