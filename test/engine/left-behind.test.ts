import { copyFile, open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { compressFrame, FRAME_SIZE } from '../../engine/frames/frame.ts'
import { formatSeekTable } from '../../engine/frames/seek-table.ts'
import { WorkerPool } from '../../engine/pool/worker-pool.ts'
import { hang } from '../storage/hung-file.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore } from './interfered-store.ts'
import { copy, DIRECTORY } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'
import { digestsOf } from './sample-files.ts'

const PLAIN = Buffer.alloc(100_000, 'old row ')
const NEW = Buffer.alloc(200_000, 'new row ')

/** A frame of `PLAIN` in storage, and a file with `NEW` that another attempt has written meanwhile. */
async function sample() {
  const root = await temporaryDirectory()
  const [object, file] = [join(root, 'object'), join(root, 'file')]
  const frame = compressFrame(PLAIN, 1)
  const table = formatSeekTable([{ stored: frame.length, plain: PLAIN.length }])
  await writeFile(object, Buffer.concat([frame, table]))
  await writeFile(file, NEW)
  return { object, file, frame: frame.length, stored: frame.length + table.length }
}

/** Gives a thread that hangs at `path` up, and lets it go on. */
async function leaveBehind(pool: WorkerPool, path: string, begin: () => Promise<unknown>): Promise<void> {
  const hung = await hang(path)
  const task = begin()
  const outcome = expect(task).rejects.toThrow('cancelled')
  await hung.reached
  pool.cancel()
  hung.release()
  await outcome
}

describe('a thread that hung in storage until its copy was given up', () => {
  test('writes no frame into a restored file, which mysqld may have by now', async () => {
    const { object, file, frame } = await sample()
    await using pool = new WorkerPool({ size: 1, storage: 'file:/x' })
    const output = await open(file, 'r+')
    onTestFinished(() => output.close())
    const task = {
      key: 'k',
      from: { kind: 'file', path: object, offset: 0, length: frame },
      length: PLAIN.length,
      to: { path: file, descriptor: output.fd, direct: undefined, offset: 0 },
      pages: undefined,
    } as const
    await leaveBehind(pool, object, () => pool.run('restoreFrame', task))
    expect(await readFile(file)).toEqual(NEW)
  })

  test('writes no restored file anew', async () => {
    const { object, file, stored } = await sample()
    await using pool = new WorkerPool({ size: 1, storage: 'file:/x' })
    const from = { kind: 'file', path: object, offset: 0, length: stored } as const
    const task = { key: 'k', from, stored, length: PLAIN.length, to: file, name: undefined }
    await leaveBehind(pool, object, () => pool.run('restoreFiles', { files: [task] }))
    expect(await readFile(file)).toEqual(NEW)
  })

  test('leaves an object as it is that another attempt has stored', async () => {
    const { object, file } = await sample()
    const [stored, path] = [await readFile(object), `${file}-source`]
    await copyFile(file, path)
    const { size, mtimeNs, ino: inode } = await stat(path, { bigint: true })
    await using pool = new WorkerPool({ size: 1, storage: 'file:/x' })
    const source = { path, size: Number(size), mtimeNs, inode }
    const task = { source, name: 'db/t.ibd', target: object }
    await leaveBehind(pool, object, () => pool.run('compressFiles', { files: [task], level: 1 }))
    expect(await readFile(object)).toEqual(stored)
  })
})

test('an attempt of a backup that hung opening an object cuts nothing off that its successor has stored of it', async () => {
  const [source, root, undisturbed] = [
    await temporaryDirectory(),
    await temporaryDirectory(),
    await temporaryDirectory(),
  ]
  const ledger = join(await temporaryDirectory(), 'ledger')
  const files = [await writeContent(source, { name: 'a', size: 5 * FRAME_SIZE, kind: 'random', seed: 1 })]
  const ended = new Error('ended')
  const onWrite = (_: string, write: number): void => {
    if (write === 2) throw ended
  }
  await expect(copy(files, { store: new InterferedStore(root, { onWrite }), ledger })).rejects.toBe(ended)

  const [hangs, reached, givenUp] = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
    new AbortController(),
  ]
  const onOpen = async (): Promise<void> => {
    reached.resolve()
    await hangs.promise
  }
  const hung = copy(files, { store: new InterferedStore(root, { onOpen }), ledger, signal: givenUp.signal }).catch(
    (error: unknown) => error,
  )
  await reached.promise
  const reason = new Error('given up')
  givenUp.abort(reason)
  const wakingIt = async (_: string, write: number): Promise<void> => {
    if (write !== 2) return
    hangs.resolve()
    expect(await hung).toBe(reason)
  }
  await copy(files, { store: new InterferedStore(root, { onWrite: wakingIt }), ledger })
  await copy(files, { store: new InterferedStore(undisturbed, {}) })
  expect(await digestsOf(join(root, DIRECTORY))).toEqual(await digestsOf(join(undisturbed, DIRECTORY)))
})
