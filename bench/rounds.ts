import { mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFileSystem } from '../mysql/system/file-system-sync.ts'
import type { Outcome } from './outcome.ts'
import { awaitQuiet } from './quiet.ts'
import { shuffled } from './statistics.ts'

/** Somebody who does the same work as the others of a contest. */
export interface Contender<Name extends string> {
  readonly name: Name
  /** What a run may write: so many bytes of memory are touched before. */
  readonly writes: number
  /** Files that a run reads: they are in the page cache when it begins. */
  readonly sources: () => Promise<readonly string[]>
  /** @param directory a fresh one, which is removed afterwards */
  readonly run: (directory: string) => Promise<Outcome>
}

/** One run, as it was. */
export interface Measurement<Name extends string = string> extends Outcome {
  readonly contest: string
  readonly contender: Name
  readonly round: number
  /** Share of all cores that were busy with something else right before. */
  readonly busyBefore: number
}

export interface Contest<Name extends string> {
  readonly name: string
  readonly contenders: readonly Contender<Name>[]
  readonly rounds: number
  /** Where runs write. */
  readonly directory: string
  readonly seen: (measurement: Measurement<Name>) => void
  /** How long each run waits for a quiet machine, in milliseconds. */
  readonly patience: number
  readonly signal: AbortSignal
  /** Leave what runs have written where it is: a file system that has just deleted many files makes new ones slowly. */
  readonly keepsFiles?: boolean
}

/**
 * Lets all contenders run once in every round, each time in another order, each after the same preparation.
 * @throws the signal's reason between two runs
 */
export async function runContest<Name extends string>(contest: Contest<Name>): Promise<Measurement<Name>[]> {
  const measurements: Measurement<Name>[] = []
  for (let round = 1; round <= contest.rounds; round += 1) {
    for (const contender of shuffled(contest.contenders)) {
      contest.signal.throwIfAborted()
      const { busyBefore, ...outcome } = await runPrepared(contender, contest)
      const measurement = { contest: contest.name, contender: contender.name, round, busyBefore, ...outcome }
      contest.seen(measurement)
      measurements.push(measurement)
    }
  }
  return measurements
}

/** One run in a fresh directory, with memory touched, sources read and nothing else going on. */
export async function runPrepared(
  { writes, sources, run }: Pick<Contender<string>, 'writes' | 'sources' | 'run'>,
  { directory, patience, keepsFiles = false }: Pick<Contest<string>, 'directory' | 'patience' | 'keepsFiles'>,
): Promise<Outcome & { readonly busyBefore: number }> {
  const fresh = await mkdtemp(join(directory, 'run-'))
  try {
    await touchMemory(join(fresh, 'touch'), writes)
    await readAll(await sources())
    await syncFileSystem(fresh)
    const busyBefore = await awaitQuiet(patience)
    return { busyBefore, ...(await run(fresh)) }
  } finally {
    if (!keepsFiles) await rm(fresh, { recursive: true })
  }
}

const CHUNK = 4 << 20

/**
 * A hypervisor takes memory back that was not used for a while; the first touch of it makes writes to the page cache ten times slower.
 */
async function touchMemory(path: string, bytes: number): Promise<void> {
  const zeros = Buffer.alloc(CHUNK)
  const file = await open(path, 'w')
  try {
    for (let written = 0; written < bytes; written += CHUNK) await file.write(zeros)
  } finally {
    await file.close()
    await rm(path)
  }
}

async function readAll(paths: readonly string[]): Promise<void> {
  const buffer = Buffer.alloc(CHUNK)
  for (const path of paths) {
    const file = await open(path)
    try {
      while ((await file.read(buffer, 0, CHUNK)).bytesRead > 0);
    } finally {
      await file.close()
    }
  }
}
