import { randomBytes } from 'node:crypto'
import { appendFile, copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { crc32, gzipSync, zstdCompressSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { XxHash32 } from '../../engine/frames/xxhash32.ts'
import { verifyBackup } from '../../engine/verify/verify-copy.ts'
import { formatManifest, type Manifest, parseManifest } from '../../model/manifest.ts'
import type { Progress } from '../../model/runs.ts'
import type { Verification } from '../../model/verification.ts'
import { storageError } from '../../storage/file/errors.ts'
import type { FileStore } from '../../storage/file/file.ts'
import type { ByteRange, ObjectKey, ObjectStore } from '../../storage/object-store.ts'
import { SHARD } from '../storage/sample-backup.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore } from './interfered-store.ts'
import { copyRecord, DIRECTORY, manifestFor, NAME, newStore } from './sample-backup.ts'
import { sampleFile } from './sample-files.ts'
import { filesOfServer, type ServerFile, tableOf } from './sample-tablespaces.ts'
import { readStoredObject } from './stored-object.ts'

const PAGE = 16 * 1024
const SOUND = { damagedObjects: 0, firstDamagedObjects: [], damagedPages: 0, firstDamagedPages: [], warnings: [] }

interface Backup {
  readonly manifest: Manifest
  readonly store: FileStore
  readonly root: string
}

/** Of a real server: a table of several pages, a file of several frames, small ones, and such that are no tablespaces. */
let server: ServerFile[]

beforeAll(async () => {
  const files = await filesOfServer([{ statements: tableOf('t') }])
  server = files.filter(({ name }) => /^(ibdata1|undo_001|pages\/t\.ibd|sys\/.*|mysql\/general_log\.CSV)$/.test(name))
  expect(server.map(({ name }) => name)).toEqual(expect.arrayContaining(['ibdata1', 'undo_001', 'pages/t.ibd']))
}, 180_000)

/** The same objects, for somebody who cannot open them as files. */
function remote(store: FileStore): ObjectStore {
  return withPaths(store, () => undefined)
}

/** The same objects, for somebody who finds them elsewhere as files. */
function withPaths(store: FileStore, localPath: ObjectStore['localPath']): ObjectStore {
  return replacing(store, { localPath })
}

/** The same objects, read otherwise by somebody who cannot open them as files. */
function withGet(store: FileStore, get: ObjectStore['get']): ObjectStore {
  return replacing(store, { get, localPath: () => undefined })
}

function replacing(store: FileStore, calls: Partial<ObjectStore>): ObjectStore {
  return new Proxy<ObjectStore>(store, {
    get: (target, key) => {
      const call: unknown = Reflect.get(calls, key)
      if (call !== undefined) return call
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A backup of these files as the agent makes it: with what the copy has seen of bad pages. */
async function backupOf(files: readonly ServerFile[]): Promise<Backup> {
  const source = await temporaryDirectory()
  const selected = []
  for (const { name, bytes } of files) selected.push(await sampleFile(source, 'Data', name, bytes))
  const { store, root } = await newStore()
  const record = await copyRecord(selected, { store })
  const manifest = manifestFor(record.files, 'tabletkeeper')
  const section = manifest.Tabletkeeper
  if (section === undefined) throw new Error('it has no section')
  const Pages = record.firstBadPages.map(({ file, page }) => ({ File: file, Page: page }))
  const PageCheck = { BadPages: record.badPages, Pages }
  const whole = { ...manifest, Tabletkeeper: { ...section, PageCheck } }
  return { manifest: parseManifest(formatManifest(whole), { shard: SHARD, backup: NAME }), store, root }
}

async function verify(
  { manifest, store }: { readonly manifest: Manifest; readonly store: ObjectStore },
  onProgress: (progress: Progress) => void = () => {},
  signal: AbortSignal = new AbortController().signal,
): Promise<Verification> {
  return await verifyBackup({ manifest, store, directory: DIRECTORY, concurrency: 2, signal, onProgress })
}

/** As a store of files says that a disk cannot read an object. */
function unreadable(key: ObjectKey): Error {
  const failure = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
  return storageError(failure, { store: 'file:/backups', doing: `read ${key}` })
}

const indexOf = (manifest: Manifest, name: string) => manifest.FileEntries.findIndex(({ Name }) => Name === name)
const objectOf = ({ manifest, root }: Backup, name: string) => join(root, DIRECTORY, String(indexOf(manifest, name)))

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at)
  await writeFile(path, bytes)
}

function damaged(file: ServerFile, page: number): ServerFile {
  const bytes = Buffer.from(file.bytes)
  bytes.fill(0xaa, page * PAGE + 100, page * PAGE + 200)
  return { ...file, bytes }
}

describe('a backup of a real server', () => {
  test('that is sound is found sound; all of it is read, and progress says so', async () => {
    const backup = await backupOf(server)
    const told: Progress[] = []
    const found = await verify(backup, (progress) => told.push(progress))
    const plain = server.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const stored = backup.manifest.Tabletkeeper?.Files.reduce((sum, { Stored }) => sum + Stored, 0)
    expect(found).toEqual({ files: server.length, dataBytes: plain, storedBytes: stored, ...SOUND })
    expect(told.at(-1)).toMatchObject({ bytesDone: plain, bytesTotal: plain, filesDone: server.length })
  })

  test.each(['undo_001', 'pages/t.ibd', 'mysql/general_log.CSV', 'sys/sys_config.ibd'])(
    'is found damaged wherever a byte of %s was flipped, and everything else is sound',
    async (name) => {
      const backup = await backupOf(server)
      const path = objectOf(backup, name)
      const whole = await readFile(path)
      for (const at of [0, 5, Math.floor(whole.length / 2), whole.length - 30, whole.length - 1]) {
        await flip(path, at)
        const found = await verify(backup)
        expect(found, `byte ${at}`).toMatchObject({ damagedObjects: 1, damagedPages: 0 })
        expect(found.firstDamagedObjects).toMatchObject([
          { object: DIRECTORY + indexOf(backup.manifest, name), file: name },
        ])
        expect(found.firstDamagedObjects[0]?.reason).toContain(`${DIRECTORY}${indexOf(backup.manifest, name)} `)
        await writeFile(path, whole)
      }
    },
  )

  test('is found damaged in all that is damaged: missing, cut off, too long, changed', async () => {
    const backup = await backupOf(server)
    const [missing, cut, long, changed] = ['ibdata1', 'undo_001', 'pages/t.ibd', 'sys/sys_config.ibd']
    await rm(objectOf(backup, missing ?? ''))
    await truncate(objectOf(backup, cut ?? ''), 1000)
    await appendFile(objectOf(backup, long ?? ''), 'x')
    await flip(objectOf(backup, changed ?? ''), 100)
    const { damagedObjects, firstDamagedObjects } = await verify(backup)
    expect(damagedObjects).toBe(4)
    const reasons = new Map(firstDamagedObjects.map(({ file, reason }) => [file, reason]))
    expect(reasons.get('ibdata1')).toMatch(/is missing in storage$/)
    expect(reasons.get('undo_001')).toMatch(/has 1000 bytes in storage instead of \d+$/)
    expect(reasons.get('pages/t.ibd')).toMatch(/bytes in storage instead of/)
    expect(reasons.has('sys/sys_config.ibd')).toBe(true)
  })

  test('is not taken for another whose objects are sound in themselves', async () => {
    const table = tableFile()
    const other = { name: 'pages/u.ibd', bytes: Buffer.from(table.bytes).fill(0xaa, PAGE * 4 + 100, PAGE * 4 + 104) }
    const backup = await backupOf([table, other])
    await copyFile(objectOf(backup, 'pages/t.ibd'), objectOf(backup, 'pages/u.ibd'))
    const [first, second] = backup.manifest.Tabletkeeper?.Files ?? []
    const isSameSize = first?.Stored === second?.Stored
    const { firstDamagedObjects } = await verify(backup)
    expect(firstDamagedObjects).toMatchObject([{ file: 'pages/u.ibd' }])
    expect(firstDamagedObjects[0]?.reason).toContain(isSameSize ? 'has CRC-32' : 'bytes in storage instead of')
  })

  test('is found damaged when only the SHA-256 of an object is another, as it is where a checksum of 32 bits was met by chance', async () => {
    const backup = await backupOf(server)
    const section = backup.manifest.Tabletkeeper
    if (section === undefined) throw new Error('it has no section')
    const Files = section.Files.map((file) => ({
      ...file,
      Hash: file.Hash.replace(/^./, (hex) => (hex === '0' ? '1' : '0')),
    }))
    const found = await verify({ ...backup, manifest: { ...backup.manifest, Tabletkeeper: { ...section, Files } } })
    expect(found.damagedObjects).toBe(server.length)
    expect(found.firstDamagedObjects[0]?.reason).toContain('has SHA-256')
  })

  test('is read from a store whose objects are no files of this host as well', async () => {
    const backup = await backupOf(server)
    const store = remote(backup.store)
    expect(await verify({ ...backup, store })).toMatchObject({ damagedObjects: 0, damagedPages: 0 })
    await flip(objectOf(backup, 'undo_001'), 1000)
    await flip(objectOf(backup, 'sys/sys_config.ibd'), 100)
    const { firstDamagedObjects } = await verify({ ...backup, store })
    expect(firstDamagedObjects.map(({ file }) => file).sort()).toEqual(['sys/sys_config.ibd', 'undo_001'])
  })

  test('may have objects beside it, which are told and do no harm', async () => {
    const backup = await backupOf(server)
    await backup.store.put(`${DIRECTORY}stray`, Buffer.from('x'))
    expect(await verify(backup)).toMatchObject({
      damagedObjects: 0,
      warnings: [{ about: `${DIRECTORY}stray`, message: 'belongs to no file of the backup' }],
    })
  })

  test('is not judged when it was not read to its end', async () => {
    const backup = await backupOf(server)
    const stopping = new AbortController()
    const reason = new Error('enough')
    stopping.abort(reason)
    await expect(verify(backup, () => {}, stopping.signal)).rejects.toBe(reason)
  })

  test.each(['undo_001', 'sys/sys_config.ibd'])('is found damaged where the disk cannot read %s', async (name) => {
    const backup = await backupOf(server)
    const object = DIRECTORY + indexOf(backup.manifest, name)
    // Linux answers EIO to whoever reads there: a process has nothing at its first addresses.
    const files = withPaths(backup.store, (key) => (key === object ? '/proc/self/mem' : backup.store.localPath(key)))
    const onGet = (key: ObjectKey) => {
      if (key === object) throw unreadable(key)
    }
    for (const store of [files, new InterferedStore(backup.root, { opaque: true, onGet })]) {
      const { damagedObjects, firstDamagedObjects } = await verify({ ...backup, store })
      expect(damagedObjects).toBe(1)
      expect(firstDamagedObjects).toEqual([{ object, file: name, reason: `${object} cannot be read: EIO` }])
    }
  })

  test('is looked at a second time only where it could not be read', async () => {
    const source = await temporaryDirectory()
    const bytes = randomBytes(3 * FRAME_SIZE)
    const { store, root } = await newStore()
    const record = await copyRecord([await sampleFile(source, 'Data', 'large', bytes)], { store })
    const { frames } = readStoredObject(await readFile(join(root, DIRECTORY, '0')))
    const [first = 0, second = 0] = frames.map(({ stored }) => stored.length)
    const lost = { start: first, end: first + second - 1 }
    const asked: unknown[] = []
    const onGet = (key: ObjectKey, range: ByteRange | undefined) => {
      asked.push(range)
      if (range?.start === lost.start) throw unreadable(key)
    }
    const opaque = new InterferedStore(root, { opaque: true, onGet })
    const found = await verify({ manifest: manifestFor(record.files, 'tabletkeeper'), store: opaque })
    expect(found.damagedObjects).toBe(1)
    expect(asked).toHaveLength(1 + frames.length + 1)
    expect(asked.at(-1)).toEqual(lost)
  })

  test('is looked at a second time from where its stream failed, as Vitess stored it', async () => {
    const stored = gzipSync(randomBytes(40 * 1024 * 1024), { level: 0 })
    const { store } = await newStore()
    await store.put(`${DIRECTORY}0`, stored)
    const hash = crc32(stored).toString(16).padStart(8, '0')
    const file = { base: 'Data', name: 'large', size: 0, stored: stored.length, hash } as const
    const manifest = manifestFor([file], 'vitess', { CompressionEngine: 'pargzip' })
    const asked: (ByteRange | undefined)[] = []
    const failing = withGet(store, async (key, range) => {
      asked.push(range)
      if (range !== undefined) throw unreadable(key)
      const sound = await store.get(key, { start: 0, end: 30 * 1024 * 1024 })
      return Readable.from(
        (async function* () {
          yield* sound
          throw unreadable(key)
        })(),
        { objectMode: false },
      )
    })
    const found = await verify({ manifest, store: failing })
    expect(found.damagedObjects).toBe(1)
    expect(asked).toHaveLength(2)
    expect(asked[1]?.start).toBeGreaterThan(20 * 1024 * 1024)
    expect(asked[1]?.end).toBeGreaterThan(30 * 1024 * 1024)
  })

  test('is not called damaged where a second look can read it', async () => {
    const backup = await backupOf(server)
    const object = DIRECTORY + indexOf(backup.manifest, 'undo_001')
    let looks = 0
    const onGet = (key: ObjectKey) => {
      if (key !== object) return
      looks += 1
      if (looks === 1) throw unreadable(key)
    }
    const store = new InterferedStore(backup.root, { opaque: true, onGet })
    await expect(verify({ ...backup, store })).rejects.toMatchObject({ type: 'StorageUnavailable' })
    expect(looks).toBe(2)
  })

  test('is not called damaged because storage cannot be read', async () => {
    const backup = await backupOf(server)
    await writeFile(join(backup.root, '.tabletkeeper-repository'), '{"id":"99999999-e813-11ef-9cd2-0242ac120002"}\n')
    await expect(verify(backup)).rejects.toMatchObject({ type: 'StorageUnavailable' })
  })

  test('is not called damaged where the disk can read nothing else either', async () => {
    const backup = await backupOf(server)
    const onGet = async (key: ObjectKey) => {
      await rm(join(backup.root, '.tabletkeeper-repository'), { force: true })
      throw unreadable(key)
    }
    const store = new InterferedStore(backup.root, { opaque: true, onGet })
    await expect(verify({ ...backup, store })).rejects.toMatchObject({ type: 'StorageUnavailable' })
  })
})

describe('pages of InnoDB', () => {
  test('that were damaged on the tablet are told as such, with file and page', async () => {
    const files = server.map((file) => {
      if (file.name === 'pages/t.ibd') return damaged(damaged(file, 3), 5)
      return file.name === 'undo_001' ? damaged(file, FRAME_SIZE / PAGE + 1) : file
    })
    const found = await verify(await backupOf(files))
    expect(found).toMatchObject({ damagedObjects: 0, damagedPages: 3 })
    expect(found.firstDamagedPages).toEqual(
      expect.arrayContaining([
        { file: 'pages/t.ibd', page: 3, origin: 'tablet' },
        { file: 'pages/t.ibd', page: 5, origin: 'tablet' },
        { file: 'undo_001', page: FRAME_SIZE / PAGE + 1, origin: 'tablet' },
      ]),
    )
  })

  test('that nobody saw damaged while they were copied are told apart', async () => {
    const backup = await backupOf(server.map((file) => (file.name === 'pages/t.ibd' ? damaged(file, 4) : file)))
    const section = backup.manifest.Tabletkeeper
    if (section === undefined) throw new Error('it has no section')
    const manifest = { ...backup.manifest, Tabletkeeper: { ...section, PageCheck: { BadPages: 0, Pages: [] } } }
    expect((await verify({ ...backup, manifest })).firstDamagedPages).toEqual([
      { file: 'pages/t.ibd', page: 4, origin: 'unknown' },
    ])
  })

  test('are known from the MANIFEST when their object is lost', async () => {
    const backup = await backupOf(server.map((file) => (file.name === 'pages/t.ibd' ? damaged(file, 4) : file)))
    await rm(objectOf(backup, 'pages/t.ibd'))
    expect(await verify(backup)).toMatchObject({
      damagedObjects: 1,
      damagedPages: 1,
      firstDamagedPages: [{ file: 'pages/t.ibd', page: 4, origin: 'tablet' }],
    })
  })

  test('in any number are counted, and the first are named', async () => {
    const undo = server.find(({ name }) => name === 'undo_001')
    const noise = { name: 'undo_001', bytes: randomBytes(undo?.bytes.length ?? 0) }
    // The tablespace's own flags, which tell how large its pages are: random ones may claim another size.
    undo?.bytes.copy(noise.bytes, 54, 54, 58)
    const found = await verify(await backupOf([noise]))
    expect(found.damagedPages).toBe(noise.bytes.length / PAGE)
    expect(found.firstDamagedPages).toHaveLength(50)
  })
})

describe('a backup that Vitess made', () => {
  const ENGINES: readonly (readonly [string, Partial<Manifest>, (plain: Buffer) => Buffer])[] = [
    ['zstd', { CompressionEngine: 'zstd' }, (plain) => zstdCompressSync(plain)],
    ['pgzip', { CompressionEngine: 'pgzip' }, (plain) => gzipSync(plain)],
    [
      'pargzip, of several members',
      { CompressionEngine: 'pargzip' },
      (plain) => Buffer.concat([gzipSync(plain.subarray(0, 99_999)), gzipSync(plain.subarray(99_999))]),
    ],
    ['lz4', { CompressionEngine: 'lz4' }, lz4Of],
    ['no compression', { CompressionEngine: '', SkipCompress: true }, (plain) => plain],
  ]

  async function vitessBackup(keys: Partial<Manifest>, stored: Buffer): Promise<Backup> {
    const { store, root } = await newStore()
    await store.put(`${DIRECTORY}0`, stored)
    const hash = crc32(stored).toString(16).padStart(8, '0')
    const entry = { base: 'Data', name: 'pages/t.ibd', hash, size: 0, stored: 0 } as const
    return { manifest: manifestFor([entry], 'vitess', keys), store, root }
  }

  test.each(ENGINES)('is read through: %s', async (_engine, keys, compress) => {
    const table = tableFile()
    const stored = compress(table.bytes)
    const backup = await vitessBackup(keys, stored)
    expect(await verify(backup)).toEqual({
      files: 1,
      dataBytes: table.bytes.length,
      storedBytes: stored.length,
      ...SOUND,
    })
    await flip(join(backup.root, `${DIRECTORY}0`), Math.floor(stored.length / 2))
    expect(await verify(backup)).toMatchObject({ damagedObjects: 1, firstDamagedObjects: [{ file: 'pages/t.ibd' }] })
    await truncate(join(backup.root, `${DIRECTORY}0`), stored.length - 1)
    expect(await verify(backup)).toMatchObject({ damagedObjects: 1 })
  })

  test.each(ENGINES)('has its pages checked: %s', async (_engine, keys, compress) => {
    const backup = await vitessBackup(keys, compress(damaged(tableFile(), 3).bytes))
    expect(await verify(backup)).toMatchObject({
      damagedObjects: 0,
      damagedPages: 1,
      firstDamagedPages: [{ file: 'pages/t.ibd', page: 3, origin: 'tablet' }],
    })
  })

  test('tells a page that storage damaged from one that the tablet had', async () => {
    const backup = await vitessBackup({ SkipCompress: true }, tableFile().bytes)
    await flip(join(backup.root, `${DIRECTORY}0`), 3 * PAGE + 1000)
    expect(await verify(backup)).toMatchObject({
      damagedObjects: 1,
      firstDamagedPages: [{ file: 'pages/t.ibd', page: 3, origin: 'storage' }],
    })
  })

  test('is refused when it was compressed by a program that only its maker has', async () => {
    const backup = await vitessBackup({ CompressionEngine: 'external' }, Buffer.from('x'))
    await expect(verify(backup)).rejects.toMatchObject({ type: 'IncompatibleVersion' })
  })
})

function tableFile(): ServerFile {
  const table = server.find(({ name }) => name === 'pages/t.ibd')
  if (table === undefined) throw new Error('the server has no table')
  return table
}

/** One frame of blocks that are stored as they are. */
function lz4Of(plain: Buffer): Buffer {
  const BLOCK = 4 * 1024 * 1024
  const checksum = (bytes: Buffer): number => {
    const hash = new XxHash32()
    hash.update(bytes)
    return hash.digest()
  }
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(value)
    return bytes
  }
  // Version 1, independent blocks, a checksum of the content; blocks of 4 MiB.
  const header = Buffer.from([0x64, 0x70])
  const blocks = Array.from({ length: Math.ceil(plain.length / BLOCK) }, (_, at) => {
    const block = plain.subarray(at * BLOCK, (at + 1) * BLOCK)
    return [number(0x80000000 + block.length), block]
  })
  const start = [number(0x184d2204), header, Buffer.from([(checksum(header) >>> 8) & 0xff])]
  return Buffer.concat([...start, ...blocks.flat(), number(0), number(checksum(plain))])
}
