import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import type { CompressFrame } from '../../engine/pool/tasks.ts'
import { WorkerPool } from '../../engine/pool/worker-pool.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { areWorkersGone, workerThreads } from './open-files.ts'
import { copy, newStore } from './sample-backup.ts'
import { randomOf, writeContent } from './sample-content.ts'

/** All threads that were started, so that a test can end one. */
const threads = vi.hoisted((): Worker[] => [])
vi.mock('node:worker_threads', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:worker_threads')>()
  class SeenWorker extends original.Worker {
    constructor(...options: ConstructorParameters<typeof original.Worker>) {
      super(...options)
      threads.push(this)
    }
  }
  return { ...original, Worker: SeenWorker }
})

async function frames(count: number): Promise<CompressFrame[]> {
  const path = join(await temporaryDirectory(), 'file')
  await writeFile(path, randomOf(FRAME_SIZE, 1))
  const handle = await open(path)
  onTestFinished(() => handle.close())
  const task = { descriptor: handle.fd, path, offset: 0, length: FRAME_SIZE, sparse: false, pages: undefined, level: 1 }
  return Array.from({ length: count }, () => task)
}

describe('a pool of threads', () => {
  test('does any number of tasks, and has no thread left when it is disposed of', async () => {
    const tasks = await frames(25)
    {
      await using pool = new WorkerPool({ size: 3, storage: 'file:/x' })
      const results = await Promise.all(tasks.map((task) => pool.run('compressFrame', task)))
      expect(new Set(results.map(({ crc }) => crc)).size).toBe(1)
      expect(workerThreads()).toBe(3)
    }
    expect(areWorkersGone()).toBe(true)
  })

  test('fails one task and goes on with the others', async () => {
    const [task, other] = await frames(2)
    if (task === undefined || other === undefined) throw new Error('there are two')
    await using pool = new WorkerPool({ size: 1, storage: 'file:/x' })
    const [beyond, sound] = await Promise.allSettled([
      pool.run('compressFrame', { ...task, offset: FRAME_SIZE }),
      pool.run('compressFrame', other),
    ])
    expect(beyond).toMatchObject({ status: 'rejected', reason: ofType('FenceBroken') })
    expect(sound.status).toBe('fulfilled')
  })

  test('that is cancelled begins no task any more, and ends those that it has begun', async () => {
    await using pool = new WorkerPool({ size: 2, storage: 'file:/x' })
    const running = (await frames(40)).map((task) => pool.run('compressFrame', task))
    await Promise.race(running)
    pool.cancel()
    const ended = await Promise.allSettled(running)
    const done = ended.filter(({ status }) => status === 'fulfilled').length
    expect(done).toBeGreaterThan(0)
    // The first, and one that each thread was at.
    expect(done).toBeLessThan(8)
  })

  test.each([0, 1])(
    'one thread of which ends fails what it was at, and nothing waits for it (thread %i)',
    async (which) => {
      threads.length = 0
      await using pool = new WorkerPool({ size: 2, storage: 'file:/x' })
      const running = (await frames(12)).map((task) => pool.run('compressFrame', task))
      await Promise.race(running)
      await threads[which]?.terminate()
      const ended = await Promise.allSettled(running)
      expect(ended.some(({ status }) => status === 'rejected')).toBe(true)
      // What comes later fails too, instead of waiting for a thread that is no more.
      const later = (await frames(6)).map((task) => pool.run('compressFrame', task))
      for (const { status } of await Promise.allSettled(later)) expect(status).toBe('rejected')
    },
  )

  test('one thread of which ends fails the copy, which leaves nothing running', async () => {
    threads.length = 0
    const file = await writeContent(await temporaryDirectory(), {
      name: 'a',
      size: 20 * FRAME_SIZE,
      kind: 'text',
      seed: 1,
    })
    const { store } = await newStore()
    const copying = copy([file], { store, concurrency: 2 }).catch((error: unknown) => error)
    await expect.poll(() => threads.length).toBe(2)
    await threads[1]?.terminate()
    expect(await copying).toEqual(expect.objectContaining({ message: expect.stringContaining('worker thread') }))
    expect(areWorkersGone()).toBe(true)
  })
})
