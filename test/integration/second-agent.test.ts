import { afterAll, beforeAll, expect, test } from 'vitest'
import { agentIdentity, type Machine } from '../../model/machine.ts'
import { agentQueue } from '../../model/runs.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { expectInService } from './assertions.ts'
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
  // On the files of another tablet, so that no lock of the first agent keeps it away.
  const config = world.config()
  const tablets = new Map(config.shards.get(world.shard.shard))
  const [own, theirs] = [tablets.get(replica.alias), tablets.get(another.alias)]
  if (own === undefined || theirs === undefined) throw new Error('they are not configured')
  tablets.set(replica.alias, { ...own, mysql: { ...own.mysql, defaultsFile: theirs.mysql.defaultsFile } })
  const shards = new Map([[world.shard.shard, tablets]])
  await expect(
    world.startAgent(replica.alias, { config: { ...config, shards }, machine: ELSEWHERE }),
  ).rejects.toMatchObject({
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
