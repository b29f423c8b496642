import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { DICTIONARY_FILE } from '../data/data-directory.ts'
import { isTaken } from '../data/data-roots.ts'
import { giveToOwner } from '../data/private-folder.ts'
import { orMissing } from '../system/system-error.ts'
import { lockAgainstMysqld } from './fence.ts'
import { realSwapFiles, type SwapFiles } from './files.ts'
import { namesIn, replacedFolder, spentFolder, stagingFolder } from './folders.ts'
import { readJournal, removeJournal, type SwapJournal, type SwapRoot } from './journal.ts'
import { type Move, moveAway, moveIn } from './moves.ts'
import { deleteReplaced } from './swap.ts'

/** What `recoverSwap` found to do. */
export type SwapRecovery = 'none' | 'rolled back' | 'rolled forward'

/**
 * Ends a swap that was begun, whatever happened to it: a committed one by deleting the old data (a mysqld may run meanwhile), any other by
 * putting the old data back, whole. New entries go back into staging, or, when a mysqld may have run on them, aside as spent;
 * `discardStaging` deletes both. Can be cut short at any point and called again. The states are described in `swap.ts`.
 * @throws Refused (retryable) when old data have to come back but a mysqld runs on the new ones: stop it first
 */
export async function recoverSwap(datadir: string, files: SwapFiles = realSwapFiles): Promise<SwapRecovery> {
  const journal = await readJournal(datadir)
  if (!journal) return 'none'
  if (journal.phase === 'committed') {
    await deleteReplaced(journal, files)
    return 'rolled forward'
  }
  if (!(await isOldInPlace(journal))) {
    await using _ = await lockAgainstMysqld(journal.systemTablespace, journal.run)
    await moveBack(journal, files)
  }
  for (const { directory } of journal.roots) await files.removeEmpty(replacedFolder(directory, journal.run))
  await removeJournal(datadir, files)
  return 'rolled back'
}

/** Nothing has left its place yet, or everything has come back: a mysqld may have run on the old data since. */
async function isOldInPlace({ run, roots }: SwapJournal): Promise<boolean> {
  const aside = await Promise.all(roots.map((root) => namesIn(replacedFolder(root.directory, run))))
  return roots.some((root) => root.out.length > 0) && aside.flat().length === 0
}

async function moveBack(journal: SwapJournal, files: SwapFiles): Promise<void> {
  const { run, roots } = journal
  const staged = await namesIn(stagingFolder(roots[0].directory, run))
  const away = staged.includes(DICTIONARY_FILE) ? stagingFolder : spentFolder
  const newEntries = await Promise.all(roots.map((root) => movesOfNew(root, run, away(root.directory, run), files)))
  await moveAway(newEntries.flat(), journal, files)
  const oldEntries = await Promise.all(roots.map((root) => movesOfOld(root, run)))
  await moveIn(oldEntries.flat(), journal, files)
  for (const { directory, out } of roots) {
    for (const name of out) await assertBack(join(directory, name))
  }
}

/** Every entry of the root that is not the old one. */
async function movesOfNew(root: SwapRoot, run: string, away: string, files: SwapFiles): Promise<Move[]> {
  const { directory, takes, out } = root
  const aside = new Set(await namesIn(replacedFolder(directory, run)))
  const entries = await readdir(directory, { withFileTypes: true })
  const names = entries
    .filter((entry) => isTaken(takes, entry) || root.in.includes(entry.name))
    .map((entry) => entry.name)
    .filter((name) => !out.includes(name) || aside.has(name))
  if (names.length === 0) return []
  await files.makeDirectory(away)
  await giveToOwner(directory, away)
  const taken = new Set(await namesIn(away))
  return names.map((name) => ({ root: directory, name, from: directory, to: away, as: freeName(name, taken) }))
}

async function movesOfOld({ directory }: SwapRoot, run: string): Promise<Move[]> {
  const replaced = replacedFolder(directory, run)
  return (await namesIn(replaced)).map((name) => ({ root: directory, name, from: replaced, to: directory }))
}

/** An entry may be new in the root while its staged namesake has not moved yet: somebody else made it. Both are kept. */
function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name
  for (let count = 1; taken.has(free); count += 1) free = `.${name}.${count}`
  return free
}

async function assertBack(path: string): Promise<void> {
  if (await orMissing(lstat(path))) return
  throw new TabletkeeperError('FenceBroken', `${path} is missing after the swap was rolled back`, {
    hint: 'Do not start mysqld. Something other than the agent removed old data; look for them in the .tabletkeeper folders.',
  })
}
