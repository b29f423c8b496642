import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { crc32, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { checkStored } from '../../engine/backup/check.ts'
import type { Progress } from '../../model/runs.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { copy, DIRECTORY, manifestFor, newStore, restore, restoreTo } from './sample-backup.ts'
import { digestsOf, sampleFile, sampleFiles } from './sample-files.ts'

describe('files that were copied', () => {
  test.each(['tabletkeeper', 'vitess'] as const)(
    'come back byte for byte, with a MANIFEST as %s writes it',
    async (maker) => {
      const source = await temporaryDirectory()
      const files = await sampleFiles(source)
      const { store } = await newStore()
      const copied = await copy(files, { store })
      const { staging, bytes } = await restore(manifestFor(copied, maker), { store })
      expect(await digestsOf(staging)).toEqual(await digestsOf(source))
      expect(bytes).toBe(files.reduce((sum, { size }) => sum + size, 0))
      expect((await stat(join(staging, 'commerce/large.ibd'))).mode & 0o777).toBe(0o640)
      expect((await stat(join(staging, '#innodb_redo'))).mode & 0o777).toBe(0o750)
    },
  )

  test('are described in the order in which they were given, as storage has them', async () => {
    const files = await sampleFiles(await temporaryDirectory())
    const { store } = await newStore()
    const copied = await copy(files, { store })
    expect(copied.map(({ base, name, size }) => ({ base, name, size }))).toEqual(
      files.map(({ base, name, size }) => ({ base, name, size })),
    )
    for (const [index, { hash, stored }] of copied.entries()) {
      const bytes = await buffer(await store.get(`${DIRECTORY}${index}`))
      expect(bytes).toHaveLength(stored)
      expect(crc32(bytes).toString(16).padStart(8, '0')).toBe(hash)
    }
    await checkStored(store, DIRECTORY, copied)
  })

  test('are zstd streams to everybody, also empty ones, with a checksum of their content', async () => {
    const source = await temporaryDirectory()
    const files = [
      await sampleFile(source, 'Data', 'a/empty', Buffer.alloc(0)),
      await sampleFile(source, 'Data', 'a/some', randomBytes(700_000)),
    ]
    const { store, root } = await newStore()
    await copy(files, { store })
    for (const [index, { path }] of files.entries()) {
      const stored = join(root, DIRECTORY, String(index))
      expect((await decode(stored)).equals(await readFile(path))).toBe(true)
      // Bit 2 of the frame header descriptor, which follows the magic number.
      expect((await readFile(stored)).readUInt8(4) & 0x04).toBe(0x04)
    }
  })

  test('take the place of what an attempt left that cannot be continued', async () => {
    const files = await sampleFiles(await temporaryDirectory())
    const { store, root } = await newStore()
    await store.put('commerce/0/other', Buffer.from('a ready repository'))
    await sampleFile(join(root, DIRECTORY), 'Data', '.tmp-0123456789abcdef-1', Buffer.from('half'))
    await checkStored(store, DIRECTORY, await copy(files, { store }))
    await expect(stat(join(root, DIRECTORY, '.tmp-0123456789abcdef-1'))).rejects.toThrow('ENOENT')
  })

  test('are not put among objects that somebody else has stored under the name of the backup', async () => {
    const files = await sampleFiles(await temporaryDirectory())
    const { store } = await newStore()
    await store.put(`${DIRECTORY}0`, Buffer.from('of somebody else'))
    await expect(copy(files, { store })).rejects.toThrow(ofType('FenceBroken'))
    expect((await buffer(await store.get(`${DIRECTORY}0`))).toString()).toBe('of somebody else')
  })

  test('overwrite what an earlier restore has left', async () => {
    const source = await temporaryDirectory()
    const { store } = await newStore()
    const copied = await copy(await sampleFiles(source), { store })
    const staging = await temporaryDirectory()
    await sampleFile(staging, 'Data', 'commerce/one byte.ibd', Buffer.alloc(1000))
    // Where the backup has zeros, which are not written.
    await sampleFile(staging, 'Data', 'commerce/large.ibd', Buffer.alloc(20 * 1024 * 1024, 'x'))
    await restoreTo(staging, manifestFor(copied, 'tabletkeeper'), { store })
    expect(await digestsOf(staging)).toEqual(await digestsOf(source))
  })

  test('of no number at all are no error', async () => {
    const { store } = await newStore()
    expect(await copy([], { store })).toEqual([])
  })
})

describe('objects as Vitess writes them are restored', () => {
  const plain = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000, 'row ')])

  test.each([
    ['zstd', { CompressionEngine: 'zstd' }, zstdCompressSync(plain)],
    ['several zstd frames and a seek table', { CompressionEngine: 'zstd' }, framesAndSeekTable()],
    ['pgzip', { CompressionEngine: 'pgzip' }, gzipSync(plain)],
    [
      'pargzip, of several members',
      { CompressionEngine: 'pargzip' },
      Buffer.concat([gzipSync(plain.subarray(0, 1000)), gzipSync(plain.subarray(1000))]),
    ],
    ['no engine named, which is pgzip', { CompressionEngine: '' }, gzipSync(plain)],
    ['stored as they are', { CompressionEngine: 'pargzip', SkipCompress: true }, plain],
  ])('%s', async (_, keys, stored) => {
    const { store } = await newStore()
    await store.put(`${DIRECTORY}0`, stored)
    const hash = crc32(stored).toString(16).padStart(8, '0')
    const entry = { base: 'Data', name: 'commerce/t.ibd', hash, size: 0, stored: 0 } as const
    const { staging, bytes } = await restore(manifestFor([entry], 'vitess', keys), { store })
    expect(bytes).toBe(plain.length)
    expect((await readFile(join(staging, 'commerce/t.ibd'))).equals(plain)).toBe(true)
  })

  test.each(['zstd', 'pgzip', 'lz4'])(
    'without any bytes, as zstd of Vitess makes them of empty files: %s',
    async (engine) => {
      const { store } = await newStore()
      await store.put(`${DIRECTORY}0`, Buffer.alloc(0))
      const entry = { base: 'Data', name: 'mysql/slow_log.CSV', hash: '00000000', size: 0, stored: 0 } as const
      const { staging } = await restore(manifestFor([entry], 'vitess', { CompressionEngine: engine }), { store })
      expect(await readFile(join(staging, 'mysql/slow_log.CSV'))).toHaveLength(0)
    },
  )

  test('but not those of a program that only their maker has', async () => {
    const { store } = await newStore()
    const manifest = manifestFor([], 'vitess', { CompressionEngine: 'external', ExternalDecompressor: 'rm -rf /' })
    await expect(restore(manifest, { store })).rejects.toMatchObject({
      type: 'IncompatibleVersion',
      message: expect.stringContaining('external'),
    })
  })

  function framesAndSeekTable(): Buffer {
    const skippable = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5])
    return Buffer.concat([zstdCompressSync(plain.subarray(0, 7)), zstdCompressSync(plain.subarray(7)), skippable])
  }
})

test('progress ends at the whole, counts plain bytes, and never goes back', async () => {
  const files = await sampleFiles(await temporaryDirectory())
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const { store } = await newStore()
  const seen: { backup: Progress[]; restore: Progress[] } = { backup: [], restore: [] }
  const copied = await copy(files, { store, onProgress: (progress) => seen.backup.push(progress) })
  await restore(manifestFor(copied, 'tabletkeeper'), { store, onProgress: (progress) => seen.restore.push(progress) })
  for (const progress of [seen.backup, seen.restore]) {
    expect(progress.at(-1)).toMatchObject({
      bytesDone: total,
      bytesTotal: total,
      filesDone: files.length,
      filesTotal: files.length,
    })
    expect(progress.map(({ bytesDone }) => bytesDone)).toEqual(
      progress.map(({ bytesDone }) => bytesDone).toSorted((a, b) => a - b),
    )
  }
})

test('progress of a restore of unknown plain sizes is that of the stored bytes', async () => {
  const { store } = await newStore()
  const copied = await copy(await sampleFiles(await temporaryDirectory()), { store })
  const stored = copied.reduce((sum, file) => sum + file.stored, 0)
  let last: Progress | undefined
  await restore(manifestFor(copied, 'vitess'), { store, onProgress: (progress) => (last = progress) })
  expect(last).toMatchObject({ bytesDone: stored, bytesTotal: stored })
})

/** By the program where there is one, else by Node's own. */
async function decode(path: string): Promise<Buffer> {
  try {
    return execFileSync('zstd', ['--decompress', '--stdout', path], { stdio: ['ignore', 'pipe', 'inherit'] })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return zstdDecompressSync(await readFile(path))
    throw error
  }
}
