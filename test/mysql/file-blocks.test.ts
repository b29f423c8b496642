import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { adviseReadOnce, nextData } from '../../mysql/system/file-blocks.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

const MEBIBYTE = 1024 * 1024
const GIBIBYTE = 1024 * MEBIBYTE

/** A file of `size` bytes, of which 64 KiB at each of `starts` are data and the rest holes. */
async function sparseFile(size: number, starts: readonly number[]): Promise<FileHandle> {
  const handle = await open(join(await temporaryDirectory(), 'file'), 'w+')
  onTestFinished(() => handle.close())
  await handle.truncate(size)
  for (const start of starts) await handle.write(Buffer.alloc(65_536, 1), 0, 65_536, start)
  return handle
}

describe('data between holes', () => {
  test('are found where they begin, beyond what 32 bits can tell too', async () => {
    const { fd } = await sparseFile(6 * GIBIBYTE, [0, 5 * GIBIBYTE])
    expect(nextData(fd, 0)).toBe(0)
    expect(nextData(fd, 1_000)).toBe(1_000)
    expect(nextData(fd, 65_536)).toBe(5 * GIBIBYTE)
    expect(nextData(fd, 5 * GIBIBYTE + 65_536)).toBeUndefined()
  })

  test('of a file that is one or the other end with it', async () => {
    const [full, hollow, empty] = [
      await sparseFile(65_536, [0]),
      await sparseFile(MEBIBYTE, []),
      await sparseFile(0, []),
    ]
    expect(nextData(full.fd, 0)).toBe(0)
    expect(nextData(hollow.fd, 0)).toBeUndefined()
    expect(nextData(empty.fd, 0)).toBeUndefined()
    expect(nextData(full.fd, 70_000)).toBeUndefined()
  })

  test('are not to be had of a file that knows none, nor of one that is closed', async () => {
    const status = await open('/proc/self/status')
    expect(nextData(status.fd, 0)).toBeUndefined()
    await status.close()
    expect(() => nextData(1_000_000, 0)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'lseek' }))
  })

  test('are found by many threads at the same time', async () => {
    const { fd } = await sparseFile(MEBIBYTE, [131_072])
    const answers = Array.from({ length: 8 }, async () => {
      const thread = new Worker(new URL('data-thread.ts', import.meta.url), { workerData: fd })
      return await new Promise((resolve, reject) => {
        let answer: unknown
        thread.on('message', (message) => {
          answer = message
        })
        thread.on('error', reject)
        thread.on('exit', () => resolve(answer))
      })
    })
    expect(await Promise.all(answers)).toEqual(answers.map(() => 131_072))
  })
})

test('advice on reading is given, and is no error where it is not taken', async () => {
  const handle = await sparseFile(65_536, [0])
  adviseReadOnce(handle.fd)
  adviseReadOnce(1_000_000)
  expect((await handle.read(Buffer.alloc(10), 0, 10, 0)).bytesRead).toBe(10)
})
