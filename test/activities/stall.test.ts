import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { discard } from '../../activities/catalogue.ts'
import { unlessHung } from '../../activities/stall.ts'
import { FileStore } from '../../storage/file/file.ts'
import { nameAt, SHARD } from '../storage/sample-backup.ts'

const MINUTE = 60_000

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
