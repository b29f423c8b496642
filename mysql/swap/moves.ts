import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { DICTIONARY_FILE } from '../data/data-directory.ts'
import { orMissing } from '../system/system-error.ts'
import type { SwapFiles } from './files.ts'
import type { SwapJournal } from './journal.ts'

/** One rename: an entry leaves directory `from` and keeps its name, or gets `as`. */
export interface Move {
  readonly root: string
  readonly name: string
  readonly from: string
  readonly to: string
  readonly as?: string
}

/**
 * Moves entries away from their roots. The data dictionary goes first and the system tablespace last, so that no mysqld could start on
 * what is left at any point: it needs the one, and the lock on the other.
 */
export async function moveAway(moves: readonly Move[], journal: SwapJournal, files: SwapFiles): Promise<void> {
  await moveAll(byRank(moves, journal), files)
}

/** Moves entries into their roots, in the opposite order, for the same reason. */
export async function moveIn(moves: readonly Move[], journal: SwapJournal, files: SwapFiles): Promise<void> {
  await moveAll(byRank(moves, journal).reverse(), files)
}

function byRank(moves: readonly Move[], { systemTablespace, roots }: SwapJournal): Move[] {
  const dictionary = join(roots[0].directory, DICTIONARY_FILE)
  const rank = ({ root, name }: Move) => {
    const path = join(root, name)
    return path === dictionary ? 0 : path === systemTablespace ? 2 : 1
  }
  return moves.toSorted((a, b) => rank(a) - rank(b))
}

async function moveAll(moves: readonly Move[], files: SwapFiles): Promise<void> {
  for (const { name, from, to, as = name } of moves) {
    const target = join(to, as)
    // rename(2) would replace what is there.
    if (await orMissing(lstat(target))) {
      throw new TabletkeeperError('FenceBroken', `${join(from, name)} cannot be moved: ${target} exists`, {
        hint: 'Nothing was lost: both are still there. Something other than the agent changed these folders; compare them, and remove one.',
      })
    }
    await files.rename(join(from, name), target)
  }
  // Where entries came to first: then none is ever in neither place.
  for (const directory of new Set(moves.map((move) => move.to))) await files.sync(directory)
  for (const directory of new Set(moves.map((move) => move.from))) await files.sync(directory)
}
