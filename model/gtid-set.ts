import { TabletkeeperError } from './errors.ts'

/** Transaction numbers `start` to `end`, both included. */
interface Interval {
  readonly start: bigint
  readonly end: bigint
}

const SID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const INTERVAL = /^(\d{1,19})(?:-(\d{1,19}))?$/
const TAG = /^[a-z_][a-z0-9_]{0,31}$/
/** The greatest transaction number of a server (MySQL's GNO_END is 2^63 - 1 and excluded). */
const MAX_NUMBER = 2n ** 63n - 2n

/** A set of transactions, such as `@@global.gtid_executed` holds. Immutable. */
export class GtidSet {
  static readonly EMPTY = new GtidSet(new Map())

  /** By server id, sorted; the intervals of each sorted, apart by a gap at least, never none. */
  readonly #intervals: ReadonlyMap<string, readonly Interval[]>

  private constructor(intervals: ReadonlyMap<string, Interval[]>) {
    this.#intervals = new Map(
      [...intervals]
        .map(([sid, list]) => [sid, merged(list)] as const)
        .filter(([, list]) => list.length > 0)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    )
  }

  /**
   * Reads a set as MySQL prints it, line breaks and all. As in MySQL, an interval that ends before it starts is none.
   * @throws InvalidInput also for tagged GTIDs (`uuid:tag:1-5`, MySQL 8.3 and later), which Vitess and we do not read
   */
  static parse(text: string): GtidSet {
    const intervals = new Map<string, Interval[]>()
    for (const part of text.replaceAll(/\s+/g, '').toLowerCase().split(',')) {
      if (part === '') continue
      const [sid = '', ...ranges] = part.split(':')
      if (!SID.test(sid) || ranges.length === 0) throw notASet(text, `${quoted(part)} is not <uuid>:<from>-<to>`)
      const list = intervals.get(sid) ?? []
      for (const range of ranges) list.push(parseInterval(range, text))
      intervals.set(sid, list)
    }
    return new GtidSet(intervals)
  }

  /** Lower case, server ids sorted, intervals merged: equal sets print equally, and as MySQL prints them (without line breaks). */
  toString(): string {
    return [...this.#intervals].map(([sid, list]) => [sid, ...list.map(formatInterval)].join(':')).join(',')
  }

  get isEmpty(): boolean {
    return this.#intervals.size === 0
  }

  /** How many transactions are in it. */
  count(): bigint {
    return [...this.#intervals.values()].flat().reduce((sum, { start, end }) => sum + (end - start + 1n), 0n)
  }

  contains(other: GtidSet): boolean {
    return other.subtract(this).isEmpty
  }

  equals(other: GtidSet): boolean {
    return this.toString() === other.toString()
  }

  union(other: GtidSet): GtidSet {
    const sids = new Set([...this.#intervals.keys(), ...other.#intervals.keys()])
    return new GtidSet(new Map([...sids].map((sid) => [sid, [...this.#of(sid), ...other.#of(sid)]])))
  }

  /** What is in this set and not in `other`. */
  subtract(other: GtidSet): GtidSet {
    return new GtidSet(new Map([...this.#intervals].map(([sid, list]) => [sid, without(list, other.#of(sid))])))
  }

  #of(sid: string): readonly Interval[] {
    return this.#intervals.get(sid) ?? []
  }
}

function parseInterval(range: string, text: string): Interval {
  const [, first, last] = INTERVAL.exec(range) ?? []
  if (first === undefined) {
    throw notASet(
      text,
      TAG.test(range) ? `${quoted(range)} makes it tagged, which is not supported` : `${quoted(range)} is no interval`,
    )
  }
  const start = BigInt(first)
  const end = last === undefined ? start : BigInt(last)
  if (start < 1n || end > MAX_NUMBER) throw notASet(text, `${quoted(range)} is out of range`)
  return { start, end }
}

function merged(list: readonly Interval[]): Interval[] {
  const result: Interval[] = []
  const sorted = list.filter(({ start, end }) => start <= end).sort((a, b) => (a.start < b.start ? -1 : 1))
  for (const { start, end } of sorted) {
    const last = result.at(-1)
    if (last === undefined || start > last.end + 1n) result.push({ start, end })
    else if (end > last.end) result[result.length - 1] = { start: last.start, end }
  }
  return result
}

/** Both lists sorted and merged. */
function without(list: readonly Interval[], removed: readonly Interval[]): Interval[] {
  const result: Interval[] = []
  let at = 0
  for (const { start, end } of list) {
    let from = start
    for (let hole = removed[at]; hole !== undefined && hole.start <= end; hole = removed[at]) {
      if (hole.start > from) result.push({ start: from, end: hole.start - 1n })
      if (hole.end >= from) from = hole.end + 1n
      if (hole.end > end) break
      at += 1
    }
    if (from <= end) result.push({ start: from, end })
  }
  return result
}

function formatInterval({ start, end }: Interval): string {
  return start === end ? `${start}` : `${start}-${end}`
}

function notASet(text: string, reason: string): TabletkeeperError {
  return new TabletkeeperError('InvalidInput', `${quoted(text)} is not a GTID set: ${reason}`, {
    hint: 'A set looks like 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77, several joined by commas.',
  })
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}
