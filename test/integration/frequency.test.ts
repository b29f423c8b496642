import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { runCli } from '../client/command-line.ts'
import { eventually } from './assertions.ts'
import { startWorld, type World } from './world.ts'

const DAY = 86_400

describe('how often backups are taken is judged against how long binary logs are kept', () => {
  let world: World
  let replica: SampleTablet

  beforeAll(async () => {
    world = await startWorld({ megabytes: 1 })
    await world.startControl()
    const [first] = world.shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    await world.startAgent(replica.alias)
    await world.startAgent(world.shard.primary.alias)
    await (await world.keeper.backup(world.input(replica.alias))).result()
    await world.keeper.schedules.create({ shard: world.shard.shard, tablet: replica.alias, every: '1d' })
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  async function keepBinaryLogs(days: number): Promise<void> {
    await world.shard.primary.query(`SET GLOBAL binlog_expire_logs_seconds = ${days * DAY}`)
  }

  interface Check {
    readonly verdict: string
    readonly subject: string
    readonly message: string
  }

  /** What `check` says of the shard, and its exit status. */
  async function check(): Promise<{
    readonly status: number | null
    readonly verdict: string
    readonly message: string
  }> {
    const { status, stdout } = await runCli(['check', '--json'], {
      TABLETKEEPER_CONFIG: world.configPath,
      TEMPORAL_ADDRESS: world.temporal.address,
    })
    const { checks } = JSON.parse(stdout) as { readonly checks: readonly Check[] }
    const found = checks.find(({ subject }) => subject === world.shard.shard)
    if (found === undefined) throw new Error(`check says nothing of the shard: ${stdout}`)
    return { status, verdict: found.verdict, message: found.message }
  }

  /** Triggers the schedule and returns the result of the run that it starts. */
  async function scheduledBackup() {
    const before = new Set((await world.stored()).map(({ name }) => name))
    await world.keeper.schedules.trigger({ shard: world.shard.shard, tablet: replica.alias })
    const stored = await eventually(
      () => world.stored(),
      (backups) => backups.some(({ name, complete }) => complete && !before.has(name)),
    )
    const name = stored.find((backup) => !before.has(backup.name))?.name
    for await (const { workflowId, runId } of world.client.workflow.list({ query: `WorkflowType = 'backup'` })) {
      const result = await world.client.workflow.getHandle(workflowId, runId).result()
      if (result.backup === name) return result
    }
    throw new Error(`no run says that it made ${name}`)
  }

  test('four days of logs and a daily backup are fine, also in the result of the scheduled backup', async () => {
    await keepBinaryLogs(4)
    expect(await scheduledBackup()).toMatchObject({ warnings: [] })
    expect(await check()).toMatchObject({ verdict: 'OK', status: 0 })
  })

  test('less than two days between the next backup and the end of the logs is a warning, in both', async () => {
    await keepBinaryLogs(2)
    expect(await scheduledBackup()).toMatchObject({ warnings: [{ about: 'frequency WARN' }] })
    expect(await check()).toMatchObject({ verdict: 'WARN', status: 0 })
  })

  test('logs that no longer reach back to the newest backup fail the check, and the next scheduled backup says so and repairs it', async () => {
    await keepBinaryLogs(4)
    const { primary } = world.shard
    await primary.query('CREATE TABLE commerce.later (id INT PRIMARY KEY)')
    await world.shard.awaitReplicated(replica)
    await primary.query('FLUSH BINARY LOGS')
    const [status] = await primary.query<{ File: string }>('SHOW BINARY LOG STATUS')
    await primary.query(`PURGE BINARY LOGS TO '${status?.File}'`)
    expect(await check()).toMatchObject({
      verdict: 'FAILED',
      status: 1,
      message: expect.stringContaining('cannot catch up'),
    })
    expect(await scheduledBackup()).toMatchObject({ warnings: [{ about: 'frequency FAILED' }] })
    expect(await check()).toMatchObject({ verdict: 'OK', status: 0 })
  })
})
