import { type FileHandle, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { adviseReadOnce, nextData, nextHole, syncFileSystem } from '../../mysql/system-calls.ts'
import { afterPowerLoss, NO_MOUNTS, smallDisk } from '../storage/mounts.ts'
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

describe('data and holes', () => {
  test('are found where they begin, beyond what 32 bits can tell too', async () => {
    const { fd } = await sparseFile(6 * GIBIBYTE, [0, 5 * GIBIBYTE])
    expect(nextData(fd, 0)).toBe(0)
    expect(nextData(fd, 1_000)).toBe(1_000)
    expect(nextHole(fd, 0)).toBe(65_536)
    expect(nextData(fd, 65_536)).toBe(5 * GIBIBYTE)
    expect(nextHole(fd, 100_000)).toBe(100_000)
    expect(nextHole(fd, 5 * GIBIBYTE)).toBe(5 * GIBIBYTE + 65_536)
    expect(nextData(fd, 5 * GIBIBYTE + 65_536)).toBeUndefined()
  })

  test('of a file that is one or the other end with it', async () => {
    const [full, hollow, empty] = [
      await sparseFile(65_536, [0]),
      await sparseFile(MEBIBYTE, []),
      await sparseFile(0, []),
    ]
    expect([nextData(full.fd, 0), nextHole(full.fd, 0)]).toEqual([0, 65_536])
    expect([nextData(hollow.fd, 0), nextHole(hollow.fd, 0)]).toEqual([undefined, 0])
    expect([nextData(empty.fd, 0), nextHole(empty.fd, 0)]).toEqual([undefined, 0])
    expect([nextData(full.fd, 70_000), nextHole(full.fd, 70_000)]).toEqual([undefined, 70_000])
  })

  test('are not to be had of a file that knows none, nor of one that is closed', async () => {
    const status = await open('/proc/self/status')
    expect([nextData(status.fd, 0), nextHole(status.fd, 0)]).toEqual([undefined, 0])
    await status.close()
    for (const call of [nextData, nextHole]) {
      expect(() => call(1_000_000, 0)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'lseek' }))
    }
  })

  test('are found by many threads at the same time', async () => {
    const { fd } = await sparseFile(MEBIBYTE, [131_072])
    const answers = Array.from({ length: 8 }, async () => {
      const thread = new Worker(new URL('holes-thread.ts', import.meta.url), { workerData: fd })
      return await new Promise((resolve, reject) => {
        let answer: unknown
        thread.on('message', (message) => {
          answer = message
        })
        thread.on('error', reject)
        thread.on('exit', () => resolve(answer))
      })
    })
    expect(await Promise.all(answers)).toEqual(answers.map(() => [131_072, 0]))
  })
})

describe('a file system', () => {
  test.skipIf(NO_MOUNTS !== undefined)(
    'that was synced keeps what was written to it when its host loses power',
    async () => {
      const disk = await smallDisk(16)
      await writeFile(join(disk, 'file'), 'written')
      await Promise.all([disk, join(disk, 'file'), disk].map(syncFileSystem))
      expect(await readFile(join(await afterPowerLoss(disk), 'file'), 'utf8')).toBe('written')
    },
  )

  test('is not synced by a path that does not exist', async () => {
    await expect(syncFileSystem('/does/not/exist')).rejects.toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})

test('advice on reading is given, and is no error where it is not taken', async () => {
  const handle = await sparseFile(65_536, [0])
  adviseReadOnce(handle.fd)
  adviseReadOnce(1_000_000)
  expect((await handle.read(Buffer.alloc(10), 0, 10, 0)).bytesRead).toBe(10)
})
