import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Progress } from '../../model/runs.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { FileStore } from '../../storage/file/file.ts'
import { ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore, type Interference } from './interfered-store.ts'
import { replaceByCopy } from './replaced-file.ts'
import { copy, copyRecord, DIRECTORY, HEADER, manifestFor, restoreTo } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'
import { describe as describeFile, digestsOf } from './sample-files.ts'

const CONTENTS = [
  { name: 'db/small.ibd', size: 300_000, kind: 'text' },
  { name: 'db/large.ibd', size: 7 * FRAME_SIZE + 321, kind: 'mixed' },
  { name: 'db/two.ibd', size: 2 * FRAME_SIZE, kind: 'random' },
  { name: 'db/sparse', size: 4 * FRAME_SIZE, kind: 'sparse' },
  { name: 'db/empty', size: 0, kind: 'zero' },
] as const
const FRAMES = 8 + 2 + 4

interface Sample {
  readonly files: readonly DataFile[]
  readonly root: string
  readonly ledger: string
}

async function sampleFilesOf(source: string): Promise<DataFile[]> {
  return await Promise.all(CONTENTS.map((content, seed) => writeContent(source, { ...content, seed })))
}

async function newSample(): Promise<Sample> {
  const files = await sampleFilesOf(await temporaryDirectory())
  return { files, root: await temporaryDirectory(), ledger: join(await temporaryDirectory(), 'ledger') }
}

/** A copy that ends at its write number `last`, having stored those before. */
async function copyUntil({ files, root, ledger }: Sample, last: number, other: Interference = {}): Promise<void> {
  let writes = 0
  const failure = new Error('enough')
  const onWrite = () => {
    if (writes++ >= last) throw failure
  }
  const store = new InterferedStore(root, { ...other, onWrite })
  await expect(copy(files, { store, ledger, concurrency: 2 })).rejects.toBe(failure)
}

/** Copies to the end, and tells how many frames (with the seek tables of their objects) that took. */
async function copyRest({ files, root, ledger }: Sample, other: Interference = {}) {
  let writes = 0
  const store = new InterferedStore(root, { ...other, onWrite: () => void writes++ })
  const progress: Progress[] = []
  const record = await copyRecord(files, { store, ledger, onProgress: (seen) => progress.push(seen) })
  return { record, writes, progress }
}

async function framesIn(ledger: string): Promise<number> {
  const lines = (await readFile(ledger, 'utf8')).split('\n')
  return lines.filter((line) => line.startsWith('["frame"')).length
}

async function temporariesOf({ root }: Sample): Promise<string[]> {
  return (await readdir(join(root, DIRECTORY))).filter((name) => name.startsWith('.tmp-'))
}

test('a backup that ended anywhere goes on from there, and its objects are those of one that did not', async () => {
  const undisturbed = await newSample()
  const { record } = await copyRest(undisturbed)
  const expected = await digestsOf(join(undisturbed.root, DIRECTORY))
  const enough = performance.now() + 30_000
  await fc.assert(
    fc.asyncProperty(
      // All together fewer than the writes that a copy takes.
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3 }),
      fc.option(fc.integer({ min: 1, max: 12_000_000 }), { nil: undefined }),
      fc.boolean(),
      async (ends, partSize, opaque) => {
        // A slow machine tries fewer.
        if (performance.now() > enough) return
        const sample = {
          files: undisturbed.files,
          root: await temporaryDirectory(),
          ledger: join(await temporaryDirectory(), 'ledger'),
        }
        const store: Interference = { opaque, ...(partSize === undefined ? {} : { partSize }) }
        let kept = 0
        for (const end of ends) {
          await copyUntil(sample, end, store)
          // A store that keeps whole bytes keeps what was written; one of parts may lose what it has of the next one.
          if (partSize === undefined) expect(await framesIn(sample.ledger)).toBeGreaterThanOrEqual(kept)
          kept = await framesIn(sample.ledger)
        }
        const rest = await copyRest(sample, store)
        expect(await digestsOf(join(sample.root, DIRECTORY))).toEqual(expected)
        expect({ ...rest.record, finishedAt: '' }).toEqual({ ...record, finishedAt: '' })
        // The frames that are missing, three seek tables, and three small files where they are written through memory.
        if (partSize === undefined) expect(rest.writes).toBeLessThanOrEqual(FRAMES - kept + 3 + 3)
        expect(rest.progress.at(-1)).toMatchObject({ filesDone: sample.files.length })
        expect(rest.progress.at(-1)?.bytesDone).toBe(rest.progress.at(-1)?.bytesTotal)
        for (const path of [sample.root, sample.ledger]) await rm(path, { recursive: true })
      },
    ),
    { numRuns: 10 },
  )
}, 120_000)

test('a backup that is finished is not copied again, though the record was not read yet', async () => {
  const sample = await newSample()
  const { record } = await copyRest(sample)
  const again = await copyRest(sample)
  expect(again.record).toEqual(record)
  expect(again.writes).toBe(0)
})

test('a backup that ended after its objects were published is finished without copying them again', async () => {
  const sample = await newSample()
  const fence = async (): Promise<void> => {
    throw new Error('ended')
  }
  const store = new FileStore(sample.root)
  await expect(copy(sample.files, { store, ledger: sample.ledger, fence })).rejects.toThrow('ended')
  expect((await store.list(DIRECTORY)).objects).toHaveLength(CONTENTS.length)
  const rest = await copyRest(sample)
  expect(rest.writes).toBe(0)
  expect(rest.record.files).toHaveLength(CONTENTS.length)
})

describe('a backup is not gone on with, and nothing is published,', () => {
  test.each([
    ['was written to', (path: string) => utimes(path, 1, 1)],
    ['was replaced by one that looks the same', replaceByCopy],
  ])('when a file %s meanwhile', async (_, change) => {
    const sample = await newSample()
    await copyUntil(sample, 4)
    const [small] = sample.files
    if (small === undefined) throw new Error('there is one')
    await change(small.path)
    const files = await Promise.all(sample.files.map(({ path, base, name }) => describeFile(path, base, name)))
    await expect(copyRest({ ...sample, files })).rejects.toThrow(ofType('FenceBroken'))
    expect((await new FileStore(sample.root).list(DIRECTORY)).objects).toEqual([])
  })

  test('when a file came or went meanwhile', async () => {
    const sample = await newSample()
    await copyUntil(sample, 4)
    const fewer = { ...sample, files: sample.files.slice(0, -1) }
    await expect(copyRest(fewer)).rejects.toThrow(ofType('FenceBroken'))
  })

  test('when its server stopped at another LSN meanwhile', async () => {
    const { files, root, ledger } = await newSample()
    await copyUntil({ files, root, ledger }, 4)
    const header = { ...HEADER, lsn: '12346' }
    await expect(copy(files, { store: new FileStore(root), ledger, header })).rejects.toThrow(ofType('FenceBroken'))
    expect((await new FileStore(root).list(DIRECTORY)).objects).toEqual([])
  })
})

describe('a backup begins anew, and what is left of the attempt before is removed,', () => {
  /** The directory holds the objects of an undisturbed copy, and nothing else. */
  async function expectWhole({ files, root }: Sample, level = 1): Promise<void> {
    const undisturbed = await temporaryDirectory()
    await copy(files, { store: new FileStore(undisturbed), level })
    expect(await digestsOf(join(root, DIRECTORY))).toEqual(await digestsOf(join(undisturbed, DIRECTORY)))
  }

  test('when it is compressed at another level', async () => {
    const sample = await newSample()
    await copyUntil(sample, 4)
    const before = await temporariesOf(sample)
    expect(before).not.toEqual([])
    await copy(sample.files, { store: new FileStore(sample.root), ledger: sample.ledger, level: 3 })
    await expectWhole(sample, 3)
  })

  test.each([
    ['when the host was started again', /"boot":"[^"]*"/, '"boot":"another"'],
    ['when another version of Node compresses', /"compressor":"[^"]*"/, '"compressor":"of another Node"'],
    ['when it was copied to another store', /"store":"[^"]*"/, '"store":"file:/mnt/other"'],
    ['when the ledger is that of another run', /"runId":"[^"]*"/, '"runId":"another"'],
    ['when the ledger cannot be made sense of', /^\{"ledger":1/, '{"ledger":2'],
  ])('%s', async (_, pattern, replacement) => {
    const sample = await newSample()
    await copyUntil(sample, 4)
    const ledger = await readFile(sample.ledger, 'utf8')
    const changed = ledger.replace(pattern, replacement)
    expect(changed).not.toBe(ledger)
    await writeFile(sample.ledger, changed)
    const rest = await copyRest(sample)
    expect(rest.writes).toBe(FRAMES + 3)
    await expectWhole(sample)
  })

  test('but not the objects that the attempt before has published', async () => {
    const sample = await newSample()
    const { record } = await copyRest(sample)
    await rm(sample.ledger)
    await expect(copyRest(sample)).rejects.toThrow(ofType('FenceBroken'))
    expect((await new FileStore(sample.root).list(DIRECTORY)).objects).toHaveLength(record.files.length)
  })
})

describe('objects that the store has lost of an attempt that ended', () => {
  test('as it says no sooner than when they are closed, are stored anew', async () => {
    const sample = await newSample()
    const lost = new TabletkeeperError('StorageUnavailable', 'close: EIO', { retryable: false })
    let isLost = true
    const onClose = () => {
      if (isLost) throw lost
    }
    const store = new InterferedStore(sample.root, { onClose })
    await expect(copy(sample.files, { store, ledger: sample.ledger, concurrency: 2 })).rejects.toBe(lost)
    isLost = false
    const { record, writes } = await copyRest(sample)
    expect(writes).toBe(FRAMES + 3)
    expect(record.files).toHaveLength(sample.files.length)
  })

  test('in part are stored anew from where they are whole', async () => {
    const sample = await newSample()
    await copyUntil(sample, 6)
    for (const name of await temporariesOf(sample)) {
      const path = join(sample.root, DIRECTORY, name)
      await writeFile(path, (await readFile(path)).subarray(0, -1000))
    }
    const { record } = await copyRest(sample)
    const undisturbed = await temporaryDirectory()
    expect(await copy(sample.files, { store: new FileStore(undisturbed) })).toEqual(record.files)
    expect(await digestsOf(join(sample.root, DIRECTORY))).toEqual(await digestsOf(join(undisturbed, DIRECTORY)))
  })

  test('wholly are never published as if they were there', async () => {
    const sample = await newSample()
    const fence = async (): Promise<void> => {
      throw new Error('ended')
    }
    const onCommit = async () => {
      const [first = ''] = await temporariesOf(sample)
      await rm(join(sample.root, DIRECTORY, first))
    }
    const store = new InterferedStore(sample.root, { onCommit })
    await expect(copy(sample.files, { store, ledger: sample.ledger, fence })).rejects.toThrow(
      ofType('StorageUnavailable'),
    )
    // What was recorded is void then, and some objects may be visible.
    await expect(copyRest(sample)).rejects.toMatchObject({ type: 'FenceBroken', retryable: false })
  })
})

describe('a restore that ended goes on', () => {
  test('from its ledger: frames and files that are done are not read again', async () => {
    const sample = await newSample()
    const { record } = await copyRest(sample)
    const manifest = manifestFor(record.files, 'tabletkeeper')
    const other = await temporaryDirectory()
    const [staging, ledger] = [join(other, 'staging'), join(other, 'ledger')]
    const failure = new Error('enough')
    let reads = 0
    const reading = (most: number) =>
      new InterferedStore(sample.root, {
        opaque: true,
        onGet: () => {
          if (reads++ >= most) throw failure
        },
      })
    let done = 0
    for (const most of [7, 9]) {
      reads = 0
      // One thread, and four frames on their way: those before were written.
      const options = { store: reading(most), ledger, concurrency: 1 }
      await expect(restoreTo(staging, manifest, options)).rejects.toBe(failure)
      const doneNow = await framesIn(ledger)
      expect(doneNow).toBeGreaterThan(done)
      done = doneNow
    }
    reads = 0
    await restoreTo(staging, manifest, { store: reading(1000), ledger })
    // Three seek tables, the frames that are missing, three small objects.
    expect(reads).toBeLessThanOrEqual(3 + FRAMES - done + 3)
    expect(await framesIn(ledger)).toBe(FRAMES)
    const [source = ''] = sample.files.map(({ path }) => join(path, '../..'))
    expect(await digestsOf(staging)).toEqual(await digestsOf(source))
    // And once it is finished, nothing is.
    reads = 0
    await restoreTo(staging, manifest, { store: reading(0), ledger })
    expect(reads).toBe(0)
  })
})
