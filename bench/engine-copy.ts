import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DataFile } from '../mysql/data/data-directory.ts'
import { runOnce } from './child.ts'
import { type Outcome, outcomeSchema } from './outcome.ts'

export interface EngineOptions {
  /** Of zstd. */
  readonly level: number
  /** Threads. */
  readonly concurrency: number
}

/** Copies the files by our engine into a new store in that directory. */
export async function backUpByEngine(
  files: readonly Pick<DataFile, 'base' | 'name' | 'path'>[],
  directory: string,
  { level, concurrency }: EngineOptions,
): Promise<Outcome> {
  const store = join(directory, 'store')
  await mkdir(store)
  const listed = files.map(({ base, name, path }) => ({ base, name, path }))
  const job = { kind: 'backup', files: listed, store, directory, level, concurrency }
  return await runOnce('copy-once', job, outcomeSchema)
}

/** Restores into that directory what `backUpByEngine` stored in another one. */
export async function restoreByEngine(
  backup: string,
  directory: string,
  { concurrency }: EngineOptions,
): Promise<Outcome> {
  const job = { kind: 'restore', store: join(backup, 'store'), directory, concurrency }
  return await runOnce('copy-once', job, outcomeSchema)
}
