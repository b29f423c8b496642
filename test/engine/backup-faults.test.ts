import { appendFile, mkdir, readdir, rename, rm, stat, symlink, truncate, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { mount, NO_MOUNTS, smallFileSystem } from '../storage/mounts.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore, type Interference } from './interfered-store.ts'
import { areWorkersGone, openFilesBelow } from './open-files.ts'
import { replaceByCopy } from './replaced-file.ts'
import { copy, copyRecord, DIRECTORY } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'
import { digestsOf } from './sample-files.ts'

const SMALL = 400_000
/** With one thread five frames are in flight: more are still to be read when the first one is written. */
const LARGE = 7 * FRAME_SIZE + 100

interface Sample {
  readonly source: string
  readonly files: readonly DataFile[]
  readonly small: string
  readonly large: string
  readonly root: string
  readonly ledger: string
}

/** One file of many frames, and some of one frame, which are read after it. */
async function sample(): Promise<Sample> {
  const [source, root, other] = [await temporaryDirectory(), await temporaryDirectory(), await temporaryDirectory()]
  const files: DataFile[] = []
  for (const [seed, name] of ['a', 'b', 'c'].entries())
    files.push(await writeContent(source, { name: `db/${name}.ibd`, size: SMALL, kind: 'mixed', seed }))
  files.push(await writeContent(source, { name: 'db/large.ibd', size: LARGE, kind: 'mixed', seed: 7 }))
  const [small, large] = [join(source, 'db/b.ibd'), join(source, 'db/large.ibd')]
  return { source, files, small, large, root, ledger: join(other, 'ledger') }
}

/** Nothing is at work any more, nothing is open, nothing is published: what every failure leaves. */
async function expectNothingLeft({ source, root, ledger }: Sample): Promise<void> {
  expect(openFilesBelow(source, root, ledger)).toEqual([])
  expect(areWorkersGone()).toBe(true)
  const before = await digestsOf(root)
  await new Promise((resolve) => setImmediate(resolve))
  expect(await digestsOf(root)).toEqual(before)
}

function storeOf({ root }: Sample, interference: Interference = {}): InterferedStore {
  return new InterferedStore(root, interference)
}

describe('a backup whose files change breaks its fence, and leaves nothing running', () => {
  describe.each(['small', 'large'] as const)('when a %s one', (which) => {
    test.each([
      ['grew', (path: string) => appendFile(path, 'x')],
      ['shrank', (path: string) => truncate(path, SMALL - 1)],
      ['was touched', (path: string) => utimes(path, 1, 1)],
      ['is gone', (path: string) => rm(path)],
      ['became a link', (path: string) => rename(path, `${path}.real`).then(() => symlink(`${path}.real`, path))],
      ['was replaced by one that looks the same', replaceByCopy],
    ])('%s before it is read', async (_, change) => {
      const backup = await sample()
      await change(backup[which])
      await expect(copy(backup.files, { store: storeOf(backup), ledger: backup.ledger })).rejects.toMatchObject({
        type: 'FenceBroken',
        message: expect.stringContaining(`${backup[which]} was changed`),
      })
      expect((await storeOf(backup).list(DIRECTORY)).objects).toEqual([])
      await expectNothingLeft(backup)
    })

    // Only a few frames of the large one are read by then, and none of the small ones.
    test.each([
      ['grows', (path: string) => appendFile(path, Buffer.alloc(3_000_000)), 'file'],
      ['shrinks', (path: string) => truncate(path, 1000), 'file'],
      ['loses a byte', async (path: string) => truncate(path, (await stat(path)).size - 1), 'file'],
      ['is written to', (path: string) => utimes(path, 1, 1), 'file'],
      ['vanishes', (path: string) => rm(path), 'path'],
      ['is replaced by one that looks the same', replaceByCopy, 'path'],
    ] as const)('%s while they are read', async (_, change, what) => {
      const backup = await sample()
      let changed: Promise<void> | undefined
      const store = storeOf(backup, {
        onWrite: async () => {
          changed ??= change(backup[which])
          await changed
        },
      })
      const copying = copyRecord(backup.files, { store, ledger: backup.ledger, concurrency: 1 })
      await expect(copying).rejects.toMatchObject({
        type: 'FenceBroken',
        message: expect.stringContaining(backup[which]),
      })
      // It is known before any object is published; but whether a path leads to the large file, which is open, is asked at the end.
      if (which === 'small' || what === 'file') expect((await storeOf(backup).list(DIRECTORY)).objects).toEqual([])
      await expectNothingLeft(backup)
    })

    test.each([
      ['is written to', (path: string) => utimes(path, 1, 1)],
      ['vanishes', (path: string) => rm(path)],
    ])('%s after it was read', async (_, change) => {
      const backup = await sample()
      const store = storeOf(backup, { onCommit: () => change(backup[which]) })
      await expect(copyRecord(backup.files, { store, ledger: backup.ledger })).rejects.toMatchObject({
        type: 'FenceBroken',
        message: expect.stringContaining(backup[which]),
      })
      await expectNothingLeft(backup)
    })
  })

  test('when the fence is broken though all files look the same: no record says that the copy is finished', async () => {
    const backup = await sample()
    const broken = new TabletkeeperError('FenceBroken', 'a mysqld ran')
    const fence = async (): Promise<void> => {
      throw broken
    }
    await expect(copyRecord(backup.files, { store: storeOf(backup), ledger: backup.ledger, fence })).rejects.toBe(
      broken,
    )
    await expectNothingLeft(backup)
    // Nor does the next attempt take it for finished.
    await expect(copyRecord(backup.files, { store: storeOf(backup), ledger: backup.ledger, fence })).rejects.toBe(
      broken,
    )
    expect((await copy(backup.files, { store: storeOf(backup), ledger: backup.ledger })).length).toBe(4)
  })
})

describe('a backup that fails', () => {
  test.each([
    ['of the large file, in its middle', false, 'large'],
    ['of a small file, through memory', true, 'small'],
  ] as const)('by a write %s stops, and throws what failed', async (_, opaque, which) => {
    const backup = await sample()
    const failure = new TabletkeeperError('StorageUnavailable', 'the store went away')
    let writes = 0
    const store = storeOf(backup, {
      opaque,
      onWrite: (name, write) => {
        writes += 1
        if (which === 'large' ? name === '3' && write === 4 : name === '1') throw failure
      },
    })
    await expect(copy(backup.files, { store, ledger: backup.ledger })).rejects.toBe(failure)
    const written = writes
    if (which === 'large') expect(written).toBeLessThan(7)
    await expectNothingLeft(backup)
    expect(writes).toBe(written)
    expect((await storeOf(backup).list(DIRECTORY)).objects).toEqual([])
    await expect(copy(backup.files, { store: storeOf(backup), ledger: backup.ledger })).resolves.toHaveLength(4)
  })

  test('in two places throws the first failure, when the second has ended too', async () => {
    const backup = await sample()
    // All their frames must fit among those in flight, or the second one would never begin while the first one waits.
    const [large, other] = await Promise.all(
      [4, 3].map((frames) =>
        writeContent(backup.source, {
          name: `db/of ${frames}`,
          size: frames * FRAME_SIZE,
          kind: 'random',
          seed: frames,
        }),
      ),
    )
    const [first, second] = [new Error('first'), new Error('second')]
    const failed = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    let ended = false
    const store = storeOf(backup, {
      onWrite: async (name, write) => {
        if (name === '3' && write === 1) {
          await begun.promise
          failed.resolve()
          throw first
        }
        if (name !== '4') return
        begun.resolve()
        await failed.promise
        await new Promise((resolve) => setTimeout(resolve, 200))
        ended = true
        throw second
      },
    })
    const files = [...backup.files.slice(0, 3), large, other].filter((file) => file !== undefined)
    await expect(copy(files, { store, ledger: backup.ledger, concurrency: 4 })).rejects.toBe(first)
    expect(ended).toBe(true)
    await expectNothingLeft(backup)
  })

  test('by a cancel throws its reason; what is left is no object, goes on from there, and can be removed', async () => {
    const backup = await sample()
    const controller = new AbortController()
    const reason = new Error('cancelled')
    const store = storeOf(backup, {
      onWrite: (_, write) => {
        if (write === 3) controller.abort(reason)
      },
    })
    const { signal } = controller
    await expect(copy(backup.files, { store, signal, ledger: backup.ledger })).rejects.toBe(reason)
    await expectNothingLeft(backup)
    expect((await store.list(DIRECTORY)).objects).toEqual([])
    expect(await readdir(join(backup.root, DIRECTORY))).not.toEqual([])
    await store.abortUploads(DIRECTORY)
    expect(await readdir(backup.root)).toEqual(['.tabletkeeper-repository'])
  })

  test('before it begins, when it is cancelled already, stores nothing', async () => {
    const backup = await sample()
    const store = storeOf(backup)
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(copy(backup.files, { store, signal, ledger: backup.ledger })).rejects.toThrow('too late')
    await expectNothingLeft(backup)
    expect(Object.keys(await digestsOf(backup.root))).toEqual(['.tabletkeeper-repository'])
  })

  test('because the directory of its objects was removed meanwhile says that of the store, and may be tried again', async () => {
    const backup = await sample()
    const store = storeOf(backup, { onWrite: () => rm(join(backup.root, DIRECTORY), { recursive: true, force: true }) })
    await expect(copy(backup.files, { store, ledger: backup.ledger })).rejects.toMatchObject({
      type: 'StorageUnavailable',
      retryable: true,
    })
    await expectNothingLeft(backup)
  })

  test('because its ledger cannot be written says so of the tablet’s host', async () => {
    const backup = await sample()
    await mkdir(backup.ledger)
    await expect(copy(backup.files, { store: storeOf(backup), ledger: backup.ledger })).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining("on the tablet's host"),
    })
    await expectNothingLeft(backup)
  })

  test.skipIf(NO_MOUNTS !== undefined).each([
    ['the large file', (stored: number) => stored / 2],
    ['the small ones', (stored: number) => stored + 150_000],
  ])('because storage is full says so of the store at %s, and goes on when there is room', async (_, roomFor) => {
    const backup = await sample()
    const undisturbed = await copy(backup.files, { store: storeOf(backup) })
    const full = await smallFileSystem(Math.ceil(roomFor(undisturbed[3]?.stored ?? 0) / 1024))
    const options = { store: new InterferedStore(full, {}), ledger: backup.ledger }
    await expect(copy(backup.files, options)).rejects.toMatchObject({
      type: 'StorageFull',
      message: expect.stringContaining(`file:${full}`),
    })
    await expectNothingLeft({ ...backup, root: full })
    await mount('-o', 'remount,size=200m', full)
    expect(await copy(backup.files, options)).toEqual(undisturbed)
    expect(await digestsOf(join(full, DIRECTORY))).toEqual(await digestsOf(join(backup.root, DIRECTORY)))
  })

  test.skipIf(NO_MOUNTS !== undefined)(
    'because the disk of its ledger is full says so of the tablet’s host',
    async () => {
      const backup = { ...(await sample()), ledger: join(await smallFileSystem(4), 'ledger') }
      const many = await Promise.all(
        Array.from({ length: 200 }, (_, seed) =>
          writeContent(backup.source, { name: `db/${seed}.MYD`, size: 100, kind: 'text', seed }),
        ),
      )
      await expect(copy(many, { store: storeOf(backup), ledger: backup.ledger })).rejects.toMatchObject({
        type: 'StorageFull',
        message: expect.stringContaining("on the tablet's host"),
      })
      await expectNothingLeft(backup)
    },
  )
})
