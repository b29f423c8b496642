import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MysqlConnection } from '../../mysql/admin/admin.ts'
import { errantTransactions, readExecuted, readServerState } from '../../mysql/admin/server-state.ts'
import { reduceDirtyPages, setFastShutdown } from '../../mysql/process/quick-stop.ts'
import { readReplicationFilters } from '../../mysql/replication/filters.ts'
import { readReplication } from '../../mysql/replication/replication.ts'
import { pointReplication } from '../../mysql/replication/source.ts'
import { startReplication, stopReplication } from '../../mysql/replication/threads.ts'
import { readGlobals } from '../../mysql/settings/global-variables.ts'
import {
  applySettings,
  type CapturedSettings,
  capturedSettingsSchema,
  captureSettings,
  guardRestart,
  setSuperReadOnly,
} from '../../mysql/settings/settings.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { asAgent, type TemporaryShard, temporaryShard } from './a-shard.ts'

const { signal } = new AbortController()

/** Set at runtime, as an operator does, one of each type; all are lost by a restart. */
const RUNTIME = {
  max_connections: '57',
  long_query_time: '2.500000',
  innodb_max_dirty_pages_pct_lwm: '5.000000',
  slow_query_log: 'ON',
  binlog_row_image: 'NOBLOB',
  sync_binlog: '0',
  init_connect: '1234',
  default_collation_for_utf8mb4: 'utf8mb4_0900_ai_ci',
  offline_mode: 'ON',
}

const FILTERS = `REPLICATE_DO_DB = (commerce, \`b\`\`k\`), REPLICATE_IGNORE_TABLE = (commerce.scratch, \`a b\`.\`q'x\`),
  REPLICATE_WILD_IGNORE_TABLE = ('d%.t\\\\_x', 'e\\'f.%'), REPLICATE_REWRITE_DB = ((a, b), (c, d))`

describe('settings that a restart forgets', () => {
  let sample: TemporaryShard
  let replica: SampleTablet
  beforeAll(async () => {
    sample = await temporaryShard()
    replica = sample.replica
    await using root = await replica.connect()
    for (const [name, value] of Object.entries(RUNTIME)) {
      await root.query(
        `SET GLOBAL ${name} = ${/^[\d.]+$/.test(value) && name !== 'init_connect' ? value : `'${value}'`}`,
      )
    }
    await root.query('STOP REPLICA SQL_THREAD')
    await root.query(`CHANGE REPLICATION FILTER ${FILTERS}`)
    await root.query('START REPLICA')
  })
  afterAll(() => sample[Symbol.asyncDispose]())

  async function expectGivenBack(agent: MysqlConnection, captured: CapturedSettings): Promise<void> {
    const names = Object.keys(captured.variables)
    expect(Object.fromEntries(await readGlobals(agent, names))).toEqual(captured.variables)
    expect(await readReplicationFilters(agent)).toEqual(captured.filters)
  }

  const restart = async () => {
    await replica.stop()
    await replica.start()
  }

  it('are given back after a restart, filters and read-only state included, and again without one', async () => {
    const agent = await asAgent(replica)
    const captured = capturedSettingsSchema.parse(JSON.parse(JSON.stringify(await captureSettings(agent))))
    expect(captured.variables).toMatchObject({ ...RUNTIME, super_read_only: 'ON', innodb_fast_shutdown: '1' })
    expect(captured.variables).not.toHaveProperty('foreign_key_checks')

    await stopReplication(agent, { signal })
    await setSuperReadOnly(agent, true)
    await reduceDirtyPages(agent, signal)
    await guardRestart(agent)
    await setFastShutdown(agent, 0)
    expect(await readGlobals(agent, ['innodb_max_dirty_pages_pct', 'innodb_max_dirty_pages_pct_lwm'])).toEqual(
      new Map([
        ['innodb_max_dirty_pages_pct', '0.000000'],
        ['innodb_max_dirty_pages_pct_lwm', '0.000000'],
      ]),
    )
    await agent.close()
    await restart()

    await using after = await asAgent(replica)
    expect(await readServerState(after)).toMatchObject({ superReadOnly: true })
    expect(await readReplication(after)).toMatchObject({ ioRunning: 'No', sqlRunning: 'No' })
    expect((await captureSettings(after)).variables).not.toMatchObject({ max_connections: '57' })
    expect(await applySettings(after, captured)).toEqual([])
    expect(await applySettings(after, captured)).toEqual([])
    await expectGivenBack(after, captured)
    expect(await startReplication(after, { signal })).toBe('running')
    expect(await applySettings(after, captured)).toEqual([])
    expect(await readReplication(after)).toMatchObject({ ioRunning: 'Yes', sqlRunning: 'Yes' })
  })

  it('are given back, too, when the stop that they were changed for never came', async () => {
    await using agent = await asAgent(replica)
    const captured = await captureSettings(agent)
    await stopReplication(agent, { signal })
    await reduceDirtyPages(agent, signal)
    await guardRestart(agent)
    await setFastShutdown(agent, 0)
    await applySettings(agent, captured)
    await expectGivenBack(agent, captured)
    expect(await replica.query('SELECT variable_name FROM performance_schema.persisted_variables')).toEqual([])
  })

  it('include a writable replica, a guard that somebody else had persisted, and filters lost while replication runs', async () => {
    const agent = await asAgent(replica)
    await replica.query('SET PERSIST_ONLY skip_replica_start = OFF')
    await replica.query('SET GLOBAL super_read_only = OFF')
    const captured = await captureSettings(agent)
    await guardRestart(agent)
    await agent.close()
    await restart()
    await using after = await asAgent(replica)
    await startReplication(after, { signal })
    await applySettings(after, captured)
    const [state] = await replica.query('SELECT @@read_only AS readOnly, @@super_read_only AS superReadOnly')
    expect(state).toEqual({ readOnly: 1, superReadOnly: 0 })
    expect((await captureSettings(after)).persisted).toEqual({ skip_replica_start: 'OFF' })
    expect(await readReplicationFilters(after)).toMatchObject({
      Replicate_Wild_Ignore_Table: expect.stringContaining('d%.t\\_x'),
    })
  })

  async function replicateAgain(agent: MysqlConnection): Promise<void> {
    const source = { host: '127.0.0.1', port: sample.primary.port, ...sample.shard.replicationAccount }
    await pointReplication(agent, source, 'whole', { signal })
  }

  it('include the filters of a server whose source is configured anew', async () => {
    await using agent = await asAgent(replica)
    const captured = await captureSettings(agent)
    await stopReplication(agent, { signal })
    await agent.execute('CHANGE REPLICATION FILTER REPLICATE_DO_DB = ()')
    await agent.execute('RESET REPLICA ALL')
    await applySettings(agent, captured)
    await replicateAgain(agent)
    expect(await readReplicationFilters(agent)).toEqual(captured.filters)
  })

  const writeModes = () =>
    replica.query<object>(
      `SELECT variable_name AS name, variable_value AS value, set_time AS since
        FROM performance_schema.variables_info JOIN performance_schema.global_variables USING (variable_name)
        WHERE variable_name IN ('read_only', 'super_read_only') ORDER BY name`,
    )

  it('do not write the read-only state where it is as captured, since a promotion may come at any moment', async () => {
    await using agent = await asAgent(replica)
    await setSuperReadOnly(agent, true)
    const captured = await captureSettings(agent)
    const before = await writeModes()
    await applySettings(agent, captured)
    await applySettings(agent, captured, 'read-only')
    expect(await writeModes()).toEqual(before)
    await replica.query('RESET PERSIST super_read_only')
  })

  it('do not make a replica read-only that has become the primary, unless another one takes the writes', async () => {
    await using agent = await asAgent(replica)
    const captured = await captureSettings(agent)
    expect(captured.variables).toMatchObject({ read_only: 'ON', super_read_only: 'ON' })
    const demoted = { ...captured, variables: { ...captured.variables, read_only: 'OFF', super_read_only: 'OFF' } }
    for (const statement of ['STOP REPLICA', 'RESET REPLICA ALL', 'SET GLOBAL read_only = OFF']) {
      await replica.query(statement)
    }
    const promoted = await writeModes()
    expect(await applySettings(agent, captured)).toEqual([expect.stringContaining('it has become the primary')])
    expect(await writeModes()).toEqual(promoted)
    await applySettings(agent, demoted, 'read-only')
    expect(await readServerState(agent)).toMatchObject({ readOnly: true, superReadOnly: true })
    expect((await captureSettings(agent)).persisted).toMatchObject({ super_read_only: 'ON' })
    await applySettings(agent, demoted, 'as now')
    expect(await readServerState(agent)).toMatchObject({ readOnly: true, superReadOnly: true })
    expect((await captureSettings(agent)).persisted).not.toHaveProperty('super_read_only')
    await replicateAgain(agent)
  })

  it('that cannot be given back are named', async () => {
    await using agent = await asAgent(replica)
    const captured = await captureSettings(agent)
    const variables = { ...captured.variables, 'a_plugin.size': '7', port: '1' }
    const sentences = await applySettings(agent, { ...captured, variables })
    expect(sentences).toEqual([
      expect.stringMatching(/^a_plugin.size is unknown, not 7: .*Unknown system variable/),
      expect.stringMatching(/^port is \d+, not 1: .*read only/),
    ])
  })

  it('refuse filters of names that the server prints ambiguously, before anything is changed', async () => {
    await using agent = await asAgent(replica)
    await stopReplication(agent, { signal })
    await replica.query('CHANGE REPLICATION FILTER REPLICATE_IGNORE_TABLE = (`a.b`.c)')
    await expect(captureSettings(agent)).rejects.toMatchObject({
      type: 'Refused',
      message: expect.stringContaining('a.b.c'),
    })
  })

  it('are read and written without a transaction', async () => {
    await using agent = await asAgent(replica)
    await using primary = await asAgent(sample.primary)
    expect(errantTransactions(await readExecuted(agent), await readExecuted(primary)).toString()).toBe('')
  })
})
