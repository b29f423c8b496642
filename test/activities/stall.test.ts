import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { discard } from '../../activities/catalogue.ts'
import { unlessHung, watchForStall } from '../../activities/stall.ts'
import { FileStore } from '../../storage/file/file.ts'
import { nameAt, SHARD } from '../storage/sample-backup.ts'

const MINUTE = 60_000

describe('a copy', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })

  const given = vi.fn<(reason: Error) => void>()
  const watched = () => {
    given.mockReset()
    return watchForStall({ giveUp: given }, 's3://backups')
  }
  const expectGivenUpAfter = (minutes: number, sentence: string) => {
    vi.advanceTimersByTime(minutes * MINUTE - 1)
    expect(given).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(given.mock.calls).toMatchObject([
      [{ type: 'StorageUnavailable', message: `s3://backups has moved nothing for ${sentence}` }],
    ])
  }
  const none = { bytesDone: 0, filesDone: 0 }
  const all = { bytesDone: 5, filesDone: 0 }

  it('that moves nothing is given up after five minutes', () => {
    using watch = watched()
    vi.advanceTimersByTime(4 * MINUTE)
    watch.seen(none)
    vi.advanceTimersByTime(4 * MINUTE)
    watch.seen(all)
    vi.advanceTimersByTime(MINUTE)
    watch.seen(all)
    expectGivenUpAfter(4, '5m00s')
  })

  it('whose store puts together what it was given has twenty minutes, and longer than such an answer may take', () => {
    using watch = watched()
    watch.seen(all)
    vi.advanceTimersByTime(MINUTE)
    watch.seen(all, true)
    vi.advanceTimersByTime(15 * MINUTE)
    watch.seen(all, true)
    expectGivenUpAfter(5, '20m00s')
  })

  it('whose store has put a file together has as long for the next one, and five minutes after the last one', () => {
    using watch = watched()
    for (let filesDone = 0; filesDone < 4; filesDone++) {
      watch.seen({ ...all, filesDone }, true)
      vi.advanceTimersByTime(15 * MINUTE)
    }
    watch.seen({ ...all, filesDone: 4 }, false)
    expectGivenUpAfter(5, '5m00s')
  })
})

describe('a look at storage', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })

  const hanging = (signal: AbortSignal) => {
    const look = unlessHung(signal, 'file:/mnt/backups', () => new Promise<never>(() => undefined))
    return expect(look).rejects.toMatchObject({
      type: 'StorageUnavailable',
      retryable: true,
      message: 'file:/mnt/backups does not answer: it hangs',
    })
  }

  it('that hangs is given up after a quarter of an hour', async () => {
    const given = hanging(new AbortController().signal)
    await vi.advanceTimersByTimeAsync(15 * MINUTE - 1)
    expect(vi.getTimerCount()).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    await given
  })

  it('that hangs is given up a minute after it was cancelled', async () => {
    const cancel = new AbortController()
    const given = hanging(cancel.signal)
    await vi.advanceTimersByTimeAsync(MINUTE)
    cancel.abort()
    await vi.advanceTimersByTimeAsync(MINUTE)
    await given
  })

  it('and the removal of what a run has stored are given up alike', async () => {
    const store = new FileStore('/mnt/backups')
    store.repository = () => new Promise(() => undefined)
    const given = expect(discard(store, SHARD, nameAt('000001'), new AbortController().signal)).rejects.toMatchObject({
      type: 'StorageUnavailable',
      retryable: true,
      message: 'file:/mnt/backups does not answer: it hangs',
    })
    await vi.advanceTimersByTimeAsync(15 * MINUTE)
    await given
  })

  it('that answers gives its answer, also when it was cancelled meanwhile', async () => {
    const cancel = new AbortController()
    const answer = Promise.withResolvers<string>()
    const look = unlessHung(cancel.signal, 'file:/mnt/backups', () => answer.promise)
    cancel.abort()
    answer.resolve('two backups')
    expect(await look).toBe('two backups')
  })
})
