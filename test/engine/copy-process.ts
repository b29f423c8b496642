import { appendFileSync, existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks'
import { copyBackup } from '../../engine/backup/backup-copy.ts'
import { keepHeapSmall } from '../../engine/pool/heap-size.ts'
import { restoreFiles } from '../../engine/restore/restore-copy.ts'
import { messageOf } from '../../model/errors.ts'
import { parseManifest } from '../../model/manifest.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { FileStore } from '../../storage/file/file.ts'
import { SHARD } from '../storage/sample-backup.ts'
import { type CopyOrder, type CopyOutcome, copyOrder } from './copy-order.ts'
import { InterferedStore } from './interfered-store.ts'
import { peakMebibytes } from './peak-memory.ts'
import { DIRECTORY, HEADER, NAME } from './sample-run.ts'

// A process that copies or restores, for tests that kill it or look at what it takes: `node copy-process.ts <order as JSON>`.

// As the agent does.
keepHeapSmall()
const order = copyOrder.parse(JSON.parse(process.argv[2] ?? ''))
const delays = monitorEventLoopDelay({ resolution: 5 })
const controller = new AbortController()
const { signal } = controller
let cancelled: { readonly at: number; readonly used: NodeJS.CpuUsage } | undefined

const { cancelAfter } = order
const work = order.kind === 'backup' ? await backupOf(order) : await restoreOf(order)
process.stdout.write('ready\n')
if (cancelAfter !== undefined) cancelOnceThereAre(cancelAfter, order.ledger)
delays.enable()
const turns = monitorTurns()
const began = performance.now()
const failure = await work().then(() => null, messageOf)
const ended = performance.now()
const { user, system } = process.cpuUsage(cancelled?.used)
const outcome: CopyOutcome = {
  failure,
  seconds: (ended - began) / 1000,
  settled: cancelled && { milliseconds: ended - cancelled.at, processorMilliseconds: (user + system) / 1000 },
  delayP99Milliseconds: delays.percentile(99) / 1e6,
  turnP99Milliseconds: turns.percentile(99) / 1e6,
  peakMebibytes: await peakMebibytes(),
}
process.stdout.write(`${JSON.stringify(outcome)}\n`)

/** By what was done, not by the clock: a fast machine is through before any time is over. */
function cancelOnceThereAre(lines: number, ledger: string): void {
  const timer = setInterval(() => {
    if (!existsSync(ledger) || readFileSync(ledger, 'utf8').split('\n').length <= lines) return
    clearInterval(timer)
    cancelled = { at: performance.now(), used: process.cpuUsage() }
    controller.abort(new Error('cancelled'))
  }, 1)
  timer.unref()
}

/**
 * How much this thread does between two turns of its event loop: what it keeps everything else waiting for. Its own processor time is
 * counted, since other processes may keep it waiting at any time.
 */
function monitorTurns(): RecordableHistogram {
  const turns = createHistogram()
  const now = () => {
    const { user, system } = process.threadCpuUsage()
    return user + system
  }
  let last = now()
  setInterval(() => {
    const at = now()
    turns.record(Math.max(1, (at - last) * 1000))
    last = at
  }, 1).unref()
  return turns
}

/** The files in the directories of `source`, looked at as mysql/data/data-directory.ts does: without a promise for each. */
function filesBelow(source: string): DataFile[] {
  return readdirSync(source).flatMap((directory) =>
    readdirSync(join(source, directory)).map((file): DataFile => {
      const name = `${directory}/${file}`
      const path = join(source, name)
      const { size, mtimeNs, ino } = lstatSync(path, { bigint: true })
      return { base: 'Data', name, path, size: Number(size), mtimeNs, inode: ino }
    }),
  )
}

async function backupOf({ source, root, ledger, concurrency, writes }: CopyOrder & { kind: 'backup' }) {
  const files = filesBelow(source)
  const onWrite = (name: string) => writes !== undefined && appendFileSync(writes, `${name}\n`)
  const store = new InterferedStore(root, { onWrite: (name) => void onWrite(name) })
  const common = { directory: DIRECTORY, header: HEADER, level: 1, signal, onProgress: () => {} }
  return () => copyBackup({ ...common, files, store, ledger, concurrency })
}

async function restoreOf({ root, ledger, concurrency, staging, manifest: path }: CopyOrder & { kind: 'restore' }) {
  const manifest = parseManifest(await readFile(path, 'utf8'), { shard: SHARD, backup: NAME })
  const roots = { Data: staging, InnoDBData: staging, InnoDBLog: staging }
  const common = { directory: DIRECTORY, signal, onProgress: () => {} }
  return () => restoreFiles({ ...common, manifest, store: new FileStore(root), roots, ledger, concurrency })
}
