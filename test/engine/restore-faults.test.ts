import { copyFile, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { CopiedFile } from '../../engine/backup/copied-file.ts'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { afterPowerLoss, losingOverlay, NO_MOUNTS, overlay, smallDisk, smallFileSystem } from '../storage/mounts.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore, type Interference } from './interfered-store.ts'
import { areWorkersGone, openFilesBelow } from './open-files.ts'
import { copy, DIRECTORY, manifestFor, restoreTo } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'
import { digestsOf, sampleFile } from './sample-files.ts'
import { readStoredObject } from './stored-object.ts'

const SMALL = 1
const LARGE = 3
const BOTH = [
  ['small', SMALL],
  ['large', LARGE],
] as const

interface Sample {
  readonly source: string
  readonly copied: readonly CopiedFile[]
  readonly root: string
  readonly staging: string
  readonly ledger: string
  object(index: number): string
  store(interference?: Interference): InterferedStore
  /** By a MANIFEST of tabletkeeper of `described` files. */
  restore(described?: readonly CopiedFile[], interference?: Interference, signal?: AbortSignal): Promise<unknown>
}

/** A backup of three small files and one of several frames, two of which are equally long in storage. */
async function sample(): Promise<Sample> {
  const [source, root, other] = [await temporaryDirectory(), await temporaryDirectory(), await temporaryDirectory()]
  const files: DataFile[] = []
  for (const [seed, name] of ['a', 'b', 'c'].entries())
    files.push(await writeContent(source, { name: `db/${name}.ibd`, size: 400_000, kind: 'mixed', seed }))
  files.push(await writeContent(source, { name: 'db/large.ibd', size: 2 * FRAME_SIZE + 9, kind: 'random', seed: 7 }))
  const store = (interference: Interference = {}) => new InterferedStore(root, interference)
  const copied = await copy(files, { store: store() })
  const [staging, ledger] = [join(other, 'staging'), join(other, 'ledger')]
  return {
    source,
    copied,
    root,
    staging,
    ledger,
    object: (index) => join(root, DIRECTORY, String(index)),
    store,
    restore: (described = copied, interference = {}, signal = new AbortController().signal) =>
      restoreTo(staging, manifestFor(described, 'tabletkeeper'), {
        store: store(interference),
        ledger,
        signal,
        concurrency: 2,
      }),
  }
}

/** The damage is told of the object; nothing is at work, nothing is open, and the same restore does not pass afterwards either. */
async function expectDamage(backup: Sample, index: number, described = backup.copied): Promise<void> {
  for (const opaque of [false, true]) {
    await expect(backup.restore(described, { opaque })).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining(`${DIRECTORY}${index}`),
    })
    expectNothingLeft(backup)
  }
}

function expectNothingLeft({ root, staging, ledger }: Sample): void {
  expect(openFilesBelow(root, staging, ledger)).toEqual([])
  expect(areWorkersGone()).toBe(true)
}

async function overwrite(path: string, change: (bytes: Buffer) => Buffer | undefined): Promise<void> {
  const bytes = await readFile(path)
  await writeFile(path, change(bytes) ?? bytes)
}

function flip(bytes: Buffer, at: number): void {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
}

describe('a restore finds', () => {
  test.each(BOTH)('a %s object that is missing, before anything is read or written', async (_, index) => {
    const backup = await sample()
    await rm(backup.object(index))
    await expectDamage(backup, index)
    expect(await readdir(join(backup.staging, '..'))).toEqual([])
  })

  test.each(BOTH)('a %s object that is shorter or longer, before anything is read or written', async (_, index) => {
    const backup = await sample()
    const stored = backup.copied[index]?.stored ?? 0
    for (const size of [0, 1, stored - 1, stored + 1, stored + 100]) {
      await truncate(backup.object(index), size)
      await expectDamage(backup, index)
    }
    expect(await readdir(join(backup.staging, '..'))).toEqual([])
  })

  test.each(BOTH)('damage anywhere in a %s object', async (_, index) => {
    const backup = await sample()
    const sound = await readFile(backup.object(index))
    const { table, frames } = readStoredObject(sound)
    const [first, end] = [frames[0]?.stored.length ?? 0, sound.length - table.length]
    const places = {
      'its magic number': 0,
      'the header of its first frame': 4,
      'the middle of its first frame': first >> 1,
      'the checksum of its first frame': first - 1,
      'the checksum of its last frame': end - 1,
      'the magic number of its seek table': end,
      'the length of its seek table': end + 4,
      'a stored size in its seek table': end + 8,
      'a plain size in its seek table': end + 12,
      'the number of frames': sound.length - 9,
      'the descriptor of its seek table': sound.length - 5,
      'its last byte': sound.length - 1,
    }
    for (const [place, at] of Object.entries(places)) {
      const damaged = Buffer.from(sound)
      flip(damaged, at)
      await writeFile(backup.object(index), damaged)
      await expect(backup.restore(), place).rejects.toMatchObject({
        type: 'CorruptBackup',
        message: expect.stringContaining(`${DIRECTORY}${index}`),
      })
    }
    expectNothingLeft(backup)
  })

  test.each(BOTH)('another checksum or size of a %s object in the MANIFEST', async (_, index) => {
    const backup = await sample()
    const size = backup.copied[index]?.size ?? 0
    const changes: readonly Partial<CopiedFile>[] = [
      { hash: '00000000' },
      { segmentHash: '0'.repeat(64) },
      { size: size - 1 },
      { size: size + 1 },
      { size: 0 },
      { size: 100 * FRAME_SIZE },
      { stored: (backup.copied[index]?.stored ?? 0) - 1 },
    ]
    for (const change of changes) {
      const described = backup.copied.map((file, at) => (at === index ? { ...file, ...change } : file))
      await expectDamage(backup, index, described)
    }
  })

  test.each([false, true])(
    'frames in the place of each other, each of which is sound (opaque store: %s)',
    async (opaque) => {
      const backup = await sample()
      const sound = await readFile(backup.object(LARGE))
      const [first, second] = readStoredObject(sound).frames
      expect(second?.stored.length).toBe(first?.stored.length)
      const length = first?.stored.length ?? 0
      const swapped = Buffer.concat([
        sound.subarray(length, 2 * length),
        sound.subarray(0, length),
        sound.subarray(2 * length),
      ])
      await writeFile(backup.object(LARGE), swapped)
      await expectDamage(backup, LARGE)
      // Nor does a CRC-32 that fits them hide it.
      const { crc } = readStoredObject(swapped)
      const described = backup.copied.map((file, at) => (at === LARGE ? { ...file, hash: crc } : file))
      await expect(backup.restore(described, { opaque })).rejects.toMatchObject({
        type: 'CorruptBackup',
        message: expect.stringContaining('SHA-256'),
      })
    },
  )

  test('an object of another file of the same size, though it is sound in itself', async () => {
    const backup = await sample()
    await copyFile(backup.object(0), backup.object(2))
    const described = backup.copied.map((file, at) =>
      at === 2 ? { ...file, stored: backup.copied[0]?.stored ?? 0 } : file,
    )
    await expectDamage(backup, 2, described)
  })

  test('the damage of objects as Vitess would have made them: lost, cut off, flipped', async () => {
    const backup = await sample()
    const restoreAsVitess = () =>
      restoreTo(backup.staging, manifestFor(backup.copied, 'vitess'), { store: backup.store(), ledger: backup.ledger })
    for (const index of [SMALL, LARGE]) {
      const damage = { type: 'CorruptBackup', message: expect.stringContaining(`${DIRECTORY}${index}`) }
      const sound = await readFile(backup.object(index))
      for (let at = 0; at < sound.length; at += Math.ceil(sound.length / 9)) {
        await overwrite(backup.object(index), (bytes) => void flip(bytes, at))
        await expect(restoreAsVitess()).rejects.toMatchObject(damage)
        await overwrite(backup.object(index), (bytes) => void flip(bytes, at))
      }
      await truncate(backup.object(index), sound.length - 5)
      await expect(restoreAsVitess()).rejects.toMatchObject(damage)
      await rm(backup.object(index))
      await expect(restoreAsVitess()).rejects.toMatchObject(damage)
      await writeFile(backup.object(index), sound)
    }
    await copyFile(backup.object(1), backup.object(0))
    await rm(backup.ledger)
    await expect(restoreAsVitess()).rejects.toMatchObject({
      type: 'CorruptBackup',
      message: expect.stringContaining('CRC-32'),
    })
    expectNothingLeft(backup)
  })

  test('paths that leave the staging directory or meet, whoever let the MANIFEST pass', async () => {
    const backup = await sample()
    const renamed = (change: Partial<CopiedFile>) =>
      backup.copied.map((file, index) => (index === 0 ? { ...file, ...change } : file))
    for (const name of ['../escaped', 'a/../../escaped', '..', '.', '']) {
      await expect(backup.restore(renamed({ name }))).rejects.toThrow(ofType('CorruptBackup'))
    }
    await expect(backup.restore(renamed({ base: 'InnoDBData', name: 'db/b.ibd' }))).rejects.toThrow(/two files/)
  })

  test.each(BOTH)('a link or a directory in the way of a %s file, and does not follow it', async (_, index) => {
    const backup = await sample()
    const elsewhere = await temporaryDirectory()
    const path = join(backup.staging, backup.copied[index]?.name ?? '')
    await sampleFile(backup.staging, 'Data', 'db/other', Buffer.from('x'))
    await symlink(join(elsewhere, 'victim'), path)
    await expect(backup.restore()).rejects.toThrow(ofType('Refused'))
    await rm(path)
    await mkdir(path)
    await expect(backup.restore()).rejects.toThrow(ofType('Refused'))
    expect(await readdir(elsewhere)).toEqual([])
    expectNothingLeft(backup)
  })

  test.skipIf(NO_MOUNTS !== undefined).each([
    ['large', 10_000],
    ['small', 17_000],
  ])('that the disk of the tablet is full at a %s file, and says that it is not the storage', async (_, kibibytes) => {
    const full = await smallFileSystem(kibibytes)
    const backup = { ...(await sample()), staging: full }
    const restoring = restoreTo(full, manifestFor(backup.copied, 'tabletkeeper'), {
      store: backup.store(),
      ledger: backup.ledger,
    })
    await expect(restoring).rejects.toMatchObject({
      type: 'StorageFull',
      message: expect.stringMatching(/on the tablet's host/),
    })
    expectNothingLeft(backup)
  })
})

describe.skipIf(NO_MOUNTS !== undefined)(
  'on an overlay, which keeps to itself what its disk has lost, a restore',
  () => {
    test('says when the disk could not keep what was written, and begins anew then', async () => {
      const backup = await sample()
      const staging = join(await losingOverlay(6_144, 'staging/db'), 'staging')
      const restoring = restoreTo(staging, manifestFor(backup.copied, 'tabletkeeper'), {
        store: backup.store(),
        ledger: backup.ledger,
      })
      await expect(restoring).rejects.toMatchObject({ message: expect.stringContaining("on the tablet's host") })
      expect((await readdir(join(backup.ledger, '..'))).includes('ledger')).toBe(false)
      expectNothingLeft(backup)
    })

    test('has all files on the disk when it ends, those too that an attempt before it has written', async () => {
      const backup = await sample()
      const disk = await smallDisk(64)
      const staging = join(await overlay(disk), 'staging')
      const manifest = manifestFor(backup.copied, 'tabletkeeper')
      const failure = new TabletkeeperError('StorageUnavailable', 'the store went away')
      const onGet = (key: string): void => {
        if (key === `${DIRECTORY}${SMALL}`) throw failure
      }
      const options = { store: backup.store({ opaque: true, onGet }), ledger: backup.ledger, concurrency: 1 }
      await expect(restoreTo(staging, manifest, options)).rejects.toBe(failure)
      await restoreTo(staging, manifest, { store: backup.store(), ledger: backup.ledger })
      const kept = join(await afterPowerLoss(disk), 'upper', 'staging')
      expect(await digestsOf(kept)).toEqual(await digestsOf(backup.source))
    })
  },
)

describe('a restore that is stopped', () => {
  test('by a cancel throws its reason, and goes on from there when it is tried again', async () => {
    for (const opaque of [false, true]) {
      const backup = await sample()
      const controller = new AbortController()
      const reason = new Error('cancelled')
      const onGet = () => controller.abort(reason)
      await expect(backup.restore(backup.copied, { opaque, onGet }, controller.signal)).rejects.toBe(reason)
      expectNothingLeft(backup)
      await backup.restore()
      expect(await digestsOf(backup.staging)).toEqual(await digestsOf(backup.source))
    }
  })

  test('before it begins writes no file', async () => {
    const backup = await sample()
    await expect(backup.restore(backup.copied, {}, AbortSignal.abort(new Error('too late')))).rejects.toThrow(
      'too late',
    )
    expect(await readdir(join(backup.staging, '..'))).toEqual([])
    expectNothingLeft(backup)
  })

  test.each(BOTH)('by the store at a %s object throws its failure when nothing is read any more', async (_, index) => {
    const backup = await sample()
    const failure = new TabletkeeperError('StorageUnavailable', 'the store went away')
    let reading = 0
    const onGet = async (key: string): Promise<void> => {
      reading += 1
      if (key === `${DIRECTORY}${index}`) {
        reading -= 1
        throw failure
      }
      // The other small objects, which are asked for together, take longer than the failure takes to be known.
      if (key !== `${DIRECTORY}${LARGE}`) await new Promise((resolve) => setTimeout(resolve, 500))
      reading -= 1
    }
    await expect(backup.restore(backup.copied, { opaque: true, onGet })).rejects.toBe(failure)
    expect(reading).toBe(0)
    expectNothingLeft(backup)
    await backup.restore(backup.copied, { opaque: true })
    expect(await digestsOf(backup.staging)).toEqual(await digestsOf(backup.source))
  })
})
