import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CopyBinding, CopyLedger, fingerprintOf, readCopyRecord } from '../../engine/ledger/copy-ledger.ts'
import type { FrameDigest } from '../../engine/object-digest.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { HEADER, NAME } from './sample-run.ts'

const COUNT = 4
const UPLOAD = '00112233aabbccdd'
const BINDING: CopyBinding = { ...HEADER, files: 'f'.repeat(64), store: 'file:/mnt', compressor: 'zstd', boot: 'b' }
/** Names that a file may have and lines may not. */
const NAMES = ['db/t.ibd', 'db/zeilen\nende', 'db/\u2028\u2029 "Ünicode" \\ \r', 'undo_001']

function frameOf(number: number, stored = 1000 + number): FrameDigest {
  return {
    plain: 8_388_608,
    stored,
    crc: 0xffff0000 + number,
    sha: createHash('sha256').update(String(number)).digest(),
  }
}

function fileOf(index: number, badPages: readonly number[] = []) {
  const name = NAMES[index] ?? ''
  const [hash, segmentHash] = ['0a1b2c3d', 'e'.repeat(64)]
  return { index, base: 'Data', name, size: 100 + index, stored: 50 + index, hash, segmentHash, badPages } as const
}

/** A ledger of two large objects, of one of which the end was lost once, and two small ones. */
async function writeLedger(path: string): Promise<void> {
  {
    await using ledger = await CopyLedger.create(path, BINDING, UPLOAD, COUNT)
    ledger.addFrame(0, frameOf(0), [3, 4])
    ledger.addFrame(2, frameOf(10), [])
    ledger.addFrame(0, frameOf(1), [700])
    ledger.addFrame(0, frameOf(2), [1200])
    ledger.addFiles([fileOf(1, [9]), fileOf(3)])
  }
  const ledger = await CopyLedger.resume(path, BINDING, COUNT)
  if (ledger === undefined) throw new Error('the ledger cannot be gone on with')
  expect(ledger.framesWithin(0, ledger.storedOf(0) - 1)).toHaveLength(2)
  ledger.addFrame(0, frameOf(2), [1200])
  ledger.addFiles([fileOf(0)])
  ledger.addFiles([fileOf(2)])
  await ledger.finish()
  await ledger[Symbol.asyncDispose]()
}

async function newLedger(): Promise<{ readonly path: string; readonly bytes: Buffer }> {
  const path = join(await temporaryDirectory(), 'copies', 'ledger')
  await writeLedger(path)
  return { path, bytes: await readFile(path) }
}

test('a finished ledger tells what was stored, in the order of the files, and each bad page once', async () => {
  const { path } = await newLedger()
  const record = await readCopyRecord(path, NAME)
  expect(record).toMatchObject({ ...HEADER, badPages: 5 })
  expect(record.files).toEqual(
    [0, 1, 2, 3].map((index) => {
      const { index: _, badPages: __, ...file } = fileOf(index)
      return file
    }),
  )
  expect(record.firstBadPages).toEqual([
    { file: 0, page: 3 },
    { file: 0, page: 4 },
    { file: 0, page: 700 },
    { file: 0, page: 1200 },
    { file: 1, page: 9 },
  ])
  expect(Date.parse(record.finishedAt)).toBeGreaterThan(Date.now() - 60_000)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('an attempt that goes on knows what is whole, and what is there of the rest', async () => {
  const { path, bytes } = await newLedger()
  const lines = bytes.toString().split('\n')
  const untilRestart = lines.slice(
    0,
    lines.findIndex((line) => line.startsWith('["restart"')),
  )
  await writeFile(path, `${untilRestart.join('\n')}\n["frame",0,1`)
  await using ledger = await CopyLedger.resume(path, BINDING, COUNT)
  expect(ledger?.upload).toBe(UPLOAD)
  expect(ledger?.isFinished).toBe(false)
  expect([0, 1, 2, 3].map((index) => ledger?.has(index))).toEqual([false, true, false, true])
  expect(ledger?.totals).toEqual({ files: 2, dataBytes: 204, storedBytes: 104, badPages: 5 })
  expect([0, 1, 2].map((index) => ledger?.storedOf(index))).toEqual([3003, 0, 1010])
  expect([...(ledger?.framesWithin(2, 1010) ?? [])]).toMatchObject([frameOf(10)])
  // What the store has lost of the object goes from the totals too.
  expect([...(ledger?.framesWithin(0, 1000) ?? [])]).toMatchObject([frameOf(0)])
  expect(ledger?.totals.badPages).toBe(3)
  expect((await readFile(path, 'utf8')).trimEnd().split('\n').at(-1)).toBe('["restart",0,1]')
})

describe('a ledger that was torn', () => {
  test('is none of a finished copy, and is gone on with from its last whole line', async () => {
    const { path, bytes } = await newLedger()
    const header = bytes.indexOf('\n') + 1
    for (let length = 0; length < bytes.length; length += 1) {
      // Every byte around the ends of lines, and some of each line.
      if (length % 11 !== 0 && !bytes.subarray(length - 2, length + 2).includes(0x0a)) continue
      await writeFile(path, bytes.subarray(0, length))
      await expect(readCopyRecord(path, NAME)).rejects.toThrow(ofType('FenceBroken'))
      const ledger = await CopyLedger.resume(path, BINDING, COUNT)
      const whole = bytes.subarray(0, length).lastIndexOf('\n') + 1
      if (whole < header) {
        expect(ledger).toBeUndefined()
        continue
      }
      await ledger?.[Symbol.asyncDispose]()
      expect(await readFile(path)).toEqual(bytes.subarray(0, whole))
    }
  })

  test('becomes a finished one when what is missing was added', async () => {
    const { path, bytes } = await newLedger()
    const whole = await readCopyRecord(path, NAME)
    const header = bytes.indexOf('\n') + 1
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: header, max: bytes.length }), async (length) => {
        await writeFile(path, bytes.subarray(0, length))
        {
          await using ledger = await CopyLedger.resume(path, BINDING, COUNT)
          if (ledger === undefined) throw new Error('it was not gone on with')
          const known = ledger.framesWithin(0, Number.POSITIVE_INFINITY).length
          const pages = [[3, 4], [700], [1200]]
          for (const [at, bad] of ledger.has(0) ? [] : pages.slice(known).entries())
            ledger.addFrame(0, frameOf(known + at), bad)
          const badPagesOf = (index: number) => (index === 1 ? [9] : [])
          ledger.addFiles(
            [0, 1, 2, 3].filter((index) => !ledger.has(index)).map((index) => fileOf(index, badPagesOf(index))),
          )
          if (!ledger.isFinished) await ledger.finish()
        }
        expect(await readCopyRecord(path, NAME)).toEqual({ ...whole, finishedAt: expect.any(String) })
      }),
      { numRuns: 60 },
    )
  })
})

describe('a ledger that is damaged otherwise', () => {
  test.each([
    ['that is no JSON', 'rubbish'],
    ['that is empty', ''],
    ['of zeros, as a file system leaves them after a loss of power', '\0'.repeat(40)],
    ['that is another kind of JSON', '["frame",0]'],
    ['that is none of its lines', '{"ledger":1}'],
  ])('by a line %s is none of a finished copy, and is not gone on with', async (_, line) => {
    const { path, bytes } = await newLedger()
    const lines = bytes.toString().split('\n')
    for (let at = 0; at < lines.length - 1; at++) {
      await writeFile(path, lines.with(at, line).join('\n'))
      await expect(readCopyRecord(path, NAME)).rejects.toThrow(ofType('FenceBroken'))
      // From the beginning, or not at all.
      const resumed = await CopyLedger.resume(path, BINDING, COUNT).catch((error: unknown) => error)
      expect(resumed === undefined || isError(resumed, 'FenceBroken')).toBe(true)
    }
  })

  test('by the loss of a file’s line is none of a finished copy', async () => {
    const { path, bytes } = await newLedger()
    const lines = bytes.toString().split('\n')
    const files = [...lines.keys()].filter((at) => lines[at]?.startsWith('["file"'))
    expect(files).toHaveLength(COUNT)
    for (const at of files) {
      await writeFile(path, lines.toSpliced(at, 1).join('\n'))
      await expect(readCopyRecord(path, NAME)).rejects.toThrow(ofType('FenceBroken'))
    }
  })

  test('in any byte is read as a ledger or is broken, and nothing else', async () => {
    const { path, bytes } = await newLedger()
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const changed = Buffer.from(bytes)
        for (const [at, value] of all) changed[at] = value
        await writeFile(path, changed)
        const outcomes = [
          await readCopyRecord(path, NAME).catch((error: unknown) => error),
          await CopyLedger.resume(path, BINDING, COUNT).catch((error: unknown) => error),
        ]
        for (const outcome of outcomes) {
          if (outcome instanceof Error) expect(outcome).toEqual(ofType('FenceBroken'))
          if (outcome instanceof CopyLedger) await outcome[Symbol.asyncDispose]()
        }
      }),
      { numRuns: 400 },
    )
  })
})

describe('a ledger of another copy', () => {
  test.each([
    ['another stop', { lsn: '12346' }],
    ['other files', { files: '0'.repeat(64) }],
  ])('of %s breaks the fence', async (_, change) => {
    const { path } = await newLedger()
    await expect(CopyLedger.resume(path, { ...BINDING, ...change }, COUNT)).rejects.toThrow(ofType('FenceBroken'))
  })

  test.each([
    ['run', { runId: 'another' }],
    ['backup', { backup: '2026-11-24.143447.zone1-0000000101' }],
    ['run of other files', { runId: 'another', files: '0'.repeat(64), lsn: '1' }],
    ['store', { store: 'file:/mnt2' }],
    ['compressor', { compressor: 'zstd 9' }],
    ['start of the host', { boot: 'c' }],
    ['mode', { snapshot: 'reflink' }],
  ] as const)('of another %s is not gone on with', async (_, change) => {
    const { path } = await newLedger()
    expect(await CopyLedger.resume(path, { ...BINDING, ...change }, COUNT)).toBeUndefined()
  })

  test.each([0, 1, 4])(
    'is not gone on with when a loss of power has made zeros of it from line %i on',
    async (from) => {
      const { path, bytes } = await newLedger()
      const lines = bytes.toString().split('\n')
      await writeFile(path, lines.map((line, at) => (at < from ? line : '\0'.repeat(line.length))).join('\n'))
      expect(await CopyLedger.resume(path, { ...BINDING, boot: 'c' }, COUNT)).toBeUndefined()
    },
  )

  test('is no record of this one, nor is one that is missing', async () => {
    const { path } = await newLedger()
    await expect(readCopyRecord(path, '2026-11-24.143447.zone1-0000000101')).rejects.toThrow(ofType('FenceBroken'))
    await expect(readCopyRecord(`${path}.other`, NAME)).rejects.toThrow(ofType('FenceBroken'))
    expect(await CopyLedger.resume(`${path}.other`, BINDING, COUNT)).toBeUndefined()
  })
})

test('a list of files is another when any file is another, or at another place', () => {
  const file = { base: 'Data', name: 'a', path: '/x/a', size: 1, mtimeNs: 5n, inode: 7n } as const
  const other = { ...file, name: 'b', path: '/x/b' }
  const all = [
    [file, other],
    [other, file],
    [file],
    [],
    [{ ...file, size: 2 }, other],
    [{ ...file, mtimeNs: 6n }, other],
    [{ ...file, inode: 8n }, other],
    [{ ...file, base: 'InnoDBData' as const }, other],
    [{ ...file, name: 'c' }, other],
  ]
  expect(new Set(all.map(fingerprintOf)).size).toBe(all.length)
  // The data directory of a clone is another place, with the same files.
  expect(fingerprintOf([{ ...file, path: '/clone/a' }, other])).toBe(fingerprintOf([file, other]))
})

test('a ledger of what could not be made durable is void; where that can be tried again it is gone on with', async () => {
  const path = join(await temporaryDirectory(), 'ledger')
  const begun = async () => {
    const ledger = await CopyLedger.create(path, BINDING, UPLOAD, COUNT)
    ledger.addFiles([fileOf(1)])
    return ledger
  }
  const failing = (retryable: boolean) => async () => {
    throw new TabletkeeperError('StorageUnavailable', 'made to fail', { retryable })
  }
  {
    await using ledger = await begun()
    await expect(ledger.syncing(failing(true))).rejects.toThrow('made to fail')
  }
  {
    await using ledger = await CopyLedger.resume(path, BINDING, COUNT)
    expect(ledger?.has(1)).toBe(true)
    await expect(ledger?.syncing(failing(false))).rejects.toThrow('made to fail')
    // Work that was under way ends by itself.
    ledger?.addFiles([fileOf(3)])
  }
  expect(await CopyLedger.resume(path, BINDING, COUNT)).toBeUndefined()
  await expect(readCopyRecord(path, BINDING.backup)).rejects.toMatchObject({ type: 'FenceBroken' })
})
