import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { contentOf, keysOf } from '../storage/store-under-test.ts'
import { pieceOf } from '../storage/upload-pieces.ts'
import { gcsConfig, newRoot, useFakeGcs } from './gcs-server.ts'

const gcs = useFakeGcs()
const DIRECTORY = 'k/0/a/'

test('an upload whose process is killed is gone on with from the last byte that it reported', async () => {
  const { root, open } = newRoot(gcs().endpoint)
  const config = JSON.stringify(gcsConfig(gcs().endpoint, `root: "${root}"`))
  const program = join(import.meta.dirname, 'endless-gcs-upload.ts')
  const writer = spawn(process.execPath, [program, config, DIRECTORY], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(writer, 'exit')
  let reported = { id: '', bytes: 0 }
  for await (const line of createInterface(writer.stdout)) {
    const [id = '', bytes] = line.split(' ')
    reported = { id, bytes: Number(bytes) }
    if (reported.bytes >= 20_000_000) writer.kill('SIGKILL')
  }
  await exited
  const store = open()
  expect(await keysOf(store, '')).toEqual([])

  // As the copying of files does: from the end of the last piece that was kept whole.
  const pieces = Math.floor(reported.bytes / pieceOf(0).length)
  const upload = await store.upload(DIRECTORY, reported.id)
  const rest = await upload.open('0', pieces * pieceOf(0).length)
  expect(rest.kept).toBe(pieces * pieceOf(0).length)
  for (const index of [pieces, pieces + 1]) await rest.write(pieceOf(index))
  await rest.finish()
  await rest.close()
  await upload.commit(['0'])
  const whole = Buffer.concat(Array.from({ length: pieces + 2 }, (_, index) => pieceOf(index)))
  expect(whole.equals(await contentOf(store, `${DIRECTORY}0`))).toBe(true)
  expect(await keysOf(store, '')).toEqual([`${DIRECTORY}0`])
})

test('an object of 200 MiB goes there and back in bounded memory', async () => {
  const { root } = newRoot(gcs().endpoint)
  const config = JSON.stringify(gcsConfig(gcs().endpoint, `root: "${root}"`))
  const program = join(import.meta.dirname, 'large-gcs-upload.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [program, config, '200'])
  const { same, memory }: { same: boolean; memory: number } = JSON.parse(stdout)
  expect(same).toBe(true)
  // As much as 500 MiB take; a store of a few bytes takes 120.
  expect(memory).toBeLessThan(260)
  process.stdout.write(`200 MiB took ${memory.toFixed(0)} MiB of memory at most\n`)
})
