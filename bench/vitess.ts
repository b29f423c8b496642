import { appendFile, chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'
import { parseShardName, partsOf } from '../model/shard-name.ts'
import { readServerLayout, type ServerLayout } from '../mysql/settings/my-cnf.ts'
import { provideMysql } from '../sandbox/provide-mysql.ts'
import { giveToUnprivileged } from '../sandbox/unprivileged.ts'
import { startVitessCell } from '../sandbox/vitess-cell.ts'
import type { DataSet } from './data-set.ts'
import { importTables } from './import-tables.ts'
import { type Usage, usageOf } from './usage.ts'
import { type CopyPhase, lastCopyPhase } from './vttablet-log.ts'

const SHARD = parseShardName('commerce/0')
const REPLICA = 101

/** Vitess copies the spare files of the redo log too, all zeros: there shall be few of them. */
const REDO_BYTES = 8 << 20

/** What a real vttablet did, from its own log: the copying alone, without stopping and starting mysqld. */
export interface VitessCopy {
  readonly seconds: number
  /** Of vttablet in the whole backup or restore. */
  readonly cpuSeconds: number
  /** The most that vttablet ever had. */
  readonly maxRssBytes: number
  /** Plain bytes of the files that its MANIFEST lists. */
  readonly dataBytes: number
  readonly storedBytes: number
}

/** A replica of a real Vitess that has the tables of a data set. */
export interface VitessBench extends AsyncDisposable {
  /** `Backup`, by the builtin engine; the backup that was there before is removed. */
  backup(): Promise<VitessCopy>
  /** `RestoreFromBackup` of it. */
  restore(): Promise<VitessCopy>
  /** What a restore reads. */
  storedFiles(): Promise<string[]>
  /** What a backup reads, when mysqld is stopped: the tablespaces of the tables. */
  dataFiles(): Promise<string[]>
}

/**
 * Starts a Vitess in `directory` with a primary and a replica, and gives the replica the data set.
 * @param concurrency files at once in a backup, and in a restore
 */
export async function startVitessBench(directory: string, dataSet: DataSet, concurrency: number): Promise<VitessBench> {
  await using started = new AsyncDisposableStack()
  await mkdir(directory, { recursive: true })
  await chmod(directory, 0o711)
  const storageRoot = join(directory, 'storage')
  await mkdir(storageRoot)
  const cell = await startVitessCell({ directory: join(directory, 'vt'), storageRoot, shard: SHARD, cell: 'zone1' })
  started.use(cell)
  const primary = await cell.addTablet(REPLICA - 1)
  const replica = await cell.addTablet(REPLICA)
  const layout = await readServerLayout((await provideMysql()).mysqld, replica.defaultsFile)
  await replica.query(`SET GLOBAL innodb_redo_log_capacity = ${REDO_BYTES}`)
  await appendFile(replica.defaultsFile, `\ninnodb_redo_log_capacity=${REDO_BYTES}\n`)
  await importTables(dataSet, { connect: replica.connect, datadir: layout.datadir, own: giveToUnprivileged })
  await primary.startVttablet()
  const compression = ['--compression-engine-name', 'zstd', '--compression-level', '1']
  await replica.startVttablet([...compression, '--restore-concurrency', String(concurrency)])
  await cell.vtctl('PlannedReparentShard', SHARD, '--new-primary', primary.alias)

  const pid = await vttabletPid(replica.alias, storageRoot)
  const shardDirectory = join(storageRoot, ...Object.values(partsOf(SHARD)))
  const backups = async () => (await readdir(shardDirectory).catch(() => [])).sort()
  const measure = async (kind: 'backup' | 'restore', ...command: string[]): Promise<VitessCopy> => {
    const before = await usageOf(pid)
    await cell.vtctl(...command, replica.alias)
    const after = await usageOf(pid)
    const phase = lastCopyPhase(kind, await readFile(replica.log, 'utf8'))
    const newest = join(shardDirectory, (await backups()).at(-1) ?? '')
    return describe(phase, before, after, await sizesOf(newest, layout))
  }
  const running = started.move()
  return {
    backup: async () => {
      const old = await backups()
      const copy = await measure('backup', 'Backup', '--concurrency', String(concurrency))
      for (const name of old) await rm(join(shardDirectory, name), { recursive: true })
      return copy
    },
    restore: () => measure('restore', 'RestoreFromBackup'),
    storedFiles: async () => {
      const newest = join(shardDirectory, (await backups()).at(-1) ?? '')
      return (await readdir(newest)).map((name) => join(newest, name))
    },
    dataFiles: async () => {
      const below = await readdir(layout.datadir, { recursive: true, withFileTypes: true })
      return below.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

function describe(
  phase: CopyPhase,
  before: Usage,
  after: Usage,
  sizes: Pick<VitessCopy, 'dataBytes' | 'storedBytes'>,
): VitessCopy {
  return {
    seconds: (phase.end - phase.begin) / 1000,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    maxRssBytes: after.maxRssBytes,
    ...sizes,
  }
}

/** The files as they are now: mysqld has run since, and changed the size of none that matters. */
async function sizesOf(backup: string, layout: ServerLayout): Promise<Pick<VitessCopy, 'dataBytes' | 'storedBytes'>> {
  const directories: Readonly<Record<string, string>> = {
    Data: layout.datadir,
    InnoDBData: layout.innodbDataHome,
    InnoDBLog: layout.innodbLogHome,
  }
  const manifest: { readonly FileEntries: readonly { readonly Base: string; readonly Name: string }[] } = JSON.parse(
    await readFile(join(backup, 'MANIFEST'), 'utf8'),
  )
  let dataBytes = 0
  let storedBytes = 0
  for (const [index, { Base, Name }] of manifest.FileEntries.entries()) {
    storedBytes += (await stat(join(backup, String(index)))).size
    // Redo files have other names after mysqld's start.
    dataBytes += (await stat(join(directories[Base] ?? '', Name)).catch(() => ({ size: 0 }))).size
  }
  return { dataBytes, storedBytes }
}

/** The vttablet of that alias which keeps its backups there: others may run on this machine. */
async function vttabletPid(alias: string, storageRoot: string): Promise<number> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const words = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0')
    if (words[0]?.endsWith('vttablet') && words.includes(alias) && words.includes(storageRoot)) return Number(name)
  }
  throw new TabletkeeperError('NotFound', `no vttablet of ${alias} runs`)
}
