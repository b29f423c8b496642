import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parsePersisted, persistedValue } from '../../mysql/settings/persisted-variables.ts'
import { freshServerId, prepareStaged, serverUuidOf } from '../../mysql/settings/staged-config.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

const UUID = '98880065-e813-11f1-976c-02fc00000001'

async function arrange(): Promise<{ readonly staging: string; readonly datadir: string }> {
  const directory = await temporaryDirectory()
  const [staging, datadir] = [join(directory, 'staging'), join(directory, 'data')]
  await mkdir(staging)
  await mkdir(datadir)
  return { staging, datadir }
}

test('a new host gets a new identity, and a first start that neither writes nor replicates', async () => {
  const { staging, datadir } = await arrange()
  const first = await prepareStaged(staging, { datadir })
  expect(await serverUuidOf(staging)).toBe(first.serverUuid)
  expect(JSON.parse(await readFile(join(staging, 'mysqld-auto.cnf'), 'utf8'))).toMatchObject({
    Version: 2,
    mysql_dynamic_variables: { super_read_only: { Value: 'ON' }, event_scheduler: { Value: 'OFF' } },
    mysql_static_variables: {
      skip_replica_start: { Value: 'ON' },
      relay_log_recovery: { Value: 'ON' },
      server_id: { Value: String(first.serverId) },
    },
  })
  expect(first.overridden).toEqual({})
  const second = await prepareStaged(staging, { datadir })
  expect(second.serverUuid).not.toBe(first.serverUuid)
  expect(second.serverId).not.toBe(first.serverId)
})

test('in place, the host keeps its server UUID and what it had persisted, but not its server_id', async () => {
  const { staging, datadir } = await arrange()
  const metadata = { Host: 'localhost', User: 'root', Timestamp: 1 }
  const own = {
    Version: 2,
    mysql_static_variables: {
      back_log: { Value: '55', Metadata: metadata },
      skip_slave_start: { Value: 'ON', Metadata: metadata },
    },
    mysql_dynamic_variables: {
      server_id: { Value: '11', Metadata: metadata },
      event_scheduler: { Value: 'ON', Metadata: metadata },
    },
    mysql_dynamic_parse_early_variables: { max_connections: { Value: '77', Metadata: metadata } },
    mysql_sensitive_variables: { master_key_id: 'x', mysql_variables_blob: 'abc' },
  }
  await writeFile(join(datadir, 'auto.cnf'), `[auto]\nserver-uuid=${UUID}\n`)
  await writeFile(join(datadir, 'mysqld-auto.cnf'), JSON.stringify(own))
  const identity = await prepareStaged(staging, { datadir })
  expect(identity).toMatchObject({ serverUuid: UUID, overridden: { event_scheduler: 'ON' } })
  expect(identity.serverId).not.toBe(11)
  const staged = parsePersisted(await readFile(join(staging, 'mysqld-auto.cnf'), 'utf8'), 'staged')
  expect(staged).toMatchObject({
    mysql_static_variables: { back_log: { Value: '55', Metadata: metadata } },
    mysql_dynamic_parse_early_variables: own.mysql_dynamic_parse_early_variables,
    mysql_sensitive_variables: own.mysql_sensitive_variables,
  })
  expect(persistedValue(staged, 'server_id')).toBe(String(identity.serverId))
  expect(persistedValue(staged, 'event_scheduler')).toBe('OFF')
  expect(persistedValue(staged, 'skip_slave_start')).toBeUndefined()
  expect(staged['mysql_dynamic_variables']).not.toHaveProperty('server_id')
})

test('persisted variables that cannot be read are not thrown away', async () => {
  const { staging, datadir } = await arrange()
  for (const text of ['', '{"Version":1,"mysql_server":{}}', '{"Version":2']) {
    await writeFile(join(datadir, 'mysqld-auto.cnf'), text)
    await expect(prepareStaged(staging, { datadir })).rejects.toMatchObject({ type: 'Refused' })
  }
})

test('a server_id is far from those that people give, and fits the variable', () => {
  const ids = Array.from({ length: 1000 }, freshServerId)
  expect(Math.min(...ids)).toBeGreaterThanOrEqual(100)
  expect(Math.max(...ids)).toBeLessThan(2 ** 31)
  expect(new Set(ids).size).toBeGreaterThan(990)
})
