import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { FileStore } from '../../storage/file/file.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { copy } from './sample-backup.ts'
import { describe as describeFile, sampleFile } from './sample-files.ts'

/** Bytes per second: a frame takes half a second. */
const RATE = FRAME_SIZE * 2

/** A file of three frames and two of half a frame each. */
async function sample() {
  const root = await temporaryDirectory()
  return [
    await sampleFile(root, 'Data', 'commerce/large.ibd', Buffer.alloc(3 * FRAME_SIZE, 'row ')),
    await sampleFile(root, 'Data', 'commerce/a.ibd', Buffer.alloc(FRAME_SIZE / 2, 'row ')),
    await sampleFile(root, 'Data', 'commerce/b.ibd', Buffer.alloc(FRAME_SIZE / 2, 'row ')),
  ]
}

async function copyFor(
  signal: AbortSignal,
  files?: readonly DataFile[],
  maxRate = RATE,
): Promise<{ readonly seconds: number; readonly error?: unknown }> {
  files ??= await sample()
  const store = new FileStore(await temporaryDirectory())
  const begun = performance.now()
  const error = await copy(files, { store, maxRate, signal }).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return { seconds: (performance.now() - begun) / 1000, error }
}

describe('a copy with a rate', () => {
  test('reads large and small files no faster', async () => {
    const { seconds, error } = await copyFor(new AbortController().signal)
    expect(error).toBeUndefined()
    // What is read last needs to be waited for by nobody: at most one frame.
    expect(seconds).toBeGreaterThan((3 * FRAME_SIZE) / RATE)
  })

  test('does not count holes, of which it reads nothing', async () => {
    const path = join(await temporaryDirectory(), 'sparse.ibd')
    await writeFile(path, 'row ')
    await truncate(path, 40 * FRAME_SIZE)
    const { seconds, error } = await copyFor(new AbortController().signal, [await describeFile(path, 'Data', 'a')])
    expect(error).toBeUndefined()
    expect(seconds).toBeLessThan((20 * FRAME_SIZE) / RATE)
  })

  test('that is cancelled does not wait for its turn', async () => {
    const cancel = new AbortController()
    const slow = FRAME_SIZE / 4
    const copying = copyFor(cancel.signal, undefined, slow)
    await delay(600)
    cancel.abort(new Error('cancelled'))
    const { seconds, error } = await copying
    expect(error).toMatchObject({ message: 'cancelled' })
    expect(seconds).toBeLessThan((2 * FRAME_SIZE) / slow)
  })
})
