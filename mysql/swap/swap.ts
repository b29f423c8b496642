import { lstat, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { DICTIONARY_FILE } from '../data/data-directory.ts'
import { type DataRoot, isTaken } from '../data/data-roots.ts'
import { giveToOwner, giveTreeToOwner, privateFolder, privateFolderPath } from '../data/private-folder.ts'
import { lockAgainstMysqld } from './fence.ts'
import { realSwapFiles, type SwapFiles } from './files.ts'
import { namesIn, replacedFolder, spentFolder, stagingFolder } from './folders.ts'
import { readJournal, removeJournal, type SwapJournal, type SwapRoot, writeJournal } from './journal.ts'
import { type Move, moveAway, moveIn } from './moves.ts'

/*
 * A swap replaces the entries of one or more directories (data roots) by staged ones. It only renames, within each root, since a root may be a
 * mount point. In each root R, run X uses three folders below `R/.tabletkeeper/`:
 *
 *   staging-X   what shall come in; filled by the caller
 *   replaced-X  the old entries, from when they left until the swap is committed
 *   spent-X     new entries that were taken out again after a mysqld may have run on them
 *
 * What happened so far is told by the journal in the data directory's folder, and by which entries are where.
 *
 *   state       journal     where the data are                         after a crash, `recoverSwap`
 *   ---------   ---------   ----------------------------------------   --------------------------------------------------------
 *   idle        none        old in R, new in staging-X                 does nothing
 *   swapping    swapping    being moved, `out` first, then `in`        rolls back: new away, old to R
 *   swapped     swapped     new in R (a mysqld may run), old aside     rolls back: new to spent-X, old to R
 *   committed   committed   new in R, old being deleted                rolls forward: deletes what is left of the old
 *
 *   idle --beginSwap--> swapping --all moved--> swapped --commitSwap--> committed --all deleted--> idle
 *   swapped --keepSwapped--> committed
 *   swapping, swapped --recoverSwap--> (moves back; the journal stays as it is until all is done) --> idle
 *
 * The journal is written before the first move of a phase, and removed after the last, so that half-done work always has one. Nothing of the
 * old data is deleted before `committed`. No mysqld starts on a mixture: `mysql.ibd` is the first entry to leave a root and the last to come
 * in, also when rolling back, and the system tablespace, which we hold locked, is the last to leave and the first to come in.
 *
 * Rolling back can itself be cut short and begun again, and a mysqld may have been started by somebody as soon as either data were whole:
 *   - an entry of `out` that is not in replaced-X is in R, and old. Every other entry of R that the swap takes is new, be it staged or made
 *     by a mysqld since. All new ones leave before the first old one comes back;
 *   - so when there are old entries, and none in any replaced-X, the old data are whole and in place, and whatever is in R is theirs;
 *   - new entries go back to staging-X while it has `mysql.ibd`. When it has not, a mysqld may have run on them: they go to spent-X.
 */

/** What to swap: the data directory's root first. */
export interface SwapPlan {
  /** Part of folder names: a run's id. */
  readonly run: string
  readonly roots: readonly DataRoot[]
  /** Path of the file on which a running mysqld holds a lock. */
  readonly systemTablespace: string
}

/**
 * Moves the old entries of each root out and the staged ones in. mysqld must be stopped, and nobody else may hold a lock on the system
 * tablespace, the caller included: this takes it. Does nothing when this run's swap is done already.
 * When it throws, nothing or a part has moved: `recoverSwap` puts it back.
 * @throws Refused, before anything is moved: another swap is under way, nothing whole is staged, mysqld runs, an entry is a mount point
 */
export async function beginSwap(plan: SwapPlan, files: SwapFiles = realSwapFiles): Promise<void> {
  const { run } = plan
  const [data, ...others] = plan.roots
  if (!data) throw refused('no data directory is named', 'Name it as the first root.')
  const underWay = await readJournal(data.directory)
  if (underWay?.run === run && underWay.phase === 'swapped') return
  if (underWay) throw refused(`the swap of run ${underWay.run} is half done`, 'Recover it first.')
  await using _ = await lockAgainstMysqld(plan.systemTablespace, run)
  const journal: SwapJournal = {
    run,
    phase: 'swapping',
    systemTablespace: plan.systemTablespace,
    roots: [await planRoot(data, run, files), ...(await Promise.all(others.map((root) => planRoot(root, run, files))))],
  }
  assertWhole(journal)
  await writeJournal(journal, files)
  const movesOf = (moves: (root: SwapRoot) => Move[]) => journal.roots.flatMap(moves)
  await moveAway(
    movesOf(({ directory, out }) =>
      out.map((name) => move(directory, name, directory, replacedFolder(directory, run))),
    ),
    journal,
    files,
  )
  await moveIn(
    movesOf((root) =>
      root.in.map((name) => move(root.directory, name, stagingFolder(root.directory, run), root.directory)),
    ),
    journal,
    files,
  )
  await writeJournal({ ...journal, phase: 'swapped' }, files)
}

/**
 * Decides a swap: from here the new data stay, whatever happens. `commitSwap` does it too, and deletes the old ones. Does nothing when
 * no swap is under way.
 * @throws Refused when the swap that is under way is another run's, or half done
 */
export async function keepSwapped(
  datadir: string,
  run: string,
  files: SwapFiles = realSwapFiles,
): Promise<SwapJournal | undefined> {
  const journal = await readJournal(datadir)
  if (!journal) return undefined
  if (journal.run !== run)
    throw refused(`the swap under way is run ${journal.run}'s, not ${run}'s`, 'Recover it first.')
  if (journal.phase === 'swapping') throw refused(`the swap of run ${run} is half done`, 'Recover it first.')
  if (journal.phase === 'swapped') await writeJournal({ ...journal, phase: 'committed' }, files)
  return journal
}

/**
 * Ends a swap: from here the new data stay, and the old ones are deleted. Does nothing when no swap is under way.
 * @throws Refused as `keepSwapped`
 */
export async function commitSwap(datadir: string, run: string, files: SwapFiles = realSwapFiles): Promise<void> {
  const journal = await keepSwapped(datadir, run, files)
  if (journal) await deleteReplaced(journal, files)
}

/** The last part of a committed swap: deletes the old data, and then the journal. */
export async function deleteReplaced({ run, roots }: SwapJournal, files: SwapFiles): Promise<void> {
  for (const { directory } of roots) {
    for (const folder of [replacedFolder, stagingFolder, spentFolder]) await files.remove(folder(directory, run))
    await files.sync(privateFolderPath(directory))
  }
  await removeJournal(roots[0].directory, files)
}

/**
 * Deletes what run `run` staged, in each of `roots`, swapped in and out again or never used. Nothing there is no error.
 * @throws Refused when a swap of that run is under way, or replaced data of it are left: those are never deleted here
 */
export async function discardStaging(roots: readonly DataRoot[], run: string): Promise<void> {
  for (const { directory } of roots) {
    if ((await readJournal(directory))?.run === run)
      throw refused(`the swap of run ${run} is under way`, 'Recover it first.')
    if ((await namesIn(replacedFolder(directory, run))).length > 0) {
      throw refused(
        `${replacedFolder(directory, run)} holds old data`,
        'Look at them; move them back or remove them by hand.',
      )
    }
  }
  for (const { directory } of roots) {
    for (const folder of [replacedFolder, stagingFolder, spentFolder]) {
      await realSwapFiles.remove(folder(directory, run))
    }
  }
}

async function planRoot({ directory, takes }: DataRoot, run: string, files: SwapFiles): Promise<SwapRoot> {
  await privateFolder(directory)
  const replaced = replacedFolder(directory, run)
  const staging = stagingFolder(directory, run)
  for (const folder of [replaced, staging]) await files.makeDirectory(folder)
  await giveToOwner(directory, replaced)
  // The agent may be root, but mysqld is not.
  await giveTreeToOwner(directory, staging)
  await files.sync(privateFolderPath(directory))
  const left = await namesIn(replaced)
  if (left.length > 0)
    throw refused(`${replaced} holds old data already`, 'Look at them; move them back or remove them by hand.')
  const staged = await readdir(staging, { withFileTypes: true })
  const unfit = staged.find((entry) => entry.name.startsWith('.') || (takes.kind === 'all' && !isTaken(takes, entry)))
  if (unfit)
    throw refused(`${join(staging, unfit.name)} is staged, but a swap leaves such entries alone`, 'Stage only data.')
  const incoming = staged.map((entry) => entry.name)
  const outgoing = (await readdir(directory, { withFileTypes: true }))
    .filter((entry) => isTaken(takes, entry) || incoming.includes(entry.name))
    .map((entry) => entry.name)
  await assertOneDevice(directory, [
    ...outgoing.map((name) => join(directory, name)),
    ...incoming.map((name) => join(staging, name)),
    replaced,
  ])
  return { directory, takes, out: outgoing, in: incoming }
}

/** A server's data without one of these are not whole, and would not start. */
function assertWhole({ roots, systemTablespace, run }: SwapJournal): void {
  const isStaged = (path: string) =>
    roots.some((root) => root.directory === dirname(path) && root.in.includes(basename(path)))
  for (const path of [join(roots[0].directory, DICTIONARY_FILE), systemTablespace]) {
    if (!isStaged(path))
      throw refused(`run ${run} has not staged ${basename(path)}`, 'Restore the backup into staging first.')
  }
}

async function assertOneDevice(directory: string, paths: readonly string[]): Promise<void> {
  const { dev } = await lstat(directory)
  for (const path of paths) {
    if ((await lstat(path)).dev === dev) continue
    throw refused(
      `${path} is on another file system than ${directory}`,
      'Entries of a data directory cannot be mount points themselves: mount the whole directory.',
    )
  }
}

function move(root: string, name: string, from: string, to: string): Move {
  return { root, name, from, to }
}

function refused(what: string, hint: string): TabletkeeperError {
  return new TabletkeeperError('Refused', what, { hint })
}
