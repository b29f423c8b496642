import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { copyLedgerPath, removeCopyLedger } from '../../tablets/copy-ledger-path.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

test('the ledger of a copy that was published goes, and those that were left a month ago; of others may be waited for', async () => {
  const datadir = await temporaryDirectory()
  const paths = ['published', 'left', 'recent'].map((name) => copyLedgerPath(datadir, name))
  const [published = '', left = ''] = paths
  await removeCopyLedger(datadir, 'published')
  await mkdir(dirname(published), { recursive: true })
  for (const path of paths) await writeFile(path, '')
  const longAgo = Date.now() / 1000 - 31 * 86_400
  await utimes(left, longAgo, longAgo)
  await removeCopyLedger(datadir, 'published')
  expect(await readdir(dirname(published))).toEqual(['recent.ledger'])
})
