import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readCopyRecord } from '../../engine/ledger/copy-ledger.ts'
import { formatManifest } from '../../model/manifest.ts'
import { runCopy } from './copy-child.ts'
import { randomOf } from './sample-content.ts'
import { manifestFor, NAME } from './sample-run.ts'

const MEBIBYTE = 1024 * 1024
const GIBIBYTE = 1024 * MEBIBYTE
const CONCURRENCY = 2

let place: string

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
})
afterAll(async () => {
  await rm(place, { recursive: true })
})

async function makeSmallFiles(source: string, count: number): Promise<void> {
  const text = randomOf(MEBIBYTE, 1).toString('latin1')
  const perDirectory = 1000
  for (let index = 0; index < count; index++) {
    const path = join(source, `db_${Math.floor(index / perDirectory)}`, `t_${index}.ibd`)
    if (index % perDirectory === 0) await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text.slice(index, index + 200 + (index % 300)))
  }
}

/** A file of holes, with a mebibyte of data in each gibibyte. */
async function makeSparseFile(path: string, gibibytes: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'w')
  await file.truncate(gibibytes * GIBIBYTE)
  const bytes = randomOf(MEBIBYTE, 2)
  for (let gibibyte = 0; gibibyte < gibibytes; gibibyte++) {
    await file.write(bytes, 0, bytes.length, gibibyte * GIBIBYTE + 77 * MEBIBYTE)
  }
  await file.close()
}

describe.each([
  ['100 000 small files', 300, (source: string) => makeSmallFiles(source, 100_000)],
  ['a file of 20 GiB', 220, (source: string) => makeSparseFile(join(source, 'db/huge.ibd'), 20)],
] as const)('the memory of a process that copies %s', (name, most, make) => {
  test(`is at most ${most} MiB, backing up and restoring`, async () => {
    const directory = await mkdtemp(join(place, 'run-'))
    const [source, root, staging] = ['source', 'store', 'staging'].map((part) => join(directory, part))
    if (source === undefined || root === undefined || staging === undefined) throw new Error('there are three')
    const [ledger, restoreLedger] = [join(directory, 'ledger'), join(directory, 'restore-ledger')]
    await make(source)
    await mkdir(root)
    const backup = await runCopy({ kind: 'backup', source, root, ledger, concurrency: CONCURRENCY })
    expect(backup.failure).toBeNull()
    const { files } = await readCopyRecord(ledger, NAME)
    const manifest = join(directory, 'MANIFEST')
    await writeFile(manifest, formatManifest(manifestFor(files, 'tabletkeeper')))
    const order = { kind: 'restore', root, manifest, staging, ledger: restoreLedger, concurrency: CONCURRENCY } as const
    const restore = await runCopy(order)
    expect(restore.failure).toBeNull()
    console.info(
      `${name}: backup ${Math.round(backup.peakMebibytes)} MiB, ${backup.seconds.toFixed(1)} s; ` +
        `restore ${Math.round(restore.peakMebibytes)} MiB, ${restore.seconds.toFixed(1)} s`,
    )
    expect(backup.peakMebibytes).toBeLessThanOrEqual(most)
    expect(restore.peakMebibytes).toBeLessThanOrEqual(most)
    for (const { name: file, size } of files.filter((_, index) => index % 999 === 0)) {
      const restored = join(staging, file)
      if (size > GIBIBYTE) expect((await stat(restored)).size).toBe(size)
      else expect(await readFile(restored)).toEqual(await readFile(join(source, file)))
    }
  }, 600_000)
})
