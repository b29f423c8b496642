import { userInfo } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkTablet } from '../../client/checks/tablets.ts'
import { unfitForBackup } from '../../client/choose-tablet.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { readPage } from '../docs/pages.ts'
import { expectInService } from '../integration/assertions.ts'
import { startWorld, type World } from '../integration/world.ts'

/** The statements that the README tells to type, for the users of this machine. */
async function documented(replicationPassword: string): Promise<string[]> {
  const { blocks } = await readPage('README.md')
  const sql = blocks.find(({ language }) => language === 'sql')?.text ?? ''
  return sql
    .replace("AS 'root'", `AS '${userInfo().username}'`)
    .replace("'at most 32 characters'", `'${replicationPassword}'`)
    .split(';')
    .map((statement) => statement.replaceAll(/\s+/g, ' ').trim())
    .filter((statement) => statement !== '')
}

/** What the server says of an account, in one order. */
async function grantsOf(tablet: SampleTablet, account: string): Promise<string[]> {
  const rows = await tablet.query<Record<string, string>>(`SHOW GRANTS FOR ${account}`)
  return rows
    .flatMap((row) => Object.values(row))
    .flatMap(privilegesIn)
    .sort()
}

/** `GRANT A, B ON x.* TO …` as `A ON x.*` and `B ON x.*`; USAGE is no privilege. */
function privilegesIn(statement: string): string[] {
  const [, privileges = '', level = ''] = /^GRANT (.+?) ON (\S+) TO /.exec(statement) ?? []
  return privileges
    .split(/, ?/)
    .filter((privilege) => privilege !== 'USAGE' && privilege !== '')
    .map((privilege) => `${privilege} ON ${level.replaceAll('`', '')}`)
}

describe('with exactly the grants that the README lists', () => {
  const accounts = ["'tabletkeeper'@'localhost'", "'repl'@'%'"] as const
  let world: World
  let replica: SampleTablet
  let statements: string[]

  beforeAll(async () => {
    world = await startWorld()
    const { shard } = world
    const [first] = shard.replicas
    if (first === undefined) throw new Error('the shard has no replica')
    replica = first
    statements = await documented(shard.replicationAccount.password)
    // The replica goes on with the connection that it has until its account is there again.
    for (const account of accounts) await shard.primary.query(`DROP USER ${account}`)
    for (const statement of statements) await shard.primary.query(statement)
    await shard.awaitReplicated(replica)
    await replica.query('STOP REPLICA')
    await replica.query('START REPLICA')
    await world.startControl()
    await world.startAgent(replica.alias)
  })
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]()
  })

  /** The accounts have those, and no others. */
  async function expectDocumented(tablet: SampleTablet): Promise<void> {
    for (const account of accounts) {
      const wanted = statements.filter((statement) => statement.endsWith(` TO ${account}`)).flatMap(privilegesIn)
      expect(wanted.length).toBeGreaterThan(1)
      expect(await grantsOf(tablet, account)).toEqual(wanted.sort())
    }
  }

  async function onReplicaAlone(statement: string): Promise<void> {
    await replica.query('SET GLOBAL super_read_only = OFF')
    await using root = await replica.connect()
    await root.query('SET sql_log_bin = 0')
    await root.query(statement)
    await replica.query('SET GLOBAL super_read_only = ON')
  }

  test('a backup, a restore and a bootstrap do what they promise, and grant nothing more', async () => {
    await expectDocumented(replica)
    expect((await world.keeper.inspect(world.input(replica.alias))).missingGrants).toEqual([])
    const backup = await (await world.keeper.backup(world.input(replica.alias))).result()
    await expectInService(world, replica)

    const restored = await (await world.keeper.restore(world.input(replica.alias))).result()
    expect(restored.backup).toBe(backup.backup)
    await expectInService(world, replica)
    await expectDocumented(replica)

    const added = await world.shard.addTablet(102)
    const config = world.config()
    await world.startAgent(added.alias, { config: { ...config, agent: { ...config.agent, restoreFromBackup: false } } })
    await (await world.keeper.bootstrap(world.input(added.alias))).result()
    await expectInService(world, added)
    await expectDocumented(added)
  })

  test('one less is noticed', async () => {
    await onReplicaAlone("REVOKE BACKUP_ADMIN ON *.* FROM 'tabletkeeper'@'localhost'")
    await expect(expectDocumented(replica)).rejects.toThrow('BACKUP_ADMIN')
    const { missingGrants } = await world.keeper.inspect(world.input(replica.alias))
    expect(missingGrants).toEqual(['BACKUP_ADMIN ON *.*'])
  })

  test('one less is noticed though without it nobody can tell what stands against a backup', async () => {
    await onReplicaAlone("REVOKE PROCESS ON *.* FROM 'tabletkeeper'@'localhost'")
    const { missingGrants, hazards } = await world.keeper.inspect(world.input(replica.alias))
    expect(missingGrants).toEqual(['PROCESS ON *.*', 'BACKUP_ADMIN ON *.*'])
    expect(hazards).toEqual([
      {
        what: 'unreadable',
        message: expect.stringMatching(/^what stands against a backup cannot be read: not allowed: .*innodb_datafiles/),
        hint: expect.stringContaining('tabletkeeper check names what is missing'),
      },
    ])
  })

  test('an account that is not let in is no mysqld that is down', async () => {
    await onReplicaAlone("ALTER USER 'tabletkeeper'@'localhost' ACCOUNT LOCK")
    const report = await world.keeper.inspect(world.input(replica.alias))
    expect(report.reason).toMatch(/^mysqld cannot be observed: .* does not let 'tabletkeeper' in: /)
    expect(report.hint).toContain('Create the account, or correct its user')
    expect(unfitForBackup(report)).toBe(report.reason)
    expect(checkTablet(report, 'tabletkeeper')).toEqual([
      {
        verdict: 'FAILED',
        subject: replica.alias,
        message: `does not serve: ${report.reason}`,
        hint: report.hint,
      },
    ])
  })
})
