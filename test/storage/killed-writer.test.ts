import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { FileStore } from '../../storage/file.ts'
import { SHARD } from './sample-backup.ts'
import { temporaryDirectory } from './temporary-directory.ts'

test('a writer that is killed leaves no object, and its unfinished write can be removed', async () => {
  const root = await temporaryDirectory()
  const directory = `${SHARD}/2026-11-24.143446.zone1-0000000101/`
  const writer = spawn(process.execPath, [join(import.meta.dirname, 'endless-writer.ts'), root, `${directory}0`], {
    stdio: 'inherit',
  })
  const exited = once(writer, 'exit')
  const written = () => readdir(join(root, directory))
  await vi.waitFor(async () => expect(await written()).toHaveLength(1), { timeout: 20_000 })
  writer.kill('SIGKILL')
  await exited
  expect(await written()).toEqual([expect.stringMatching(/^\.tmp-/)])
  const store = new FileStore(root)
  expect((await store.list('')).objects).toEqual([])
  await store.abortUploads(directory)
  expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
})
