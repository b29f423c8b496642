import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DataFile } from '../mysql/data/data-directory.ts'
import { runOnce } from './child.ts'
import { backUpByEngine, type EngineOptions } from './engine-copy.ts'
import { outcomeSchema } from './outcome.ts'
import { type Measurement, runContest } from './rounds.ts'

const BYTES = 8 * 1024
const DATABASES = 50

/** One after the other takes long, and every object as long as the one before: so many of the files suffice. */
const ONE_BY_ONE_SHARE = 5

type SmallFile = Pick<DataFile, 'base' | 'name' | 'path'>
export type SmallFilesContender = 'together' | 'one by one'

/** Writes `count` files of 8 KiB of text and digits in some directories, which look like databases and are none. */
export async function makeSmallFiles(directory: string, count: number): Promise<SmallFile[]> {
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, index) => `${index} ${Math.random()} parcel\n`).join(''))
  const files = Array.from({ length: count }, (_, index): SmallFile => {
    const name = `many_${index % DATABASES}/t_${String(index).padStart(6, '0')}.sdi`
    return { base: 'Data', name, path: join(directory, name) }
  })
  for (let number = 0; number < DATABASES; number += 1)
    await mkdir(join(directory, `many_${number}`), { recursive: true })
  for (const [index, { path }] of files.entries()) {
    const start = (index * 61) % (text.length - BYTES)
    await writeFile(path, text.subarray(start, start + BYTES))
  }
  return files
}

export interface SmallFilesContest extends EngineOptions {
  readonly count: number
  readonly rounds: number
  readonly directory: string
  readonly seen: (measurement: Measurement) => void
  readonly patience: number
  readonly signal: AbortSignal
}

/** Our backup of many small files, against one that syncs every object by itself. */
export async function contestSmallFiles(contest: SmallFilesContest): Promise<Measurement<SmallFilesContender>[]> {
  const { count, rounds, directory, level } = contest
  const place = join(directory, 'small-files')
  const files = await makeSmallFiles(place, count)
  const fewer = files.slice(0, Math.ceil(count / ONE_BY_ONE_SHARE)).map(({ path }) => path)
  return await runContest<SmallFilesContender>({
    name: 'small files',
    rounds,
    directory,
    seen: contest.seen,
    patience: contest.patience,
    signal: contest.signal,
    keepsFiles: true,
    contenders: [
      {
        name: 'together',
        writes: count * BYTES,
        sources: async () => files.map(({ path }) => path),
        run: (fresh) => backUpByEngine(files, fresh, contest),
      },
      {
        name: 'one by one',
        writes: count * BYTES,
        sources: async () => fewer,
        run: (fresh) => runOnce('one-by-one-once', { files: fewer, directory: fresh, level }, outcomeSchema),
      },
    ],
  })
}

/** Durable objects in a second. */
export function objectsPerSecond({ seconds, syncSeconds, dataBytes }: Measurement): number {
  return dataBytes / BYTES / (seconds + (syncSeconds ?? 0))
}
