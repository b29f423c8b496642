import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { Worker } from '@temporalio/worker'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { activity } from '../../activities/activity.ts'
import type { TabletActivities } from '../../activities/contract.ts'
import { loadConfiguration } from '../../client/configuration.ts'
import { type RunHandle, Tabletkeeper } from '../../client/tabletkeeper.ts'
import { agentQueue, type BackupResult } from '../../model/runs.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { runControl } from '../../workers/control.ts'
import { linkToTemporal, type TemporalLink } from '../../workers/temporal.ts'
import { writeConfig } from '../client/command-line.ts'
import { SHARD, TABLET } from '../client/run-views.ts'
import { eventually } from '../integration/assertions.ts'

// A real Temporal, control, workflow and activity wrapper; of the tablet there is nothing but what its steps would answer.
const log = pino({ level: 'silent' })
const copying = {
  bytesDone: 100 * 1024 ** 2,
  bytesTotal: 400 * 1024 ** 2,
  filesDone: 3,
  filesTotal: 9,
  bytesPerSecond: 50 * 1024 ** 2,
  secondsLeft: 6,
}
const stopping = new AbortController()
let directory: string
let temporal: TemporalServer
let control: Promise<void>
let keeper: Tabletkeeper
let connection: Connection
let link: TemporalLink

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  await mkdir(join(directory, 'storage'))
  temporal = await startTemporal({ directory: join(directory, 'temporal') })
  process.env['TEMPORAL_ADDRESS'] = temporal.address
  const config = await loadConfiguration({ path: await writeConfig(directory, join(directory, 'storage')) })
  link = await linkToTemporal({ encryptionKeyFiles: [] }, stopping.signal, log)
  const ready = Promise.withResolvers<void>()
  control = runControl({ config, signal: stopping.signal, log, onReady: ready.resolve })
  await Promise.race([ready.promise, control])
  keeper = await Tabletkeeper.connect()
  connection = await Connection.connect({ address: temporal.address })
})

afterAll(async () => {
  stopping.abort()
  await control
  await keeper[Symbol.asyncDispose]()
  await connection.close()
  await link.connection.close()
  await temporal.stop()
  await rm(directory, { recursive: true, force: true })
})

/** An agent that answers each step at once, but for the copy: that goes on until it is let go. */
async function startPlayedAgent(signalAfter: readonly number[] | undefined) {
  const copied = Promise.withResolvers<void>()
  const played: Partial<TabletActivities> = {
    preflightBackup: async () => ({
      type: 'REPLICA',
      lagSeconds: 0,
      dataBytes: 1,
      snapshot: 'none',
      othersServing: 2,
      warnings: [],
    }),
    takeTablet: async () => ({ token: 'token' }),
    takeOutOfService: async () => ({ sessionsEnded: 0 }),
    stopReplication: async () => ({ position: 'MySQL56/' }),
    stopMysqld: async () => ({ lsn: '1' }),
    copyFiles: activity({ log, signalAfter }, async (attempt) => {
      const telling = setInterval(() => attempt.sign(copying), 20)
      await copied.promise
      clearInterval(telling)
      return { files: 9, dataBytes: 1, storedBytes: 1, badPages: 0, firstBadPages: [] }
    }),
    startMysqld: async () => undefined,
    rejoin: async () => ({ type: 'REPLICA', lagSeconds: 0, caughtUp: true }),
    releaseTablet: async () => undefined,
    checkBackup: async () => ({ objects: 9 }),
    publishBackup: async () => ({ errant: null }),
  }
  const worker = await Worker.create({
    connection: link.connection,
    taskQueue: agentQueue(TABLET),
    activities: { ...played },
    maxHeartbeatThrottleInterval: '1s',
  })
  const running = worker.run()
  return {
    endCopy: () => copied.resolve(),
    [Symbol.asyncDispose]: async () => {
      copied.resolve()
      worker.shutdown()
      await running
    },
  }
}

const handleOf = (run: RunHandle<BackupResult>) =>
  new Client({ connection }).workflow.getHandle(run.workflowId, run.runId)

const startBackup = () => keeper.backup({ shard: SHARD, tablet: TABLET })

/** A signal as another program may send it, whose content cannot even be decoded. */
async function signalBytes({ workflowId, runId }: RunHandle<BackupResult>, encoding: string, data: Buffer) {
  await connection.workflowService.signalWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId, runId },
    signalName: 'progress',
    input: { payloads: [{ metadata: { encoding: Buffer.from(encoding) }, data }] },
  })
}

async function detailsOf(run: RunHandle<BackupResult>): Promise<string> {
  const metadata = await handleOf(run).query<{ currentDetails?: string }>('__temporal_workflow_metadata')
  return metadata.currentDetails ?? ''
}

async function signalsOf(run: RunHandle<BackupResult>): Promise<number> {
  const { events } = await handleOf(run).fetchHistory()
  return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes).length
}

describe('a copy that takes its time', () => {
  test('is told in the current details of its run, by few signals, until its step ends', async () => {
    await using agent = await startPlayedAgent([100, 1_600, 3_100])
    const run = await startBackup()
    const details = await eventually(
      () => detailsOf(run),
      (text) => text.includes('as of'),
    )
    expect(details).toMatch(
      /files copied\*\* since .*\n {2}- as of \d\d:\d\d:\d\d UTC: 100\/400 MiB, 3\/9 files, 50\.0 MiB\/s, about 6s left \(until (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC\)$/,
    )
    agent.endCopy()
    await run.result()
    // How many there is time for depends on the machine; when each is sent, on test/activities/progress-signals.test.ts.
    const signals = await signalsOf(run)
    expect(signals).toBeGreaterThanOrEqual(1)
    expect(signals).toBeLessThanOrEqual(3)
    const after = await detailsOf(run)
    expect(after).toContain('files copied')
    expect(after).not.toContain('as of')
  })

  test('is told by its heartbeat too: with a time left', async () => {
    await using agent = await startPlayedAgent(undefined)
    const run = await startBackup()
    const { activity: step } = await eventually(
      () => run.status(),
      ({ activity: seen }) => seen?.progress !== undefined,
    )
    expect(step?.progress).toEqual(copying)
    agent.endCopy()
    await run.result()
    expect(await signalsOf(run)).toBe(0)
  })

  test('does not mind what else is sent as a signal', async () => {
    await using agent = await startPlayedAgent(undefined)
    const run = await startBackup()
    await eventually(
      () => detailsOf(run),
      (text) => text.includes('files copied** since'),
    )
    const handle = handleOf(run)
    await handle.signal('progress')
    for (const content of [null, 'half', 7, {}, { step: 'copyFiles' }, { step: 'copyFiles', at: 'x', progress: {} }])
      await handle.signal('progress', content)
    await handle.signal('progress', { step: 'rejoin', at: new Date().toISOString(), progress: copying })
    await handle.signal('no such signal', 1)
    for (const encoding of ['json/plain', 'binary/encrypted', ''])
      await signalBytes(run, encoding, Buffer.from('{ half'))
    expect(await detailsOf(run)).not.toContain('as of')
    agent.endCopy()
    expect(await run.result()).toMatchObject({ tablet: TABLET, files: 9 })
  })
})
