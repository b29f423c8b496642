import { createHash } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RestoreLedger } from '../../engine/ledger/restore-ledger.ts'
import type { Checked } from '../../engine/pool/tasks.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Manifest } from '../../model/manifest.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { manifestFor } from './sample-run.ts'

const FILES = ['a', 'b', 'c'].map((name, index) => {
  const [hash, segmentHash] = [`0000000${index}`, String(index).repeat(64)]
  return { base: 'Data', name, size: 1, stored: 1, hash, segmentHash } as const
})
const MANIFEST = manifestFor(FILES, 'tabletkeeper')

function checked(frame: number): Checked {
  const sha = createHash('sha256').update(String(frame)).digest()
  return { crc: 0xfffffff0 + frame, sha, format: undefined, badPages: [] }
}

/** What a ledger that is opened for `manifest` knows, as one value. */
async function known(path: string, manifest: Manifest = MANIFEST) {
  await using ledger = await RestoreLedger.open(path, manifest)
  return {
    finished: ledger.isFinished,
    files: [0, 1, 2].map((index) => ledger.has(index)),
    frames: [0, 1, 2].map((index) => {
      const frames = ledger.framesOf(index)
      const each = [0, 1, 2, 3].flatMap((frame) => {
        const checksums = frames.get(frame)
        return checksums === undefined ? [] : [[frame, checksums.crc, Buffer.from(checksums.sha).toString('hex')]]
      })
      expect(frames.size).toBe(each.length)
      return each
    }),
  }
}

const NOTHING = { finished: false, files: [false, false, false], frames: [[], [], []] }
const ALL = { finished: true, files: [true, true, true], frames: [[], [], []] }

async function newLedger(): Promise<{ readonly path: string; readonly bytes: Buffer }> {
  const path = join(await temporaryDirectory(), 'staging', 'ledger')
  await using ledger = await RestoreLedger.open(path, MANIFEST)
  // Frames are done in any order.
  for (const frame of [1, 0, 2]) ledger.addFrame(0, frame, checked(frame))
  ledger.addFiles(1, 2)
  ledger.addFrame(0, 3, checked(3))
  ledger.addFiles(0)
  await ledger.finish()
  return { path, bytes: await readFile(path) }
}

test('an attempt that goes on knows the files that are done, and the frames of those that are not', async () => {
  const { path, bytes } = await newLedger()
  expect(await known(path)).toEqual(ALL)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const lines = bytes.toString().split('\n')
  await writeFile(path, [...lines.slice(0, 6), '["frame",0,3,1'].join('\n'))
  expect(await known(path)).toEqual({
    finished: false,
    files: [false, true, true],
    frames: [
      [0, 1, 2].map((frame) => [frame, checked(frame).crc, Buffer.from(checked(frame).sha).toString('hex')]),
      [],
      [],
    ],
  })
})

test('a ledger that was torn at any byte is gone on with from its last whole line', async () => {
  const { path, bytes } = await newLedger()
  const header = bytes.indexOf('\n') + 1
  for (let length = 0; length < bytes.length; length += 1) {
    if (length % 11 !== 0 && !bytes.subarray(length - 2, length + 2).includes(0x0a)) continue
    await writeFile(path, bytes.subarray(0, length))
    const found = await known(path)
    expect(found.finished).toBe(false)
    const whole = bytes.subarray(0, length).lastIndexOf('\n') + 1
    if (whole < header) expect(found).toEqual(NOTHING)
    expect(await readFile(path)).toEqual(bytes.subarray(0, Math.max(whole, header)))
  }
})

describe('a ledger that is damaged otherwise', () => {
  test.each([
    ['that is no JSON', 'rubbish'],
    ['that is empty', ''],
    ['of zeros, as a file system leaves them after a loss of power', '\0'.repeat(40)],
    ['that is another kind of JSON', '["frame",0]'],
    ['that is none of its lines', '{"ledger":1}'],
  ])('by a line %s is broken', async (_, line) => {
    const { path, bytes } = await newLedger()
    const lines = bytes.toString().split('\n')
    for (let at = 1; at < lines.length - 1; at++) {
      await writeFile(path, lines.with(at, line).join('\n'))
      await expect(known(path)).rejects.toThrow(ofType('FenceBroken'))
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
        const found = await known(path).catch((error: unknown) => error)
        if (found instanceof Error) expect(found).toEqual(ofType('FenceBroken'))
      }),
      { numRuns: 300 },
    )
  })

  test('that cannot be read says so of the tablet’s host', async () => {
    const path = join(await temporaryDirectory(), 'ledger')
    await mkdir(path)
    await expect(known(path)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining("on the tablet's host"),
    })
  })
})

describe('nothing is known of', () => {
  test.each([
    ['another backup', manifestFor(FILES, 'tabletkeeper', { BackupName: '2026-11-24.143447.zone1-0000000101' })],
    ['a backup of other files', manifestFor(FILES.slice(1), 'tabletkeeper')],
    [
      'a backup of other bytes',
      manifestFor(
        FILES.map((file) => ({ ...file, hash: '12345678' })),
        'tabletkeeper',
      ),
    ],
    ['the same files as Vitess stored them', manifestFor(FILES, 'vitess')],
  ])('%s', async (_, other) => {
    const { path } = await newLedger()
    expect(await known(path, other)).toEqual(NOTHING)
    // Nor of this one any more: its files are being overwritten.
    expect(await known(path)).toEqual(NOTHING)
  })

  test('what was written before the host was started again, when it may be lost', async () => {
    const { path, bytes } = await newLedger()
    await writeFile(path, bytes.toString().replace(/"boot":"[^"]*"/, '"boot":"another"'))
    expect(await known(path)).toEqual(NOTHING)
  })

  test.each([0, 1, 3])('what a loss of power has made zeros of, from line %i on', async (from) => {
    const { path, bytes } = await newLedger()
    const lines = bytes
      .toString()
      .replace(/"boot":"[^"]*"/, '"boot":"another"')
      .split('\n')
    await writeFile(path, lines.map((line, at) => (at < from ? line : '\0'.repeat(line.length))).join('\n'))
    expect(await known(path)).toEqual(NOTHING)
  })
})

test('an attempt that was left behind adds its lines after those of the one that began anew', async () => {
  const { path } = await newLedger()
  const other = manifestFor(FILES.slice(1), 'tabletkeeper')
  await using left = await RestoreLedger.open(path, other)
  left.addFiles(0)
  await using ledger = await RestoreLedger.open(path, MANIFEST)
  ledger.addFiles(0)
  left.addFiles(1)
  ledger.addFiles(2)
  expect(await known(path)).toMatchObject({ files: [true, true, true] })
})

test('what could not be made durable is restored anew', async () => {
  const { path } = await newLedger()
  {
    await using ledger = await RestoreLedger.open(path, MANIFEST)
    const failing = async () => {
      throw new TabletkeeperError('StorageFull', 'the disk lost it')
    }
    await expect(ledger.syncing(failing)).rejects.toThrow('the disk lost it')
    ledger.addFiles(0)
  }
  expect(await known(path)).toEqual(NOTHING)
})
