import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from '@temporalio/worker'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verifyActivities } from '../../activities/verify.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { formatManifest } from '../../model/manifest.ts'
import { CONTROL_QUEUE } from '../../model/runs.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { FileStore } from '../../storage/file/file.ts'
import type { Listing } from '../../storage/object-store.ts'
import { linkToTemporal, type TemporalLink } from '../../workers/temporal.ts'
import { workflowCode } from '../../workers/workflow-code.ts'
import { copyRecord, DIRECTORY, manifestFor, NAME } from '../engine/sample-backup.ts'
import { sampleFile } from '../engine/sample-files.ts'
import { eventually } from '../integration/assertions.ts'
import { parse } from '../model/minimal-config.ts'
import { SHARD } from '../storage/sample-backup.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

/** A store in which the objects of the backup are listed only when they may be. */
class HeldStore extends FileStore {
  readonly held: { readonly prefix: string; let(): void }[] = []
  isHolding = true

  override async list(prefix: string, options?: { readonly delimiter?: '/' }): Promise<Listing> {
    if (prefix === DIRECTORY && this.isHolding) {
      await new Promise<void>((resolve) => this.held.push({ prefix, let: resolve }))
    }
    return await super.list(prefix, options)
  }
}

const log = pino({ level: 'silent' })
const config = parse(`storage: { kind: file, root: /mnt }
mysql: { defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }
shards: { commerce/0: { zone1-101: { host: db2 } } }
`)
let directory: string
let temporal: TemporalServer
let link: TemporalLink
let keeper: Tabletkeeper

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  temporal = await startTemporal({ directory })
  process.env['TEMPORAL_ADDRESS'] = temporal.address
  link = await linkToTemporal({ encryptionKeyFiles: [] }, new AbortController().signal, log)
  keeper = await Tabletkeeper.connect()
})

afterAll(async () => {
  await keeper[Symbol.asyncDispose]()
  await link.connection.close()
  await temporal.stop()
  await rm(directory, { recursive: true, force: true })
})

/** A control that reads from a store of one backup. */
async function startControlOn(store: FileStore) {
  const files = [await sampleFile(await temporaryDirectory(), 'Data', 'a/b.MYD', Buffer.alloc(100_000, 'row '))]
  const { files: copied } = await copyRecord(files, { store })
  await store.put(`${DIRECTORY}MANIFEST`, Buffer.from(formatManifest(manifestFor(copied, 'tabletkeeper'))))
  const code = workflowCode(link.isEncrypted)
  const worker = await Worker.create({
    ...link.workerOptions(code.interceptors),
    taskQueue: CONTROL_QUEUE,
    ...code.source,
    activities: { ...verifyActivities(store, config, { log }) },
    maxHeartbeatThrottleInterval: '1s',
  })
  const running = worker.run()
  return {
    [Symbol.asyncDispose]: async () => {
      worker.shutdown()
      await running
    },
  }
}

async function startVerification() {
  // The id has the second of its start in it.
  return await eventually(
    () => keeper.verify({ shard: SHARD, backup: NAME }).catch(() => undefined),
    (run) => run !== undefined,
  ).then((run) => run ?? expect.fail('it was not started'))
}

describe('control', () => {
  test('reads one backup at a time, and says what the next one waits for', async () => {
    const store = new HeldStore(await temporaryDirectory())
    store.isHolding = false
    await using _control = await startControlOn(store)
    store.isHolding = true
    const first = await startVerification()
    await eventually(
      async () => store.held.length,
      (held) => held === 1,
    )
    const second = await startVerification()
    await eventually(
      async () => (await second.status()).activity?.waitingFor,
      (waitingFor) => waitingFor === 'another verification by this control',
    )
    expect(store.held).toHaveLength(1)
    store.isHolding = false
    for (const { let: letOn } of store.held) letOn()
    for (const run of [first, second]) expect(await run.result()).toMatchObject({ backup: NAME, damagedObjects: 0 })
  })
})
