import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { SampleTablet } from '../sandbox/sample-tablet.ts'
import { type DataSet, provideDataSet, tablespaceOf } from './data-set.ts'
import { importTables } from './import-tables.ts'
import type { Options } from './options.ts'
import { RUNS } from './report.ts'
import { makeSmallFiles } from './small-files.ts'
import { DATABASE } from './tables.ts'
import { measureWholeRun, type WholeRun, type WholeRunFigures } from './whole-run.ts'
import { canMountXfs, mountXfs } from './xfs-image.ts'

/** Downtime is a matter of tenths of a second: once is not enough. */
const SNAPSHOT_RUNS = 3
const MANY_FILES = 20_000
const SLACK = 3 * 1024 ** 3

export interface RunsContest extends Options {
  readonly signal: AbortSignal
  readonly seen: (figures: WholeRunFigures) => void
}

type Kind = Pick<WholeRun, 'snapshot' | 'fill'> & {
  readonly name: string
  readonly times: number
  readonly bytes: number
}

/** Whole backups: what the agent's memory, the history and mysqld's downtime come to. */
export async function contestRuns(contest: RunsContest): Promise<WholeRunFigures[]> {
  const { megabytes, smallFiles, sparseGigabytes, signal, seen } = contest
  const dataSet = await provideDataSet('mixed', megabytes)
  const kinds: Kind[] = [
    { name: RUNS.plain, snapshot: 'none', times: 1, bytes: 0, fill: (tablet) => importTables(dataSet, tablet) },
    {
      name: RUNS.sparse,
      snapshot: 'none',
      times: 1,
      bytes: 0,
      fill: (tablet) => addSparse(tablet, dataSet, sparseGigabytes),
    },
  ]
  if (smallFiles > 0) {
    kinds.push({
      name: RUNS.smallFiles,
      snapshot: 'none',
      times: 1,
      bytes: 0,
      fill: (tablet) => addSmall(tablet, smallFiles),
    })
  }
  if (await canMountXfs()) kinds.push(...(await snapshotKinds(contest, dataSet)))
  else process.stderr.write('snapshots are left out: they need root and mkfs.xfs here\n')
  const figures: WholeRunFigures[] = []
  for (const { times, ...kind } of kinds) {
    for (let time = 1; time <= times; time += 1) {
      signal.throwIfAborted()
      const figure = await measureOnce(kind, contest)
      seen(figure)
      figures.push(figure)
    }
  }
  return figures
}

async function snapshotKinds({ megabytes, smallFiles }: Options, dataSet: DataSet): Promise<Kind[]> {
  const quarter = await provideDataSet('mixed', Math.ceil(megabytes / 4))
  const manyFiles = Math.min(MANY_FILES, smallFiles)
  const snapshot = 'reflink'
  return [
    {
      name: RUNS.snapshot,
      snapshot,
      times: SNAPSHOT_RUNS,
      bytes: dataSet.bytes,
      fill: (tablet) => importTables(dataSet, tablet),
    },
    {
      name: RUNS.snapshotQuarter,
      snapshot,
      times: SNAPSHOT_RUNS,
      bytes: quarter.bytes,
      fill: (tablet) => importTables(quarter, tablet),
    },
    {
      name: RUNS.snapshotManyFiles,
      snapshot,
      times: manyFiles > 0 ? 1 : 0,
      bytes: 0,
      fill: (tablet) => addSmall(tablet, manyFiles),
    },
  ]
}

async function measureOnce(
  { name, snapshot, fill, bytes }: Omit<Kind, 'times'>,
  options: Options,
): Promise<WholeRunFigures> {
  const directory = await mkdtemp(join(options.directory, 'run-'))
  await using started = new AsyncDisposableStack()
  started.defer(() => rm(directory, { recursive: true }))
  const run: WholeRun = { name, directory, snapshot, concurrency: options.concurrency, fill }
  if (snapshot === 'none') return await measureWholeRun(run)
  const { mountPoint } = started.use(await mountXfs(directory, 2 * bytes + SLACK))
  return await measureWholeRun({ ...run, datadir: join(mountPoint, 'data') })
}

/** A database of one small table, and beside it a file that is nearly all holes: mysqld does not know it, and a backup copies it. */
async function addSparse(tablet: SampleTablet, dataSet: DataSet, gigabytes: number): Promise<void> {
  const [table] = dataSet.tables.toSorted((a, b) => a.megabytes - b.megabytes)
  if (table === undefined) return
  await importTables({ ...dataSet, tables: [table] }, tablet)
  const path = join(tablet.datadir, DATABASE, 'sparse.MYD')
  await copyStart(tablespaceOf(dataSet, table), path, 64 << 20)
  await truncate(path, gigabytes * 1024 ** 3)
}

async function copyStart(from: string, to: string, bytes: number): Promise<void> {
  const [source, target] = [await open(from), await open(to, 'wx')]
  try {
    const { buffer, bytesRead } = await source.read(Buffer.alloc(bytes), 0, bytes, 0)
    await target.write(buffer, 0, bytesRead)
  } finally {
    await source.close()
    await target.close()
  }
}

async function addSmall(tablet: SampleTablet, count: number): Promise<void> {
  await makeSmallFiles(tablet.datadir, count)
}
