import { TabletkeeperError } from './errors.ts'
import { GtidSet } from './gtid-set.ts'

/** Where in a shard's history data stand, as Vitess writes it: `MySQL56/<gtid set>`; `MySQL56/` is before everything. */
export type Position = string & { readonly __brand: 'Position' }

const FLAVOR = 'MySQL56'

export function positionOf(set: GtidSet): Position {
  return `${FLAVOR}/${set}` as Position
}

/**
 * The position of data that are to be stored: Vitess can read it.
 * @throws Refused for tagged GTIDs (go/mysql/replication/mysql56_gtid_set.go)
 */
export function storedPositionOf(set: GtidSet): Position {
  if (!set.isTagged) return positionOf(set)
  throw new TabletkeeperError('Refused', `a position of Vitess cannot hold tagged GTIDs: ${set}`, {
    hint: 'Tagged GTIDs (uuid:tag:number) are not supported: nothing was stored.',
  })
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
