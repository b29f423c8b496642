import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Milliseconds } from '../../model/units.ts'
import { connectedReplicas } from '../../mysql/admin/server-state.ts'
import { drainSessions } from '../../mysql/admin/sessions.ts'
import { asAgent, type TemporaryShard, temporaryShard } from './a-shard.ts'

const { signal } = new AbortController()
const ms = (milliseconds: number) => milliseconds as Milliseconds

describe('draining sessions', () => {
  let sample: TemporaryShard
  beforeAll(async () => {
    sample = await temporaryShard()
    await sample.primary.query("CREATE USER app@localhost IDENTIFIED BY 'x'")
  })
  afterAll(() => sample[Symbol.asyncDispose]())

  const client = () => createConnection({ socketPath: sample.primary.socket, user: 'app', password: 'x' })

  it('lets clients leave, ends the one that stays, and leaves replication and our own sessions alone', async () => {
    await using agent = await asAgent(sample.primary)
    await using ours = await asAgent(sample.primary)
    const leaving = await client()
    const staying = await client()
    const work = leaving.query('SELECT SLEEP(1)').then(() => leaving.end())
    const stuck = staying.query('SELECT SLEEP(60)').catch((error: Error) => error.message)
    expect(await drainSessions(agent, ms(5_000), signal)).toEqual({ left: 1, killed: 1 })
    await work
    expect(await stuck).toMatch(/Connection lost|interrupted/)
    expect(await connectedReplicas(ours)).toBe(1)
    expect(await drainSessions(ours, ms(60_000), signal)).toEqual({ left: 0, killed: 0 })
  })

  it('does not fail on the session of an account that it may not end: the stop of mysqld does', async () => {
    await using agent = await asAgent(sample.primary)
    await using root = await sample.primary.connect()
    expect(await drainSessions(agent, ms(0), signal)).toEqual({ left: 0, killed: 0 })
    expect((await root.query('SELECT 1'))[0]).toHaveLength(1)
  })

  it('stops at once, ending nobody, when it is aborted', async () => {
    await using agent = await asAgent(sample.primary)
    await using staying = await client()
    const abort = new AbortController()
    const drained = drainSessions(agent, ms(60_000), abort.signal)
    abort.abort()
    await expect(drained).rejects.toThrow()
    expect((await staying.query('SELECT 1'))[0]).toHaveLength(1)
  })
})
