import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ApplicationFailure } from '@temporalio/common'
import { parseBackupName } from '../model/backup-name.ts'
import { VERSION } from '../model/version.ts'
import { mountCow } from '../sandbox/cow-file-system.ts'
import { provideTemporal } from '../sandbox/provide-temporal.ts'
import { replicateFrom } from '../sandbox/replicate.ts'
import { withFaults } from '../test/integration/faults.ts'
import { startWorld } from '../test/integration/world.ts'

/*
 * Records the histories that test/workflows/replay.test.ts replays: one for each way through each workflow. Run it once for each version
 * that is released, as root, who may mount a file system; what is there already stays, since runs of released versions must go on replaying.
 */
await using cow = await mountCow(500)
await using world = await startWorld({ replicas: 1, megabytes: 1 })
const [replica] = world.shard.replicas
if (replica === undefined) throw new Error('the sample shard has no replica')
await world.startControl()

/** Stack traces name it; a history is to say nothing of the machine that recorded it. */
const checkout = fileURLToPath(new URL('../', import.meta.url))

async function record(name: string, run: { readonly workflowId: string; result(): Promise<unknown> }): Promise<void> {
  await run.result().catch(() => undefined)
  const show = [
    'workflow',
    'show',
    '--output',
    'json',
    '--workflow-id',
    run.workflowId,
    '--address',
    world.temporal.address,
  ]
  const { stdout } = await promisify(execFile)(await provideTemporal(), show, { maxBuffer: 64 * 1024 * 1024 })
  const text = stdout.trimEnd().replaceAll(hostname(), 'host').replaceAll(checkout, '/checkout/')
  await writeFile(new URL(`../test/histories/${VERSION}-${name}.json`, import.meta.url), `${text}\n`)
}

const agent = await world.startAgent(replica.alias)
await record('backup', await world.keeper.backup(world.input(replica.alias)))
const { shard } = world.input(replica.alias)
await record('verifyBackup', await world.keeper.verify({ shard }))
const [stored] = await world.stored()
if (stored === undefined) throw new Error('nothing was stored')
const object = join(world.storageRoot, shard, stored.name, '0')
const whole = await readFile(object)
await writeFile(object, whole.subarray(1))
await record('verifyBackup-damaged', await world.keeper.verify({ shard, backup: parseBackupName(stored.name).name }))
await writeFile(object, whole)
const added = await world.shard.addTablet(102)
const config = world.config()
const newAgent = await world.startAgent(added.alias, {
  config: { ...config, agent: { ...config.agent, restoreFromBackup: false } },
})
await record('bootstrap', await world.keeper.bootstrap({ ...world.input(added.alias), type: 'RDONLY' }))
await newAgent.stop()
await record('restore', await world.keeper.restore(world.input(replica.alias)))
await agent.stop()

const failing = await world.startAgent(replica.alias, {
  interceptors: withFaults({
    at: 'copyFiles',
    when: 'after',
    happens: () => {
      throw ApplicationFailure.nonRetryable('no space is left in storage', 'StorageFull')
    },
  }),
})
await record('backup-failed-at-copy', await world.keeper.backup(world.input(replica.alias)))
await failing.stop()

let cancel = async (): Promise<void> => {}
const cancelled = await world.startAgent(replica.alias, {
  interceptors: withFaults({ at: 'stopMysqld', when: 'before', happens: () => cancel() }),
})
const run = await world.keeper.backup(world.input(replica.alias))
cancel = () => run.cancel()
await record('backup-cancelled-at-stop', run)
await cancelled.stop()

const onCow = await world.shard.addTablet(103, { datadir: join(cow.path, 'data') })
await onCow.initialize()
await onCow.start()
await replicateFrom(onCow, world.shard.primary, world.shard.replicationAccount)
await world.shard.awaitReplicated(onCow)
const cloning = await world.startAgent(onCow.alias)
await record('backup-from-clone', await world.keeper.backup(world.input(onCow.alias)))
await cloning.stop()
let cancelUpload = async (): Promise<void> => {}
const uploading = await world.startAgent(onCow.alias, {
  interceptors: withFaults({ at: 'uploadFiles', when: 'before', happens: () => cancelUpload() }),
})
const upload = await world.keeper.backup(world.input(onCow.alias))
cancelUpload = () => upload.cancel()
await record('backup-cancelled-at-upload', upload)
await uploading.stop()

await record('backup-no-agent', await world.keeper.backup({ ...world.input(replica.alias), agentTimeout: '1s' }))
