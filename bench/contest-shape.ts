import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataSet, provideDataSet, type Shape } from './data-set.ts'
import { backUpByEngine, type EngineOptions, restoreByEngine } from './engine-copy.ts'
import { type Limit, measureLimit } from './limit.ts'
import { type Contender, type Measurement, runContest } from './rounds.ts'
import { archiveByTar, extractByTar } from './tar.ts'
import { startVitessBench, type VitessBench } from './vitess.ts'

export type ShapeContender =
  | `${'our' | 'tar' | 'vttablet'} ${'backup' | 'restore'}`
  /** That writes nothing. */
  | 'one thread'
  /** As many of them as ours has, each in a process of its own. */
  | 'threads at once'

export interface ShapeContest extends EngineOptions {
  readonly shape: Shape
  readonly megabytes: number
  readonly rounds: number
  /** Where runs write. */
  readonly directory: string
  /** Who else takes part. */
  readonly withTar: boolean
  readonly withVitess: boolean
  readonly withLimit: boolean
  readonly patience: number
  readonly signal: AbortSignal
  readonly seen: (measurement: Measurement) => void
}

/** Backs up and restores one data set by everybody. */
export async function contestShape(
  contest: ShapeContest,
): Promise<{ readonly measurements: Measurement<ShapeContender>[]; readonly limits: Limit[] }> {
  const { shape, withTar, withVitess, withLimit, concurrency } = contest
  const dataSet = await provideDataSet(shape, contest.megabytes)
  await using started = new AsyncDisposableStack()
  const directory = join(contest.directory, shape)
  await mkdir(directory)
  started.defer(() => rm(directory, { recursive: true }))
  const limits: Limit[] = []
  const contenders: Contender<ShapeContender>[] = await ourContenders(dataSet, directory, contest)
  if (withTar) contenders.push(...(await tarContenders(dataSet, directory)))
  if (withLimit) contenders.push(oneThread(dataSet, contest.level, limits), threadsAtOnce(dataSet, contest))
  if (withVitess) {
    const vitess = started.use(await startVitessBench(join(directory, 'vitess'), dataSet, concurrency))
    await vitess.backup()
    contenders.push(...vttablet(vitess, dataSet))
  }
  const { rounds, seen, patience, signal } = contest
  const measurements = await runContest({ name: shape, contenders, rounds, directory, seen, patience, signal })
  return { measurements, limits }
}

/** What the restores read is made first, and not measured. */
async function ourContenders(
  dataSet: DataSet,
  directory: string,
  options: EngineOptions,
): Promise<Contender<ShapeContender>[]> {
  const ours = join(directory, 'our-backup')
  await mkdir(ours)
  await backUpByEngine(dataSet.files, ours, options)
  return [
    {
      name: 'our backup',
      writes: dataSet.bytes,
      sources: async () => dataSet.files.map(({ path }) => path),
      run: (fresh) => backUpByEngine(dataSet.files, fresh, options),
    },
    {
      name: 'our restore',
      writes: dataSet.bytes,
      sources: () => filesBelow(ours),
      run: (fresh) => restoreByEngine(ours, fresh, options),
    },
  ]
}

async function tarContenders(dataSet: DataSet, directory: string): Promise<Contender<ShapeContender>[]> {
  const tars = join(directory, 'tar-backup')
  const archive = join(tars, 'archive.tar.zst')
  await mkdir(tars)
  await archiveByTar(dataSet, tars, archive)
  return [
    {
      name: 'tar backup',
      writes: dataSet.bytes,
      sources: async () => dataSet.files.map(({ path }) => path),
      run: (fresh) => archiveByTar(dataSet, fresh, join(fresh, 'archive.tar.zst')),
    },
    {
      name: 'tar restore',
      writes: dataSet.bytes,
      sources: async () => [archive],
      run: (fresh) => extractByTar(dataSet, fresh, archive),
    },
  ]
}

/** Its directory is its own: nothing is written to the fresh one. */
function vttablet(vitess: VitessBench, { bytes }: DataSet): Contender<ShapeContender>[] {
  const outcome = async (copy: ReturnType<VitessBench['backup']>) => ({ ...(await copy), syncSeconds: null })
  return [
    {
      name: 'vttablet backup',
      writes: bytes,
      sources: () => vitess.dataFiles(),
      run: () => outcome(vitess.backup()),
    },
    {
      name: 'vttablet restore',
      writes: bytes,
      sources: () => vitess.storedFiles(),
      run: () => outcome(vitess.restore()),
    },
  ]
}

function oneThread({ files }: DataSet, level: number, limits: Limit[]): Contender<ShapeContender> {
  return {
    name: 'one thread',
    writes: 0,
    sources: async () => files.map(({ path }) => path),
    run: async () => {
      const limit = await measureLimit(files, level)
      limits.push(limit)
      const { bytes, seconds, cpuSeconds, maxRssBytes } = limit.single
      return { seconds, syncSeconds: null, cpuSeconds, maxRssBytes, dataBytes: bytes, storedBytes: null }
    },
  }
}

/** What is left of the limit where processors share a core: both are slower then, but nobody waits for anybody. */
function threadsAtOnce({ files }: DataSet, { level, concurrency }: EngineOptions): Contender<ShapeContender> {
  return {
    name: 'threads at once',
    writes: 0,
    sources: async () => files.map(({ path }) => path),
    run: async () => {
      const limits = await Promise.all(Array.from({ length: concurrency }, () => measureLimit(files, level)))
      const sum = (of: (single: Limit['single']) => number) =>
        limits.reduce((total, { single }) => total + of(single), 0)
      const dataBytes = sum(({ bytes }) => bytes)
      return {
        seconds: dataBytes / sum(({ bytes, seconds }) => bytes / seconds),
        syncSeconds: null,
        cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
        maxRssBytes: Math.max(...limits.map(({ single }) => single.maxRssBytes)),
        dataBytes,
        storedBytes: null,
      }
    },
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  const below = await readdir(directory, { recursive: true, withFileTypes: true })
  return below.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
