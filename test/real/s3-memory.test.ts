import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { randomOf } from '../engine/sample-content.ts'
import { DIRECTORY } from '../engine/sample-run.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { type Passed, startProxy } from './gcs-proxy.ts'
import { BUCKET, newRoot, useVersitygw } from './s3-server.ts'

const s3 = useVersitygw()

const MIB = 1024 ** 2
const SIZE = 20 * 1024 * MIB
/** Of rows, between holes. */
const ISLAND = 26 * MIB
const ISLANDS = 128
/** Sizes as nearly everybody has them, in the smallest number that a configuration takes: so there are segments within a gigabyte. */
const PARTS = 'partSize: 8MiB, maxParts: 100'
const [FIRST_PARTS, DIRECT_PARTS] = [8, 50]
const MOST_MEBIBYTES = 300

const outcomeSchema = z.object({
  stored: z.number(),
  hash: z.string(),
  seconds: z.number(),
  peakMebibytes: z.number(),
})

/** Rows as a table has them, of which a quarter is left when they are compressed. */
function rowsOf(bytes: number): Buffer {
  const rows: string[] = []
  const noise = randomOf(bytes / 4, 7).toString('hex')
  for (let at = 0, row = 1; at < bytes; row++) {
    const text = `${row}\t${noise.slice(row * 32, row * 32 + 32)}\tcustomer ${row % 97}\tchocolate\t1999-12-31\tNULL\tzone1\n`
    rows.push(text)
    at += text.length
  }
  return Buffer.from(rows.join('')).subarray(0, bytes)
}

/** 20 GiB that take three on disk. */
async function writeSparseFile(path: string): Promise<void> {
  const rows = rowsOf(ISLAND)
  await using file = await open(path, 'w')
  await file.truncate(SIZE)
  for (let island = 0; island < ISLANDS; island++) {
    rows.writeUInt32LE(island)
    await file.write(rows, 0, rows.length, island * (SIZE / ISLANDS))
  }
}

/** Sizes of the parts that were sent, by their number: of the object itself, and of segments on their way into it. */
function partsOf(passed: readonly Passed[]): { readonly direct: Map<number, number>; readonly segments: number[] } {
  const direct = new Map<number, number>()
  const segments: number[] = []
  for (const { method, path, bytes } of passed) {
    const number = new URL(path, 'http://s3').searchParams.get('partNumber')
    // A part that the store copies has no bytes of its own.
    if (method !== 'PUT' || number === null || bytes === 0) continue
    if (path.includes('/.tmp/')) segments.push(bytes)
    else direct.set(Number(number), bytes)
  }
  return { direct, segments }
}

test(`a file of 20 GiB is copied to S3 in no more than ${MOST_MEBIBYTES} MiB of memory, in parts that grow with it`, async () => {
  const directory = await temporaryDirectory()
  const path = join(directory, 'history.csv')
  await writeSparseFile(path)
  const proxy = await startProxy(s3().server.endpoint)
  const { root, open: openStore } = newRoot(s3().server)
  const storage = `{ kind: s3, bucket: ${BUCKET}, root: "${root}", endpoint: "${proxy.endpoint}", pathStyle: true, ${PARTS} }`
  const program = join(import.meta.dirname, 's3-copy-process.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [program, storage, path, join(directory, 'ledger')])
  const { stored, hash, seconds, peakMebibytes } = outcomeSchema.parse(JSON.parse(stdout))
  const summary = `${Math.round(stored / MIB)} MiB stored in ${seconds.toFixed(1)} s, ${Math.round(peakMebibytes)} MiB of memory`
  process.stdout.write(`20 GiB to S3: ${summary} at most\n`)
  expect(peakMebibytes).toBeLessThanOrEqual(MOST_MEBIBYTES)

  const { direct, segments } = partsOf(proxy.passed)
  const numbers = Array.from({ length: DIRECT_PARTS }, (_, index) => index + 1)
  expect(numbers.map((number) => direct.get(number))).toEqual(
    numbers.map((number) => (number <= FIRST_PARTS ? 8 : 16) * MIB),
  )
  expect(segments.length).toBeGreaterThan(1)
  expect(Math.max(...segments)).toBe(16 * MIB)

  let crc = 0
  let size = 0
  for await (const chunk of await openStore().get(`${DIRECTORY}0`)) {
    crc = crc32(chunk, crc)
    size += chunk.length
  }
  expect({ size, hash: crc.toString(16).padStart(8, '0') }).toEqual({ size: stored, hash })
})
