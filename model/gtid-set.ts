import { TabletkeeperError } from './errors.ts'

/** Transaction numbers `start` to `end`, both included. */
interface Interval {
  readonly start: bigint
  readonly end: bigint
}

const SID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const SID_LENGTH = 36
const INTERVAL = /^(\d{1,19})(?:-(\d{1,19}))?$/
const TAG = /^[a-z_][a-z0-9_]{0,31}$/
/** The greatest transaction number of a server (MySQL's GNO_END is 2^63 - 1 and excluded). */
const MAX_NUMBER = 2n ** 63n - 2n

/** A set of transactions, such as `@@global.gtid_executed` holds; tagged ones (MySQL 8.3 and later), too. Immutable. */
export class GtidSet {
  static readonly EMPTY = new GtidSet(new Map())

  /** By source, a server id or `id:tag`, sorted; the intervals of each sorted, apart by a gap at least, never none. */
  readonly #intervals: ReadonlyMap<string, readonly Interval[]>

  private constructor(intervals: ReadonlyMap<string, Interval[]>) {
    this.#intervals = new Map(
      [...intervals]
        .map(([source, list]) => [source, merged(list)] as const)
        .filter(([, list]) => list.length > 0)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    )
  }

  /**
   * Reads a set as MySQL prints it, line breaks and all. As in MySQL, an interval that ends before it starts is none, and a tag holds for
   * the intervals that follow it: `uuid:1-5:tag:1-3`.
   * @throws InvalidInput
   */
  static parse(text: string): GtidSet {
    const intervals = new Map<string, Interval[]>()
    for (const part of text.replaceAll(/\s+/g, '').toLowerCase().split(',')) {
      if (part === '') continue
      const [sid = '', ...rest] = part.split(':')
      if (!SID.test(sid) || rest.length === 0) throw notASet(text, `${quoted(part)} is not <uuid>:<from>-<to>`)
      if (TAG.test(rest.at(-1) ?? '')) throw notASet(text, `${quoted(part)} ends with a tag`)
      let source = sid
      for (const [at, token] of rest.entries()) {
        if (TAG.test(token)) {
          if (TAG.test(rest[at - 1] ?? '')) throw notASet(text, `${quoted(part)} has a tag without transactions`)
          source = `${sid}:${token}`
        } else {
          const list = intervals.get(source)
          if (list === undefined) intervals.set(source, [parseInterval(token, text)])
          else list.push(parseInterval(token, text))
        }
      }
    }
    return new GtidSet(intervals)
  }

  /** Lower case, server ids and tags sorted, intervals merged: equal sets print equally, and as MySQL prints them (without line breaks). */
  toString(): string {
    const printed = new Map<string, string>()
    for (const [source, list] of this.#intervals) {
      const sid = source.slice(0, SID_LENGTH)
      const tag = source.slice(SID_LENGTH)
      printed.set(sid, [`${printed.get(sid) ?? sid}${tag}`, ...list.map(formatInterval)].join(':'))
    }
    return [...printed.values()].join(',')
  }

  get isEmpty(): boolean {
    return this.#intervals.size === 0
  }

  /** Whether some have a tag, as in `uuid:tag:5`: Vitess 24 does not read those. */
  get isTagged(): boolean {
    return [...this.#intervals.keys()].some((source) => source.length > SID_LENGTH)
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
    const sources = new Set([...this.#intervals.keys(), ...other.#intervals.keys()])
    return new GtidSet(new Map([...sources].map((source) => [source, [...this.#of(source), ...other.#of(source)]])))
  }

  /** What is in this set and not in `other`. */
  subtract(other: GtidSet): GtidSet {
    return new GtidSet(
      new Map([...this.#intervals].map(([source, list]) => [source, without(list, other.#of(source))])),
    )
  }

  #of(source: string): readonly Interval[] {
    return this.#intervals.get(source) ?? []
  }
}

function parseInterval(range: string, text: string): Interval {
  const [, first, last] = INTERVAL.exec(range) ?? []
  if (first === undefined) throw notASet(text, `${quoted(range)} is no interval`)
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
