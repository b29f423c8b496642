import { describe, expect, test } from 'vitest'
import { progressSignals, SIGNAL_AFTER } from '../../activities/progress-signals.ts'
import type { ProgressReport } from '../../model/progress-report.ts'

const MINUTE = 60_000

/** A copy that tells its progress each second of `minutes`; in which minutes a signal was sent. */
function minutesTold(minutes: number, age = 0, after?: readonly number[]): number[] {
  let now = 1_000_000
  const told: number[] = []
  const tell = progressSignals({
    step: 'copyFiles',
    age,
    after,
    send: async ({ progress }) => told.push(progress.bytesDone / MINUTE),
    failed: (error) => expect.fail(String(error)),
    now: () => now,
  })
  for (let passed = 0; passed < minutes * MINUTE; passed += 1000) {
    tell(at(age + passed))
    now += 1000
  }
  return told
}

function at(milliseconds: number) {
  const total = 1e9
  return { bytesDone: milliseconds, bytesTotal: total, filesDone: 0, filesTotal: 1, bytesPerSecond: 1, secondsLeft: 1 }
}

async function settled(told: number[]): Promise<number[]> {
  await new Promise(setImmediate)
  return told
}

describe('a run is told of the progress of a copy', () => {
  test('not at all when it is short, ever less often when it is long, and never more than eight times', async () => {
    expect(await settled(minutesTold(0.9))).toEqual([])
    expect(await settled(minutesTold(6))).toEqual([1, 2, 5])
    expect(await settled(minutesTold(24 * 60))).toEqual([1, 2, 5, 10, 20, 40, 80, 160])
    expect(SIGNAL_AFTER).toHaveLength(8)
  })

  test('not again by a later attempt for what an earlier one was due to tell', async () => {
    expect(await settled(minutesTold(24 * 60, 15 * MINUTE))).toEqual([20, 40, 80, 160])
    expect(await settled(minutesTold(24 * 60, 500 * MINUTE))).toEqual([])
  })

  test('once for all that was due while the process stood still', async () => {
    let now = 0
    const sent: ProgressReport[] = []
    const send = async (report: ProgressReport) => sent.push(report)
    const tell = progressSignals({
      step: 'copyFiles',
      age: 0,
      send,
      failed: (error) => expect.fail(String(error)),
      now: () => now,
    })
    now = 30 * MINUTE
    tell(at(1))
    tell(at(2))
    await new Promise(setImmediate)
    expect(sent).toMatchObject([{ step: 'copyFiles', progress: { bytesDone: 1 } }])
  })

  test('without waiting for it, and whether it can be told or not', async () => {
    const failures: unknown[] = []
    const failed = (error: unknown): void => void failures.push(error)
    const never = progressSignals({
      step: 's',
      age: 0,
      after: [0.1],
      send: () => new Promise(() => {}),
      failed,
      now: tick(),
    })
    expect(never(at(1))).toBeUndefined()
    const throwing = () => {
      throw new Error('no client')
    }
    progressSignals({ step: 's', age: 0, after: [0.1], send: throwing, failed, now: tick() })(at(1))
    progressSignals({
      step: 's',
      age: 0,
      after: [0.1],
      send: () => Promise.reject(new Error('away')),
      failed,
      now: tick(),
    })(at(1))
    await new Promise(setImmediate)
    expect(failures.map(String)).toEqual(['Error: no client', 'Error: away'])
  })
})

function tick(): () => number {
  let now = 0
  return () => now++
}
