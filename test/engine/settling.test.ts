import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FRAME_SIZE } from '../../engine/frames/frame.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { InterferedStore, type Interference } from './interfered-store.ts'
import { copy } from './sample-backup.ts'
import { writeContent } from './sample-content.ts'

test('a copy says when it only waits for its store to finish what it has, so that nobody takes that for hanging', async () => {
  const [source, root, other] = [await temporaryDirectory(), await temporaryDirectory(), await temporaryDirectory()]
  const files = [await writeContent(source, { name: 'db/t.ibd', size: 4 * FRAME_SIZE, kind: 'mixed', seed: 1 })]
  let next = Promise.withResolvers<boolean>()
  const attempt = async (interference: Interference): Promise<void> => {
    const onProgress = (_progress: unknown, isSettling: boolean): void => {
      next.resolve(isSettling)
      next = Promise.withResolvers()
    }
    const store = new InterferedStore(root, interference)
    await copy(files, { store, ledger: join(other, 'ledger'), concurrency: 1, onProgress })
  }
  /** What is told while a call of the store is under way. */
  const told: [string, boolean][] = []
  const during = async (call: string): Promise<void> => void told.push([call, await next.promise])

  const failing = attempt({
    onOpen: () => during('open'),
    onWrite: async (_name, write) => {
      if (write === 0) await during('write')
      if (write === 3) throw new Error('cut off')
    },
  })
  await expect(failing).rejects.toThrow('cut off')
  await attempt({
    onOpen: () => during('open again'),
    onFinish: () => during('finish'),
    onCommit: () => during('commit'),
  })
  expect(told).toEqual([
    ['open', false],
    ['write', false],
    ['open again', true],
    ['finish', true],
    ['commit', true],
  ])
})
