// Makes one backup or restore by the engine, without Temporal and MySQL, and prints what it took. In a process of its own.
import './time-syncs.ts'
import { lstat, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { answer, readJob } from './job.ts'
import type { Outcome } from './outcome.ts'
import { usageOf } from './usage.ts'

// After the hook is there.
const { copyBackup } = await import('../engine/backup/backup-copy.ts')
const { readCopyRecord } = await import('../engine/ledger/copy-ledger.ts')
const { restoreFiles } = await import('../engine/restore/restore-copy.ts')
const { formatManifest, parseManifest } = await import('../model/manifest.ts')
const { backupDirectory, backupKey, MANIFEST } = await import('../storage/catalogue/backup-key.ts')
const { FileStore } = await import('../storage/file/file.ts')
const { S3Store } = await import('../storage/s3/s3.ts')
const { s3Config } = await import('./s3-config.ts')
const { BACKUP, HEADER, manifestOf, SHARD } = await import('./sample-record.ts')
const { waited } = await import('./timed-syncs.ts')

const common = {
  /** Root of the file store, an existing directory; or a bucket of an S3 server, whose keys are in the environment. */
  store: z.union([z.string(), z.object({ endpoint: z.string(), bucket: z.string(), root: z.string() })]),
  /** A fresh directory for the ledger; a restore also writes its files there. */
  directory: z.string(),
  concurrency: z.int(),
}
const job = await readJob(
  z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('backup'),
      files: z.array(
        z.object({ base: z.enum(['Data', 'InnoDBData', 'InnoDBLog']), name: z.string(), path: z.string() }),
      ),
      level: z.int(),
      ...common,
    }),
    z.object({ kind: z.literal('restore'), ...common }),
  ]),
)
const s3 =
  typeof job.store === 'string'
    ? undefined
    : new S3Store(s3Config({ ...job.store, region: 'us-east-1', pathStyle: true }))
const store = s3 ?? new FileStore(String(job.store))
const directory = backupDirectory(SHARD, BACKUP)
const ledger = join(job.directory, 'ledger')
const { signal } = new AbortController()
const onProgress = () => undefined

answer(await (job.kind === 'backup' ? backUp(job) : restore()))
s3?.close()

async function backUp({
  files: listed,
  level,
  concurrency,
}: Extract<typeof job, { kind: 'backup' }>): Promise<Outcome> {
  const files = await Promise.all(
    listed.map(async (file) => {
      const { size, mtimeNs, ino: inode } = await lstat(file.path, { bigint: true })
      return { ...file, size: Number(size), mtimeNs, inode }
    }),
  )
  const copy = { files, store, directory, ledger, header: HEADER, level, concurrency, signal, onProgress }
  const { result, ...took } = await measure(() => copyBackup(copy))
  const record = await readCopyRecord(ledger, BACKUP)
  await store.put(backupKey(SHARD, BACKUP, MANIFEST), Buffer.from(formatManifest(manifestOf(record))))
  const requests = s3 === undefined ? {} : { requests: s3.requests }
  return { ...took, ...requests, dataBytes: result.dataBytes, storedBytes: result.storedBytes }
}

async function restore(): Promise<Outcome> {
  const manifest = parseManifest(await text(await store.get(backupKey(SHARD, BACKUP, MANIFEST))), {
    shard: SHARD,
    backup: BACKUP,
  })
  const at = (name: string) => join(job.directory, name)
  const roots = { Data: at('data'), InnoDBData: at('innodb'), InnoDBLog: at('log') }
  for (const root of Object.values(roots)) await mkdir(root)
  const { concurrency } = job
  const { result, ...took } = await measure(() =>
    restoreFiles({ manifest, store, directory, roots, ledger, concurrency, signal, onProgress }),
  )
  const storedBytes = manifest.Tabletkeeper?.Files.reduce((sum, { Stored }) => sum + Stored, 0) ?? null
  return { ...took, dataBytes: result.bytes, storedBytes }
}

/** Starting the threads counts: a backup has to do it too. */
async function measure<Result>(work: () => Promise<Result>) {
  const before = await usageOf(process.pid)
  const begin = performance.now()
  const result = await work()
  const total = (performance.now() - begin) / 1000
  const after = await usageOf(process.pid)
  return {
    result,
    seconds: total - waited.seconds,
    syncSeconds: waited.seconds,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    maxRssBytes: after.maxRssBytes,
  }
}
