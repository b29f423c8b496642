import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { readCopyRecord } from '../../engine/ledger/copy-ledger.ts'
import { formatManifest } from '../../model/manifest.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { runCopy } from './copy-child.ts'
import type { CopyOrder, CopyOutcome } from './copy-order.ts'
import { writeContent } from './sample-content.ts'
import { manifestFor, NAME } from './sample-run.ts'

/** About 400 MB. */
const SIZE = 50 * FRAME_SIZE

/** One large file, and the orders to back it up and to restore it. */
async function newOrders(): Promise<{ readonly backup: CopyOrder; readonly restore: () => Promise<CopyOrder> }> {
  const directory = await temporaryDirectory()
  const [source, root, staging] = [join(directory, 'source'), join(directory, 'store'), join(directory, 'staging')]
  const [ledger, restoreLedger, manifest] = ['ledger', 'restore-ledger', 'MANIFEST'].map((name) =>
    join(directory, name),
  )
  if (ledger === undefined || restoreLedger === undefined || manifest === undefined) throw new Error('there are three')
  await mkdir(root)
  await writeContent(source, { name: 'db/t.ibd', size: SIZE, kind: 'mixed', seed: 1 })
  const concurrency = 2
  return {
    backup: { kind: 'backup', source, root, ledger, concurrency },
    restore: async () => {
      const { files } = await readCopyRecord(ledger, NAME)
      await writeFile(manifest, formatManifest(manifestFor(files, 'tabletkeeper')))
      return { kind: 'restore', root, manifest, staging, ledger: restoreLedger, concurrency }
    },
  }
}

test('a process that copies looks at its event loop all the while: heartbeats are not late', async () => {
  const { backup, restore } = await newOrders()
  const backedUp = await runCopy(backup)
  const restored = await runCopy(await restore())
  for (const { failure, turnP99Milliseconds, delayP99Milliseconds } of [backedUp, restored]) {
    expect(failure).toBeNull()
    console.info(
      `turns ${turnP99Milliseconds.toFixed(1)} ms (p99), late by ${delayP99Milliseconds.toFixed(1)} ms (p99)`,
    )
    // By the clock it is less than 50 ms on a machine of its own. Here others are at work.
    expect(turnP99Milliseconds).toBeLessThan(15)
  }
})

test.each([3, 20])('a backup that is cancelled when its ledger has %i lines ends at once', async (cancelAfter) => {
  const { backup } = await newOrders()
  expectEndedAtOnce(await runCopy({ ...backup, cancelAfter }))
})

test('a restore that is cancelled ends at once', async () => {
  const { backup, restore } = await newOrders()
  await runCopy(backup)
  expectEndedAtOnce(await runCopy({ ...(await restore()), cancelAfter: 5 }))
})

/** By the clock it is less than a second on a machine of its own; here others are at work, on its disk too. */
function expectEndedAtOnce({ failure, settled }: CopyOutcome): void {
  expect(failure).toBe('cancelled')
  expect(settled?.processorMilliseconds).toBeLessThan(1_000)
  expect(settled?.milliseconds).toBeLessThan(10_000)
}
