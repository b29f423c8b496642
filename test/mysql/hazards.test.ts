import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MysqlConnection } from '../../mysql/admin/admin.ts'
import { readExecuted } from '../../mysql/admin/server-state.ts'
import type { Hazard } from '../../mysql/data/hazard.ts'
import { findHazards, longestTransactionSeconds, memoryTables } from '../../mysql/data/hazards.ts'
import { readServerLayout, type ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { asAgent, type TemporaryShard, temporaryShard } from './a-shard.ts'

interface Case {
  readonly what: Hazard['what']
  /** Statements that make it, as root, without binary log. */
  readonly make: readonly string[]
  readonly undo: readonly string[]
  readonly names?: string
}

describe('hazards of a cold copy', () => {
  let sample: TemporaryShard
  let elsewhere: string
  let layout: ServerLayout
  let agent: MysqlConnection
  beforeAll(async () => {
    elsewhere = await mkdtemp(join(tmpdir(), 'tabletkeeper-elsewhere-'))
    await mkdir(join(elsewhere, 'data'), { mode: 0o750 })
    sample = await temporaryShard({ settings: { innodb_directories: join(elsewhere, 'data') } })
    layout = await readServerLayout(sample.replica.mysqld, sample.replica.defaultsFile)
    agent = await asAgent(sample.replica)
  })
  afterAll(async () => {
    await agent.close()
    await sample[Symbol.asyncDispose]()
    await rm(elsewhere, { recursive: true })
  })

  async function asRoot(statements: readonly string[]): Promise<void> {
    await using root = await sample.replica.connect()
    for (const statement of ['SET sql_log_bin = 0', ...statements]) await root.query(statement)
  }

  const source = (change: string) => ['STOP REPLICA', `CHANGE REPLICATION SOURCE TO ${change}`]
  const writable = 'SET GLOBAL super_read_only = OFF'
  const CASES: readonly Case[] = [
    {
      what: 'MEMORY tables',
      make: [writable, 'CREATE TABLE commerce.m (id INT) ENGINE = MEMORY'],
      undo: ['DROP TABLE commerce.m'],
      names: 'commerce.m',
    },
    {
      what: 'redo log disabled',
      make: ['ALTER INSTANCE DISABLE INNODB REDO_LOG'],
      undo: ['ALTER INSTANCE ENABLE INNODB REDO_LOG'],
    },
    {
      what: 'several channels',
      make: [
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db9', SOURCE_USER = 'x', SOURCE_AUTO_POSITION = 1 FOR CHANNEL 'second'",
      ],
      undo: ["RESET REPLICA ALL FOR CHANNEL 'second'"],
      names: "'second'",
    },
    {
      what: 'named channel',
      make: [
        'STOP REPLICA',
        'RESET REPLICA ALL',
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db9', SOURCE_USER = 'x', SOURCE_AUTO_POSITION = 1 FOR CHANNEL 'from_db9'",
      ],
      undo: [
        "RESET REPLICA ALL FOR CHANNEL 'from_db9'",
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db9', SOURCE_USER = 'repl', SOURCE_AUTO_POSITION = 1",
      ],
      names: "'from_db9'",
    },
    { what: 'no stored credentials', make: source("SOURCE_USER = ''"), undo: source("SOURCE_USER = 'repl'") },
    { what: 'delayed replication', make: source('SOURCE_DELAY = 30'), undo: source('SOURCE_DELAY = 0'), names: '30 s' },
    {
      what: 'replication without GTIDs',
      make: source('SOURCE_AUTO_POSITION = 0'),
      undo: source('SOURCE_AUTO_POSITION = 1'),
    },
    {
      what: 'replication filters',
      make: ['CHANGE REPLICATION FILTER REPLICATE_DO_TABLE = (`a.b`.c)'],
      undo: ['CHANGE REPLICATION FILTER REPLICATE_DO_TABLE = ()'],
      names: 'a.b.c',
    },
    {
      what: 'settings lost by a restart',
      make: ['SET GLOBAL server_id = 77'],
      undo: ['SET PERSIST server_id = 77'],
      names: 'server_id',
    },
  ]

  it('are none on a plain replica, and none of its data need be readable for that', async () => {
    expect(await findHazards(agent, layout)).toEqual([])
  })

  it.each(CASES)('are found one by one: $what', async ({ what, make, undo, names }) => {
    await asRoot(make)
    const hazards = await findHazards(agent, layout)
    await asRoot(undo)
    expect(hazards.map((hazard) => hazard.what)).toEqual([what])
    expect(hazards[0]?.message).toContain(names ?? '')
    expect(await findHazards(agent, layout)).toEqual([])
  })

  it('are found: data files elsewhere, of a table and of undo', async () => {
    const data = join(elsewhere, 'data')
    await asRoot([
      `CREATE TABLE commerce.away (id INT PRIMARY KEY) DATA DIRECTORY = '${data}'`,
      `CREATE UNDO TABLESPACE far ADD DATAFILE '${data}/far.ibu'`,
    ])
    const [hazard] = await findHazards(agent, layout)
    expect(hazard).toMatchObject({
      what: 'data files elsewhere',
      message: expect.stringContaining(`${data}/commerce/away.ibd`),
    })
    expect(hazard?.message).toContain('far.ibu')
    // MySQL lets tables be made beside the system tablespace, where no backup looks for them.
    const [besides] = await findHazards(agent, { ...layout, innodbDataHome: data })
    expect(besides?.message).toContain(`${data}/commerce/away.ibd`)
    expect(besides?.message).toContain(`${data}/far.ibu`)
    await asRoot(['DROP TABLE commerce.away', 'ALTER UNDO TABLESPACE far SET INACTIVE'])
  })

  it('are looked for without a first touch of a MEMORY table, which would write a transaction', async () => {
    await asRoot([writable, 'CREATE TABLE commerce.m (id INT) ENGINE = MEMORY', 'INSERT INTO commerce.m VALUES (1)'])
    await sample.replica.stop()
    await sample.replica.start()
    await using again = await asAgent(sample.replica)
    const before = await readExecuted(again)
    await findHazards(again, layout)
    expect(await memoryTables(again)).toEqual(['commerce.m'])
    expect((await readExecuted(again)).toString()).toBe(before.toString())
    // That the restart left something to be touched: anybody's first SELECT is the transaction.
    await sample.replica.query('SELECT * FROM commerce.m')
    expect((await readExecuted(again)).subtract(before).count()).toBe(1n)
  })

  it('are found: tagged GTIDs', async () => {
    await using again = await asAgent(sample.replica)
    await sample.replica.query(writable)
    await using root = await sample.replica.connect()
    for (const tag of [':errand', ':errand', '', ':audit', ':_nightly_2']) {
      await root.query(`SET gtid_next = 'AUTOMATIC${tag}'`)
      await root.query('CREATE DATABASE IF NOT EXISTS tagged')
    }
    expect((await findHazards(again, layout)).map((hazard) => hazard.what)).toContain('tagged GTIDs')
    const [printed] = await sample.replica.query<{ executed: string }>('SELECT @@global.gtid_executed AS executed')
    const executed = await readExecuted(again)
    expect(executed.isTagged).toBe(true)
    expect(`${executed}`).toBe(printed?.executed.replaceAll(/\s/g, ''))
  })

  it('do not include a transaction that runs long: that is measured, and a prepared one does not count', async () => {
    await using primary = await asAgent(sample.primary)
    await using writer = await sample.primary.connect()
    expect(await longestTransactionSeconds(primary)).toBe(0)
    await writer.query("XA START 'prepared'")
    await writer.query('UPDATE commerce.customer SET visits = 1 WHERE id = 1')
    await writer.query("XA END 'prepared'")
    await writer.query("XA PREPARE 'prepared'")
    await using second = await sample.primary.connect()
    await second.query('START TRANSACTION')
    await second.query('SELECT COUNT(*) FROM commerce.customer')
    await second.query('UPDATE commerce.customer SET visits = 1 WHERE id = 2')
    await expect.poll(() => longestTransactionSeconds(primary), { interval: 200 }).toBeGreaterThanOrEqual(1)
    await second.query('COMMIT')
    await expect.poll(() => longestTransactionSeconds(primary), { interval: 200 }).toBe(0)
  })
})
