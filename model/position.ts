import { TabletkeeperError } from './errors.ts'
import { GtidSet } from './gtid-set.ts'

/** Where in a shard's history data stand, as Vitess writes it: `MySQL56/<gtid set>`; `MySQL56/` is before everything. */
export type Position = string & { readonly __brand: 'Position' }

const FLAVOR = 'MySQL56'

export function positionOf(set: GtidSet): Position {
  return `${FLAVOR}/${set}` as Position
}

/**
 * Reads a position, with its flavor or without (go/mysql/replication/replication_position.go).
 * The empty text, which Vitess uses for "no position", is refused: it must never be taken for "before everything".
 * @throws InvalidInput
 */
export function parsePosition(text: string): GtidSet {
  const slash = text.indexOf('/')
  const flavor = slash === -1 ? FLAVOR : text.slice(0, slash)
  if (text === '' || flavor !== FLAVOR) {
    throw new TabletkeeperError('InvalidInput', `${JSON.stringify(text.slice(0, 200))} is not a position of MySQL`, {
      hint: `A position looks like ${FLAVOR}/3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77. MariaDB and file positions are not supported.`,
    })
  }
  return GtidSet.parse(text.slice(slash + 1))
}
