import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readCopyRecord } from '../../engine/copy-ledger.ts'
import { FRAME_SIZE } from '../../engine/frame.ts'
import { formatManifest } from '../../model/manifest.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { runCopy } from './copy-child.ts'
import { writeContent } from './sample-content.ts'
import { manifestFor, NAME } from './sample-run.ts'

/** About 400 MB. */
const SIZE = 50 * FRAME_SIZE

async function place() {
  const directory = await temporaryDirectory()
  const [source, root, ledger] = [join(directory, 'source'), join(directory, 'store'), join(directory, 'ledger')]
  await mkdir(root)
  await writeContent(source, { name: 'db/t.ibd', size: SIZE, kind: 'mixed', seed: 1 })
  return { directory, source, root, ledger, concurrency: 2 }
}

test('a process that copies answers all the while: heartbeats are not late', async () => {
  const { directory, source, ...common } = await place()
  const backup = await runCopy({ kind: 'backup', source, ...common })
  expect(backup).toMatchObject({ failure: null })
  const { files } = await readCopyRecord(common.ledger, NAME)
  const manifest = join(directory, 'MANIFEST')
  await writeFile(manifest, formatManifest(manifestFor(files, 'tabletkeeper')))
  const [staging, ledger] = [join(directory, 'staging'), join(directory, 'restore-ledger')]
  const restore = await runCopy({ kind: 'restore', ...common, manifest, staging, ledger })
  expect(restore).toMatchObject({ failure: null })
  for (const { delayP99Milliseconds } of [backup, restore]) expect(delayP99Milliseconds).toBeLessThan(50)
})

test.each([100, 250])('a copy that is cancelled after %i ms ends within a second', async (cancelAfter) => {
  const { directory: _, source, ...common } = await place()
  const { failure, settledMilliseconds } = await runCopy({ kind: 'backup', source, ...common, cancelAfter })
  expect(failure).toBe('cancelled')
  expect(settledMilliseconds).toBeLessThan(1000)
})

test('a restore that is cancelled ends within a second', async () => {
  const { directory, source, ...common } = await place()
  await runCopy({ kind: 'backup', source, ...common })
  const { files } = await readCopyRecord(common.ledger, NAME)
  const manifest = join(directory, 'MANIFEST')
  await writeFile(manifest, formatManifest(manifestFor(files, 'tabletkeeper')))
  const [staging, ledger] = [join(directory, 'staging'), join(directory, 'restore-ledger')]
  const order = { kind: 'restore', ...common, manifest, staging, ledger, cancelAfter: 120 } as const
  const { failure, settledMilliseconds } = await runCopy(order)
  expect(failure).toBe('cancelled')
  expect(settledMilliseconds).toBeLessThan(1000)
})
