import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkStored } from '../../engine/backup/check.ts'
import { copy, copyRecord, DIRECTORY, manifestFor, restore } from '../engine/sample-backup.ts'
import { digestsOf, sampleFile, sampleFiles } from '../engine/sample-files.ts'
import { contentOf, ofType } from '../storage/store-under-test.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { startProxy } from './gcs-proxy.ts'
import { newRoot, useFakeGcs } from './gcs-server.ts'

const gcs = useFakeGcs()

/** Files that are each one request, and one of several chunks. */
async function sources() {
  const source = await temporaryDirectory()
  const files = await sampleFiles(source)
  return { source, files: [...files, await sampleFile(source, 'Data', 'commerce/huge.ibd', randomBytes(60_000_000))] }
}

test('files that were copied to Google Cloud Storage come back byte for byte', async () => {
  const { source, files } = await sources()
  const store = newRoot(gcs().endpoint).open()
  const copied = await copy(files, { store })
  await checkStored(store, DIRECTORY, copied)
  const { staging } = await restore(manifestFor(copied, 'tabletkeeper'), { store })
  expect(await digestsOf(staging)).toEqual(await digestsOf(source))
})

test('a copy that the store broke off is gone on with by another process, and sends no chunk again that has arrived', async () => {
  const { source, files } = await sources()
  const proxy = await startProxy(gcs().endpoint)
  const place = newRoot(proxy.endpoint)
  const ledger = join(await temporaryDirectory(), 'ledger')
  let chunks = 0
  const isChunk = (range: string | undefined) => range !== undefined && !range.startsWith('bytes *')
  proxy.fault = ({ range }) => (isChunk(range) && ++chunks > 4 ? { kind: 'answer', status: 503 } : undefined)
  await expect(copyRecord(files, { store: place.open(), ledger })).rejects.toThrow(ofType('StorageUnavailable'))
  proxy.fault = () => undefined
  proxy.passed.length = 0
  const store = place.open()
  const { files: copied } = await copyRecord(files, { store, ledger })
  const sent = proxy.passed.filter(({ range }) => isChunk(range)).reduce((sum, { bytes }) => sum + bytes, 0)
  const index = copied.findIndex(({ name }) => name === 'commerce/huge.ibd')
  expect(sent).toBeLessThan((copied[index]?.stored ?? 0) - 4 * 1024 * 1024)

  await checkStored(store, DIRECTORY, copied)
  const whole = newRoot(gcs().endpoint).open()
  const undisturbed = await copy(files, { store: whole })
  expect(copied).toEqual(undisturbed)
  const key = `${DIRECTORY}${index}`
  expect((await contentOf(store, key)).equals(await contentOf(whole, key))).toBe(true)
  const { staging } = await restore(manifestFor(copied, 'tabletkeeper'), { store })
  expect(await digestsOf(staging)).toEqual(await digestsOf(source))
})
