import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Config } from '../../model/config.ts'
import { agentIdentity, type Machine } from '../../model/machine.ts'
import { agentQueue } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { readPollers } from '../../workers/pollers.ts'
import { eventually, expectInService } from './assertions.ts'
import { startBackup } from './held-tablet.ts'
import { runKeeper } from './keeper-command.ts'
import { startWorld, type World } from './world.ts'

const ELSEWHERE: Machine = { id: 'c0ffee00c0ffee00c0ffee00c0ffee00', host: 'db9' }
const RIVAL = agentIdentity(ELSEWHERE, 4711)

let world: World
let replica: SampleTablet
let another: SampleTablet

beforeAll(async () => {
  world = await startWorld({ replicas: 2 })
  await world.startControl()
  const [first, second] = world.shard.replicas
  if (first === undefined || second === undefined) throw new Error('the shard has no two replicas')
  ;[replica, another] = [first, second]
  await world.startAgent(replica.alias)
})
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

test('a second agent of a tablet, on another machine, is refused and ends', async () => {
  await expect(world.startAgent(replica.alias, { config: onOtherFiles(), machine: ELSEWHERE })).rejects.toMatchObject({
    type: 'TabletBusy',
    message: expect.stringMatching(`^another agent takes the tasks of ${replica.alias}: ${process.pid}@`),
  })
})

test('while a second agent polls that was not seen when the first one began, no run begins', async () => {
  await pollOnce()
  const pid = await replica.pid()
  const run = await startBackup(world, replica.alias)
  await expect(run.result()).rejects.toMatchObject({
    type: 'TabletBusy',
    step: 'preflight',
    message: `another agent takes the tasks of ${replica.alias}: ${RIVAL}`,
  })
  const check = await runKeeper(world, 'check')
  expect(check.status).toBe(1)
  expect(check.stdout).toContain(`FAILED ${replica.alias} another agent takes the tasks of ${replica.alias}: ${RIVAL}`)
  const ofShard = await runKeeper(world, 'backup', world.shard.shard)
  expect(ofShard.stderr).toContain(`${replica.alias}: another agent takes its tasks: ${RIVAL}`)
  expect(await replica.pid()).toBe(pid)
  await expectInService(world, replica)
}, 120_000)

test('a second agent takes the tasks of its other tablets', async () => {
  const { primary } = world.shard
  const agent = await world.startAgent(primary.alias, {
    tablets: [replica.alias, primary.alias],
    config: onOtherFiles(),
    machine: ELSEWHERE,
  })
  const pollersOf = async ({ alias }: SampleTablet) =>
    (await readPollers(world.client, agentQueue(alias))).map(({ identity }) => identity)
  const second = agentIdentity(ELSEWHERE, process.pid)
  await eventually(
    () => pollersOf(primary),
    (identities) => identities.includes(second),
  )
  expect(await pollersOf(replica)).not.toContain(second)
  await agent.stop()
})

/** The files of `another` for `replica`, so that no lock of the first agent keeps the second one away. */
function onOtherFiles(): Config {
  const config = world.config()
  const tablets = new Map(config.shards.get(world.shard.shard))
  const [own, theirs] = [tablets.get(replica.alias), tablets.get(another.alias)]
  if (own === undefined || theirs === undefined) throw new Error('they are not configured')
  tablets.set(replica.alias, { ...own, mysql: { ...own.mysql, defaultsFile: theirs.mysql.defaultsFile } })
  return { ...config, shards: new Map([[world.shard.shard, tablets]]) }
}

/** What the second agent does; its poll waits at any partition of the queue. Temporal answers a poll of less than a few seconds at once, and does not remember it. */
async function pollOnce(): Promise<void> {
  const { connection, workflowService } = world.client
  const poll = () =>
    workflowService.pollActivityTaskQueue({
      namespace: 'default',
      taskQueue: { name: agentQueue(replica.alias) },
      identity: RIVAL,
    })
  await connection.withDeadline(Date.now() + 5_000, poll).catch(() => undefined)
}
