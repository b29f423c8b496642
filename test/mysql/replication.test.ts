import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { GtidSet } from '../../model/gtid-set.ts'
import type { Milliseconds } from '../../model/units.ts'
import type { MysqlConnection } from '../../mysql/admin/admin.ts'
import { errantTransactions, readExecuted } from '../../mysql/admin/server-state.ts'
import { awaitCaughtUp } from '../../mysql/replication/catch-up.ts'
import { readReplication } from '../../mysql/replication/replication.ts'
import { pointReplication, resetForRestore } from '../../mysql/replication/source.ts'
import { startReplication, stopReplication } from '../../mysql/replication/threads.ts'
import { asAgent, type TemporaryShard, temporaryShard } from './a-shard.ts'

const ms = (milliseconds: number) => milliseconds as Milliseconds
const { signal } = new AbortController()

describe('replication', () => {
  let sample: TemporaryShard
  let primary: MysqlConnection
  let replica: MysqlConnection
  beforeAll(async () => {
    sample = await temporaryShard()
    primary = await asAgent(sample.primary)
    replica = await asAgent(sample.replica)
  })
  afterAll(async () => {
    await primary.close()
    await replica.close()
    await sample[Symbol.asyncDispose]()
  })

  const threads = async () => {
    const state = await readReplication(replica)
    return [state?.ioRunning, state?.sqlRunning]
  }
  const catchUp = (options: { timeout?: number; signal?: AbortSignal; onRound?: (missing: GtidSet) => void } = {}) =>
    awaitCaughtUp({
      replica,
      primaryExecuted: () => readExecuted(primary),
      maxLag: ms(2_000),
      signal,
      ...options,
      timeout: ms(options.timeout ?? 30_000),
    })

  it('stops and starts again and again, and does nothing on a server without a source', async () => {
    expect(await stopReplication(replica, { signal })).toBe('stopped')
    expect(await stopReplication(replica, { signal })).toBe('stopped')
    expect(await threads()).toEqual(['No', 'No'])
    expect(await startReplication(replica, { signal })).toBe('running')
    expect(await startReplication(replica, { signal })).toBe('running')
    expect(await threads()).toEqual(['Yes', 'Yes'])

    expect(await readReplication(primary)).toBeUndefined()
    expect(await stopReplication(primary, { signal })).toBe('no source')
    expect(await startReplication(primary, { signal })).toBe('no source')
  })

  it('is seen to stop only when a worker that waits for a metadata lock has finished', async () => {
    await using reader = await sample.replica.connect()
    await reader.query('START TRANSACTION')
    await reader.query('SELECT COUNT(*) FROM commerce.customer')
    await sample.primary.query('ALTER TABLE commerce.customer ADD COLUMN nickname VARCHAR(20)')
    const goal = await readExecuted(primary)
    await expect
      .poll(() =>
        sample.replica.query("SELECT 1 FROM performance_schema.processlist WHERE state LIKE '%metadata lock'"),
      )
      .toHaveLength(1)

    await expect(stopReplication(replica, { signal, timeout: ms(1) })).rejects.toMatchObject({
      type: 'ReplicationFailed',
      message: expect.stringContaining('SQL Yes'),
    })
    const abort = new AbortController()
    const aborted = stopReplication(replica, { signal: abort.signal })
    abort.abort(new Error('taken over'))
    await expect(aborted).rejects.toThrow('taken over')

    const stopped = stopReplication(replica, { signal })
    await reader.query('COMMIT')
    expect(await stopped).toBe('stopped')
    expect(await threads()).toEqual(['No', 'No'])
    // Both really are, so a start now is not undone later.
    await startReplication(replica, { signal })
    expect(await catchUp()).toMatchObject({ caughtUp: true })
    expect((await readExecuted(replica)).contains(goal)).toBe(true)
  })

  it('waits until no replicated temporary table is open before it calls itself stopped', async () => {
    await using writer = await sample.primary.connect()
    await writer.query("SET SESSION binlog_format = 'STATEMENT'")
    await writer.query('CREATE TEMPORARY TABLE commerce.scratch (id INT)')
    await sample.shard.awaitReplicated(sample.replica)
    await expect(stopReplication(replica, { signal, timeout: ms(1) })).rejects.toMatchObject({
      type: 'ReplicationFailed',
      message: expect.stringContaining('temporary tables'),
    })
    expect(await threads()).toEqual([expect.stringMatching('Yes|Connecting'), 'Yes'])
    const stopped = stopReplication(replica, { signal })
    await writer.query('DROP TEMPORARY TABLE commerce.scratch')
    expect(await stopped).toBe('stopped')
    await startReplication(replica, { signal })
  })

  it('catches up under a write load, after having been stopped, and says what is missing meanwhile', async () => {
    await stopReplication(replica, { signal })
    const load = await sample.shard.writeLoad()
    onTestFinished(() => load.stop().then(() => {}))
    const before = await readExecuted(replica)
    await expect.poll(async () => (await readExecuted(primary)).subtract(before).count() > 50n).toBe(true)
    await startReplication(replica, { signal })
    const goal = await readExecuted(primary)
    const missing: bigint[] = []
    const { caughtUp, lagSeconds } = await catchUp({ onRound: (set) => missing.push(set.count()) })
    expect({ caughtUp, missing: missing.at(-1) }).toEqual({ caughtUp: true, missing: 0n })
    expect(lagSeconds).toBeLessThan(2)
    expect((await readExecuted(replica)).contains(goal)).toBe(true)
  })

  it('is not caught up while a table is locked, and says how far behind it is at least', async () => {
    await using locker = await sample.replica.connect()
    await locker.query('LOCK INSTANCE FOR BACKUP')
    await sample.primary.query('CREATE TABLE commerce.later (id INT PRIMARY KEY)')
    const { caughtUp, lagSeconds } = await catchUp({ timeout: 1_500 })
    expect(caughtUp).toBe(false)
    expect(lagSeconds).toBeGreaterThanOrEqual(1.4)
    const abort = AbortSignal.timeout(300)
    await expect(catchUp({ signal: abort })).rejects.toThrow()
    await locker.query('UNLOCK INSTANCE')
    expect(await catchUp()).toMatchObject({ caughtUp: true })
  })

  it('fails with the error of the server when the applier stops, in the wait and in the next start', async () => {
    await sample.replica.query('SET GLOBAL super_read_only = OFF')
    await using root = await sample.replica.connect()
    await root.query('SET sql_log_bin = 0')
    await root.query('DROP TABLE commerce.later')
    await sample.primary.query('INSERT INTO commerce.later VALUES (1)')
    await expect(catchUp()).rejects.toMatchObject({
      type: 'ReplicationFailed',
      message: expect.stringMatching(/Last_SQL_Error \d+: .*later/),
    })
    await expect(startReplication(replica, { signal })).rejects.toMatchObject({
      type: 'ReplicationFailed',
      message: expect.stringContaining('Last_SQL_Error'),
    })
    await root.query('CREATE TABLE commerce.later (id INT PRIMARY KEY)')
    await sample.replica.query('SET GLOBAL super_read_only = ON')
    expect(await startReplication(replica, { signal })).toBe('running')
    expect(await catchUp()).toMatchObject({ caughtUp: true })
  })

  it('waits for a source that is away until its deadline, and starts again when it is back', async () => {
    const { port } = sample.primary
    await pointReplication(replica, { host: '127.0.0.1', port: 9 }, 'address only', { signal })
    await expect(startReplication(replica, { signal, timeout: ms(500) })).rejects.toMatchObject({
      type: 'ReplicationFailed',
      message: expect.stringContaining('Last_IO_Error 2003'),
    })
    await stopReplication(replica, { signal })
    const running = startReplication(replica, { signal })
    await using second = await asAgent(sample.replica)
    await expect.poll(async () => (await readReplication(second))?.ioRunning).toBe('Connecting')
    await pointReplication(second, { host: '127.0.0.1', port }, 'address only', { signal })
    expect(await running).toBe('running')
    expect(await readReplication(replica)).toMatchObject({ user: 'repl', sourcePort: port, autoPosition: true })
  })

  it('is configured anew on data that stand at the position of their backup, and on no others', async () => {
    await stopReplication(replica, { signal })
    const position = await readExecuted(replica)
    await sample.primary.query('INSERT INTO commerce.later VALUES (2)')
    await expect(resetForRestore(replica, GtidSet.EMPTY)).rejects.toMatchObject({ type: 'FenceBroken' })
    expect(await readReplication(replica)).toBeDefined()

    await resetForRestore(replica, position)
    await resetForRestore(replica, position)
    expect(await readReplication(replica)).toBeUndefined()
    expect((await readExecuted(replica)).toString()).toBe(position.toString())

    const { port } = sample.primary
    const source = { host: '127.0.0.1', port, ...sample.shard.replicationAccount }
    await pointReplication(replica, source, 'whole', { signal })
    await startReplication(replica, { signal })
    await pointReplication(replica, source, 'whole', { signal })
    await startReplication(replica, { signal })
    expect(await catchUp()).toMatchObject({ caughtUp: true })
    expect(await sample.shard.checksums(sample.replica)).toEqual(await sample.shard.checksums(sample.primary))
    // Replication has run on these data: going back to the position would fetch transactions twice.
    await expect(resetForRestore(replica, position)).rejects.toMatchObject({ type: 'FenceBroken' })
  })

  it('tells transactions that only the replica has, and that none of the agent’s own statements wrote one', async () => {
    const errant = async () => errantTransactions(await readExecuted(replica), await readExecuted(primary))
    expect((await errant()).isEmpty).toBe(true)
    await sample.replica.query('SET GLOBAL super_read_only = OFF')
    await sample.replica.query('CREATE DATABASE errant')
    const [row] = await sample.replica.query<{ uuid: string }>('SELECT @@server_uuid AS uuid')
    expect((await errant()).toString()).toBe(`${row?.uuid}:1`)
  })
})
