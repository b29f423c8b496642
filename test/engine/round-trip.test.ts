import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkStored } from '../../engine/backup/check.ts'
import type { CopiedFile } from '../../engine/backup/copied-file.ts'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore } from './interfered-store.ts'
import { copyRecord, DIRECTORY, manifestFor, restoreTo } from './sample-backup.ts'
import { KINDS, type SampleContent, writeContent } from './sample-content.ts'
import { digestsOf } from './sample-files.ts'
import { readStoredObject } from './stored-object.ts'

const aroundFrames = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -1, max: 1 }))
  .map(([frames, more]) => frames * FRAME_SIZE + more)
const sizes = fc.oneof(fc.constantFrom(0, 1), fc.nat(300_000), fc.nat(4 * FRAME_SIZE), aroundFrames)
const contents = fc
  .array(
    fc.record({
      size: sizes,
      kind: fc.constantFrom(...KINDS),
      seed: fc.nat(1000),
      suffix: fc.constantFrom('ibd', 'MYD'),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((all) =>
    all.map(
      ({ suffix, ...content }, index): SampleContent => ({ ...content, name: `db${index % 2}/t${index}.${suffix}` }),
    ),
  )

/** Each frame alone and all together are what is recorded of the object. */
async function expectAsRecorded(path: string, copied: CopiedFile | undefined): Promise<void> {
  const bytes = await readFile(path)
  const { crc, segmentHash, frames } = readStoredObject(bytes)
  const plain = frames.map((frame) => frame.plain.length)
  expect(copied).toMatchObject({ stored: bytes.length, hash: crc, segmentHash })
  expect(plain.reduce((sum, length) => sum + length)).toBe(copied?.size)
  expect(plain.slice(0, -1).every((length) => length === FRAME_SIZE)).toBe(true)
}

test('whatever files hold comes back byte for byte, by any number of threads, through files or memory', async () => {
  const directory = await temporaryDirectory()
  const enough = performance.now() + 20_000
  await fc.assert(
    fc.asyncProperty(
      contents,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      fc.boolean(),
      async (all, backupThreads, restoreThreads, opaqueBackup, opaqueRestore) => {
        // A slow machine tries fewer.
        if (performance.now() > enough) return
        const place = await mkdtemp(join(directory, 'run-'))
        const [source, staging, root] = [
          join(place, 'source'),
          join(place, 'staging'),
          await mkdtemp(join(place, 'store-')),
        ]
        const files = []
        for (const content of all) files.push(await writeContent(source, content))
        const store = new InterferedStore(root, { opaque: opaqueBackup })
        const { files: copied } = await copyRecord(files, { store, concurrency: backupThreads })
        await checkStored(store, DIRECTORY, copied)
        for (const [index, file] of copied.entries()) await expectAsRecorded(join(root, DIRECTORY, String(index)), file)
        await restoreTo(staging, manifestFor(copied, 'tabletkeeper'), {
          store: new InterferedStore(root, { opaque: opaqueRestore }),
          concurrency: restoreThreads,
        })
        expect(await digestsOf(staging)).toEqual(await digestsOf(source))
        await rm(place, { recursive: true })
      },
    ),
    { numRuns: 10 },
  )
}, 120_000)

test.each([false, true])(
  'files of zeros take next to nothing, stored and restored (opaque store: %s)',
  async (opaque) => {
    const [source, staging, root] = [await temporaryDirectory(), await temporaryDirectory(), await temporaryDirectory()]
    const size = 5 * FRAME_SIZE + 77
    const files = [
      await writeContent(source, { name: 'a/written', size, kind: 'zero', seed: 0 }),
      await writeContent(source, { name: 'a/hole', size, kind: 'sparse', seed: 1 }),
      await writeContent(source, { name: 'a/small', size: 500_000, kind: 'zero', seed: 2 }),
    ]
    const store = new InterferedStore(root, { opaque })
    const { files: copied } = await copyRecord(files, { store })
    expect(copied.map(({ stored }) => stored).every((stored) => stored < 40_000)).toBe(true)
    await restoreTo(staging, manifestFor(copied, 'tabletkeeper'), { store })
    expect(await digestsOf(staging)).toEqual(await digestsOf(source))
    for (const { name } of files) {
      const { blocks } = await stat(join(staging, name))
      // An island of data is in a frame, which is written whole; the file system may need some blocks to know where they are.
      expect(blocks * 512).toBeLessThanOrEqual(name === 'a/hole' ? 3 * FRAME_SIZE + 65_536 : 0)
    }
  },
)

test('two copies of the same files are the same objects, by however many threads', async () => {
  const source = await temporaryDirectory()
  const files = [
    await writeContent(source, { name: 'a/large', size: 3 * FRAME_SIZE + 5, kind: 'mixed', seed: 4 }),
    await writeContent(source, { name: 'a/sparse', size: 2 * FRAME_SIZE, kind: 'sparse', seed: 5 }),
    await writeContent(source, { name: 'a/small', size: 70_000, kind: 'text', seed: 6 }),
  ]
  const digests = []
  for (const [concurrency, opaque] of [
    [1, false],
    [4, false],
    [2, true],
  ] as const) {
    const root = await temporaryDirectory()
    await copyRecord(files, { store: new InterferedStore(root, { opaque }), concurrency })
    digests.push(await digestsOf(join(root, DIRECTORY)))
  }
  expect(digests[1]).toEqual(digests[0])
  expect(digests[2]).toEqual(digests[0])
})
