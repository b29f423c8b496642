import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isError } from '../../model/errors.ts'
import { openModule } from '../../storage/module.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** Opens a module of this text. */
async function opened(text: string, options = {}) {
  const path = join(await temporaryDirectory(), 'store.mjs')
  await writeFile(path, text)
  return await openModule({ kind: 'module', path, options })
}

test.each([
  ['is no JavaScript', 'export default (', /cannot be loaded: /],
  ['fails while it is loaded', 'throw new Error("no licence")', /cannot be loaded: no licence/],
  ['exports no function', 'export default { put() {} }', /has no default export that is a function/],
  ['exports nothing', 'export const store = () => 1', /has no default export that is a function/],
  ['fails to make a store', 'export default () => { throw new Error("no bucket") }', /made no store: no bucket/],
  ['makes nothing', 'export default () => undefined', /is no ObjectStore: it is no object/],
  [
    'makes less than a store',
    'export default () => ({ description: "x", repository() {}, put() {}, get() {}, list: 1 })',
    /it lacks head, list, delete, abortUploads, upload, localPath, probe/,
  ],
])('a module that %s is a mistake in the configuration', async (_name, text, message) => {
  const opening = opened(text)
  await expect(opening).rejects.toThrow(message)
  await expect(opening).rejects.toMatchObject({ type: 'InvalidConfig', hint: expect.any(String) })
})

test('a module that is not there is a mistake in the configuration', async () => {
  await expect(openModule({ kind: 'module', path: '/nowhere/store.js', options: {} })).rejects.toMatchObject({
    type: 'InvalidConfig',
    message: expect.stringContaining('/nowhere/store.js'),
  })
})

test('an error of the taxonomy is known though it comes from another copy of it', async () => {
  const copy = join(import.meta.dirname, '../../model/errors.ts?copy')
  const { TabletkeeperError } = await import(copy)
  const foreign = new TabletkeeperError('StorageFull', 'the tape is full')
  expect(isError(foreign, 'StorageFull')).toBe(true)
  expect(isError(new Error('StorageFull'))).toBe(false)
})
