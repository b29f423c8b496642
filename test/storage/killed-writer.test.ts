import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { FileStore } from '../../storage/file/file.ts'
import { SHARD } from './sample-backup.ts'
import { contentOf } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { pieceOf } from './upload-pieces.ts'

const directory = `${SHARD}/2026-11-24.143446.zone1-0000000101/`

test('a writer that is killed leaves no object, and its unfinished write can be removed', async () => {
  const root = await temporaryDirectory()
  const writer = spawn(process.execPath, [join(import.meta.dirname, 'endless-writer.ts'), root, `${directory}0`], {
    stdio: 'inherit',
  })
  const exited = once(writer, 'exit')
  const written = () => readdir(join(root, directory))
  await expect.poll(written).toHaveLength(1)
  writer.kill('SIGKILL')
  await exited
  expect(await written()).toEqual([expect.stringMatching(/^\.tmp-/)])
  const store = new FileStore(root)
  expect((await store.list('')).objects).toEqual([])
  await store.abortUploads(directory)
  expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
})

test('an upload whose process is killed is gone on with from the last byte that it reported', async () => {
  const root = await temporaryDirectory()
  const program = join(import.meta.dirname, 'endless-upload.ts')
  const writer = spawn(process.execPath, [program, root, directory, '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(writer, 'exit')
  let reported = { id: '', bytes: 0 }
  for await (const line of createInterface(writer.stdout)) {
    const [id = '', bytes] = line.split(' ')
    reported = { id, bytes: Number(bytes) }
    if (reported.bytes >= 3_000_000) writer.kill('SIGKILL')
  }
  await exited
  expect(reported.bytes).toBeGreaterThanOrEqual(3_000_000)
  const store = new FileStore(root)
  expect((await store.list('')).objects).toEqual([])

  const upload = await store.upload(directory, reported.id)
  const rest = await upload.open('0', reported.bytes)
  expect(rest.kept).toBe(reported.bytes)
  const pieces = Math.ceil(reported.bytes / pieceOf(0).length) + 2
  const whole = Buffer.concat(Array.from({ length: pieces }, (_, index) => pieceOf(index)))
  await rest.write(whole.subarray(rest.kept))
  await rest.finish()
  await rest.close()
  await upload.commit(['0'])
  expect(whole.equals(await contentOf(store, `${directory}0`))).toBe(true)
  expect(await readdir(join(root, directory))).toEqual(['0'])
})
