import { join } from 'node:path'
import { expect, test } from 'vitest'
import { copyBackup } from '../../engine/backup/backup-copy.ts'
import { checkStored } from '../../engine/backup/check.ts'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { copyRecord, DIRECTORY, HEADER, manifestFor, restoreTo } from '../engine/sample-backup.ts'
import { writeContent } from '../engine/sample-content.ts'
import { digestsOf } from '../engine/sample-files.ts'
import { keysOf } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { newRoot, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

async function sampleFiles(source: string) {
  const contents = [
    { name: 'a/random', size: 9 * FRAME_SIZE + 1, kind: 'random', seed: 1 },
    { name: 'a/mixed', size: 6 * FRAME_SIZE, kind: 'mixed', seed: 2 },
    { name: 'a/sparse', size: 5 * FRAME_SIZE, kind: 'sparse', seed: 3 },
    ...Array.from({ length: 80 }, (_, index) => ({
      name: `a/small-${index}`,
      size: index * 999,
      kind: 'text' as const,
      seed: index,
    })),
  ] as const
  const files = []
  for (const content of contents) files.push(await writeContent(source, content))
  return files
}

test('files are copied to S3 and restored from it byte for byte', async () => {
  const [source, place] = [await temporaryDirectory(), await temporaryDirectory()]
  const files = await sampleFiles(source)
  const store = newRoot(s3().server).open()
  const { files: copied } = await copyRecord(files, { store })
  await checkStored(store, DIRECTORY, copied)
  await restoreTo(join(place, 'staging'), manifestFor(copied, 'tabletkeeper'), { store })
  expect(await digestsOf(join(place, 'staging'))).toEqual(await digestsOf(source))
})

test('a copy that was ended in the midst is gone on with by another process', async () => {
  const [source, place] = [await temporaryDirectory(), await temporaryDirectory()]
  const files = await sampleFiles(source)
  const { open } = newRoot(s3().server)
  const ledger = join(place, 'ledger')
  const ending = new AbortController()
  const ended = open()
  const first = copyBackup({
    store: ended,
    directory: DIRECTORY,
    header: HEADER,
    files,
    ledger,
    level: 1,
    concurrency: 2,
    signal: ending.signal,
    onProgress: () => {},
  })
  const rejected = expect(first).rejects.toThrow('ended')
  // In the midst of the largest file, which comes first.
  await expect.poll(() => ended.requests, { interval: 2 }).toBeGreaterThan(9)
  ending.abort(new Error('ended'))
  await rejected
  const store = open()
  const { files: copied } = await copyRecord(files, { store, ledger })
  await checkStored(store, DIRECTORY, copied)
  await restoreTo(join(place, 'staging'), manifestFor(copied, 'tabletkeeper'), { store })
  expect(await digestsOf(join(place, 'staging'))).toEqual(await digestsOf(source))
  await store.abortUploads(DIRECTORY)
  expect(await keysOf(store, DIRECTORY)).toHaveLength(files.length)
})
