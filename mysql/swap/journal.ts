import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { messageOf, TabletkeeperError } from '../../model/errors.ts'
import type { DataRoot } from '../data/data-roots.ts'
import { privateFolderPath } from '../data/private-folder.ts'
import { orMissing } from '../system/system-error.ts'
import type { SwapFiles } from './files.ts'

/** A data root within a swap: what it takes, and which entries it moves. */
export interface SwapRoot extends DataRoot {
  /** Entries of the root that hold old data. */
  readonly out: readonly string[]
  /** Entries of the staging directory. */
  readonly in: readonly string[]
}

/** How far a swap is: see `swap.ts`. */
export type SwapPhase = 'swapping' | 'swapped' | 'committed'

/** A swap under way, as it is on disk. The data directory's root comes first. Paths are absolute here. */
export interface SwapJournal {
  readonly run: string
  readonly phase: SwapPhase
  /** The file on which a running mysqld holds a lock. */
  readonly systemTablespace: string
  readonly roots: readonly [SwapRoot, ...SwapRoot[]]
}

const FORMAT = 1
const FILE = 'swap-journal.json'

const takesSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('all'), keep: z.array(z.string()), keepDirectories: z.array(z.string()) }),
  z.object({ kind: z.literal('named'), names: z.array(z.string()) }),
])

const rootSchema = z.object({
  directory: z.string(),
  takes: takesSchema,
  out: z.array(z.string()),
  in: z.array(z.string()),
})

const journalSchema = z.object({
  format: z.literal(FORMAT),
  run: z.string(),
  phase: z.enum(['swapping', 'swapped', 'committed']),
  systemTablespace: z.string(),
  roots: z.tuple([rootSchema], rootSchema),
})

/** Where the journal of a tablet is. */
export function journalPath(datadir: string): string {
  return join(privateFolderPath(datadir), FILE)
}

/**
 * Reads the journal; undefined when no swap is under way.
 * @throws FenceBroken when there is a journal that cannot be read
 */
export async function readJournal(datadir: string): Promise<SwapJournal | undefined> {
  const text = await orMissing(readFile(journalPath(datadir), 'utf8'))
  return text === undefined ? undefined : parseJournal(text, datadir)
}

/** @throws FenceBroken when the text of a journal is none */
export function parseJournal(text: string, datadir: string): SwapJournal {
  try {
    const { run, phase, systemTablespace, roots } = journalSchema.parse(JSON.parse(text))
    const [first, ...others] = roots
    const absolute = (root: SwapRoot) => ({ ...root, directory: resolve(datadir, root.directory) })
    return {
      run,
      phase,
      systemTablespace: resolve(datadir, systemTablespace),
      roots: [absolute(first), ...others.map(absolute)],
    }
  } catch (error) {
    const path = journalPath(datadir)
    throw new TabletkeeperError('FenceBroken', `the swap journal ${path} cannot be read: ${messageOf(error)}`, {
      hint: 'Do not start mysqld. The old data are in the replaced-… folders beside the journal; move them back by hand, then remove it.',
      cause: error,
    })
  }
}

/** Makes the journal durable: it is the one before or this one, whatever happens. */
export async function writeJournal(journal: SwapJournal, files: SwapFiles): Promise<void> {
  const datadir = journal.roots[0].directory
  // The data directory moves with its volume, other directories may not: its own paths are kept relative.
  const kept = (path: string) => (path.startsWith(join(datadir, '/')) ? path.slice(datadir.length + 1) : path)
  const roots = journal.roots.map((root) => ({
    ...root,
    directory: root.directory === datadir ? '.' : kept(root.directory),
  }))
  const text = JSON.stringify(
    { format: FORMAT, ...journal, systemTablespace: kept(journal.systemTablespace), roots },
    null,
    1,
  )
  const path = journalPath(datadir)
  await files.write(`${path}.new`, text)
  await files.rename(`${path}.new`, path)
  await files.sync(privateFolderPath(datadir))
}

/** Removes the journal durably: no swap is under way any more. */
export async function removeJournal(datadir: string, files: SwapFiles): Promise<void> {
  await files.remove(journalPath(datadir))
  await files.sync(privateFolderPath(datadir))
}
