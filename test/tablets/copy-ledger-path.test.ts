import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { bootId } from '../../engine/ledger/ledger-file.ts'
import { copyLedgerPath, recentCopiers, removeCopyLedger } from '../../tablets/copy-ledger-path.ts'
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

test('whoever has copied lately on this start of the host is known by its ledger', async () => {
  const datadir = await temporaryDirectory()
  const header = (runId: string, boot: string): string => {
    const reading = {
      position: '',
      purgedPosition: '',
      serverUuid: '',
      versionString: '',
      takenAt: '2026-01-01T00:00:00Z',
    }
    const bound = { lsn: '1', snapshot: 'none', reading, files: '', store: '', upload: '', compressor: '', boot }
    return `${JSON.stringify({ ledger: 1, backup: runId, workflowId: `of-${runId}`, runId, ...bound })}\n`
  }
  const here = await bootId()
  const ledgers = {
    copying: `${header('copying', here)}["frame", 0`,
    'another-boot': header('another-boot', 'before'),
    damaged: '{',
    old: header('old', here),
  }
  expect(await recentCopiers(datadir)).toEqual([])
  await mkdir(dirname(copyLedgerPath(datadir, 'old')), { recursive: true })
  for (const [name, text] of Object.entries(ledgers)) await writeFile(copyLedgerPath(datadir, name), text)
  const longAgo = Date.now() / 1000 - 25 * 3_600
  await utimes(copyLedgerPath(datadir, 'old'), longAgo, longAgo)
  expect(await recentCopiers(datadir)).toEqual([{ workflowId: 'of-copying', runId: 'copying' }])
})
