import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfiguration } from '../../client/configuration.ts'
import { RunFailed, type RunView, Tabletkeeper } from '../../client/tabletkeeper.ts'
import { parseAlias } from '../../model/alias.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { runControl } from '../../workers/control.ts'
import { runCli, startCli, writeConfig } from './command-line.ts'
import { SHARD, TABLET } from './run-views.ts'

// A real Temporal and a real control, and no agent: every run waits for one, which is what a person has to be told about.
const input = { shard: SHARD, tablet: TABLET, agentTimeout: '10m' }
let directory: string
let temporal: TemporalServer
let keeper: Tabletkeeper
let env: NodeJS.ProcessEnv
const stopping = new AbortController()
let control: Promise<void>

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  await mkdir(join(directory, 'storage'))
  temporal = await startTemporal({ directory: join(directory, 'temporal') })
  const path = await writeConfig(directory, join(directory, 'storage'))
  env = { TABLETKEEPER_CONFIG: path, TEMPORAL_ADDRESS: temporal.address }
  process.env['TEMPORAL_ADDRESS'] = temporal.address
  const ready = Promise.withResolvers<void>()
  const log = pino({ level: 'silent' })
  control = runControl({
    config: await loadConfiguration({ path }),
    signal: stopping.signal,
    log,
    onReady: ready.resolve,
  })
  keeper = await Tabletkeeper.connect()
  await Promise.race([ready.promise, control])
})

afterAll(async () => {
  stopping.abort()
  await control
  await keeper[Symbol.asyncDispose]()
  await temporal.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('a run whose tablet has no agent', () => {
  it('gives up with NoAgent, told to programs with its hint', async () => {
    const run = await keeper.backup({ ...input, agentTimeout: '1s' })
    const failed = await run.result().catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(RunFailed)
    expect(failed).toMatchObject({
      type: 'NoAgent',
      step: 'preflight',
      returnedBy: 'nobody',
      workflowId: run.workflowId,
    })
    expect(failed).toMatchObject({ hint: expect.stringContaining('tabletkeeper-agent') })
    const [followed, looked] = await Promise.all([
      runCli(['status', run.workflowId, '--follow', '--json'], env),
      runCli(['status', run.workflowId, '--json'], env),
    ])
    const { error } = JSON.parse(followed.stdout)
    expect(error).toMatchObject({ type: 'NoAgent', workflowId: run.workflowId, verification: null, exitCode: 75 })
    expect(JSON.parse(looked.stdout).run.failure).toEqual(error)
  })

  it('is listed with what it waits for, cancelled, and gone from the list', async () => {
    const run = await keeper.backup(input)
    await waitUntil('its wait is long enough to be told', async () => {
      const { stdout } = await runCli(['status'], env)
      return stdout.includes('WAITING: an agent: nobody takes tasks from tabletkeeper.zone1-0000000101')
    })
    const { stdout } = await runCli(['status', '--json'], env)
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      runs: [
        { workflowId: run.workflowId, kind: 'backup', tablet: TABLET, shard: SHARD, step: 'preflight', serving: null },
      ],
    })
    const cancelled = await runCli(['cancel', run.workflowId], env)
    expect(cancelled).toMatchObject({ status: 0, stdout: `cancelled  ${run.workflowId}\n` })
    await waitUntil('the list knows', async () => (await keeper.runs()).length === 0)
    expect((await runCli(['status'], env)).stderr).toBe('no run is open\n')
    expect((await runCli(['status', run.workflowId], env)).stdout).toContain('backup of zone1-0000000101, cancelled')
    expect((await runCli(['cancel', run.workflowId], env)).status).toBe(10)
  })

  it('is one bootstrap at a time', async () => {
    const run = await keeper.bootstrap(input)
    await expect(keeper.bootstrap(input)).rejects.toMatchObject({
      type: 'TabletBusy',
      message: expect.stringContaining(run.workflowId),
    })
    expect((await runCli(['bootstrap', 'zone1-101'], env)).status).toBe(11)
    await run.cancel()
    await expect(run.result()).rejects.toMatchObject({ type: 'Cancelled' })
  })

  it('is reported while it is followed, and left alone when the follower leaves', async () => {
    const run = await keeper.restore({ ...input, tablet: parseAlias('zone1-100') })
    const views: RunView[] = []
    const leaving = new AbortController()
    const seen = (view: RunView) => {
      views.push(view)
      if (view.status?.activity !== undefined && view.progress !== undefined) leaving.abort(new Error('left'))
    }
    const followed = run.follow(seen, { signal: leaving.signal })
    await expect(followed).rejects.toThrow('left')
    expect(views.at(-1)).toMatchObject({
      status: { state: 'running', activity: { step: 'findBackup', attempt: 1 } },
      progress: { kind: 'restore' },
    })
    await run.abandon()
    await expect(run.result()).rejects.toMatchObject({ type: 'NoAgent', message: expect.stringContaining('abandoned') })
  })

  it('goes on after Ctrl-C, which says how to come back', async () => {
    const detached = await runCli(['backup', 'zone1-101', '--detach'], env)
    const workflowId = detached.stdout.trim()
    expect(detached).toMatchObject({ status: 0, stderr: '' })
    expect(workflowId).toMatch(/^backup\/commerce\/0\/zone1-0000000101\/\d{4}-\d\d-\d\dT[\d:]+Z$/)

    const following = startCli(['status', workflowId, '--follow'], env)
    const run = keeper.handle(workflowId)
    await waitUntil('it says what it waits for', () =>
      following.stderr().includes('Host alive: start tabletkeeper agent there'),
    )
    following.child.kill('SIGINT')
    const { status, stderr } = await following.ended
    expect(status).toBe(130)
    expect(stderr).toContain(`tabletkeeper status ${workflowId} --follow`)
    expect((await run.status()).state).toBe('running')

    expect(await runCli(['abandon', workflowId, '--host-lost'], env)).toMatchObject({
      status: 0,
      stdout: `abandoned  ${workflowId}\n`,
    })
    await expect(run.result()).rejects.toBeInstanceOf(RunFailed)
  })
})

describe('a restore to a time that hosts would read differently', () => {
  it('is not started', async () => {
    const tablet = { shard: SHARD, tablet: TABLET }
    await waitUntil('the list knows that all others have ended', async () => (await keeper.runs()).length === 0)
    await expect(keeper.restore({ ...tablet, before: '2026-11-24T02:00:00' })).rejects.toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining('is not a time with its zone'),
    })
    expect(await keeper.runs()).toEqual([])
  })
})

describe('check', () => {
  it('names each tablet without an agent, and what to type', async () => {
    const { status, stdout } = await runCli(['check'], env)
    expect(status).toBe(1)
    expect(stdout).toContain(
      `OK     temporal         ${temporal.address}, namespace default, attributes registered, control ×1`,
    )
    expect(stdout).toContain('FAILED zone1-0000000101 no agent polls the queue of zone1-0000000101')
    expect(stdout).toContain('→ Start tabletkeeper agent on db2.')
    const { ok, checks } = JSON.parse((await runCli(['check', '--json'], env)).stdout)
    expect(ok).toBe(false)
    expect(checks[0]).toMatchObject({ verdict: 'OK', subject: 'config', hint: null })
  })
})

describe('a run that is not there', () => {
  it.each([['status'], ['cancel'], ['abandon', '--host-lost']])('is not found by %s', async (verb, ...flags) => {
    expect((await runCli([verb ?? '', 'backup/none', ...flags], env)).status).toBe(10)
  })
})
