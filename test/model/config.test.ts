import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { findTablet, parseConfig } from '../../model/config.ts'
import { DEFAULTS } from '../../model/config-defaults.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { MINIMAL, parse, tablet } from './minimal-config.ts'

describe('a minimal configuration', () => {
  test('gets every default', () => {
    const config = parse(MINIMAL)
    expect(config).toMatchObject({
      storage: { kind: 'file', root: '/mnt/backups' },
      backup: {
        concurrency: 'cores',
        snapshot: 'auto',
        level: 1,
        maxRate: 'none',
        drainTimeout: 30_000,
        maxLag: 10_000,
        catchUpTimeout: 3_600_000,
        allowPrimary: false,
        minServing: 1,
      },
      restore: { concurrency: 'cores' },
      temporal: { encryptionKeyFiles: [] },
      agent: {
        listen: { host: '127.0.0.1', port: 7480 },
        restoreFromBackup: true,
        deadManTimeout: 900_000,
        replaceData: 'redundant',
      },
    })
    expect(config.shards.get(parseShardName('commerce/0'))?.get(parseAlias('zone1-100'))).toEqual({
      alias: 'zone1-0000000100',
      shard: 'commerce/0',
      host: 'db1',
      port: 3306,
      type: undefined,
      mysql: {
        defaultsFile: '/etc/mysql/my.cnf',
        mysqld: 'mysqld',
        service: { kind: 'own' },
        admin: { user: 'tabletkeeper' },
        replication: { user: 'repl', passwordFile: '/etc/tabletkeeper/repl' },
      },
    })
  })

  test('needs no shards, as for a worker that only reads storage; sections may be empty', () => {
    expect(parse('storage: { kind: file, root: /b }\nmysql:\nshards:\nbackup:\nagent:\n').shards.size).toBe(0)
    expect(parse(`${MINIMAL}  customer/-80:\n`).shards.get(parseShardName('customer/-80'))?.size).toBe(0)
  })
})

describe('a tablet', () => {
  test('overrides any key of mysql and keeps the others', () => {
    const yaml = `${MINIMAL}    zone1-101:
      host: db2
      port: 3307
      type: rdonly
      mysql: { mysqld: /opt/mysqld, service: { start: up, stop: down }, admin: { user: root, passwordFile: /p }, replication: { user: other } }
`
    expect(tablet(yaml, 'zone1-101')).toMatchObject({
      port: 3307,
      type: 'RDONLY',
      mysql: {
        defaultsFile: '/etc/mysql/my.cnf',
        mysqld: '/opt/mysqld',
        service: { kind: 'commands', start: 'up', stop: 'down' },
        admin: { user: 'root', passwordFile: '/p' },
        replication: { user: 'other', passwordFile: '/etc/tabletkeeper/repl' },
      },
    })
    expect(tablet(yaml).mysql).toMatchObject({ mysqld: 'mysqld', service: { kind: 'own' } })
  })

  test.each([
    ['mysql.service', { kind: 'systemd', unit: 'mysql.service' }],
    ['mysql@a-1', { kind: 'systemd', unit: 'mysql@a-1' }],
    ['null', { kind: 'own' }],
    [
      '{ start: "sv up mysql", stop: "sv down mysql" }',
      { kind: 'commands', start: 'sv up mysql', stop: 'sv down mysql' },
    ],
  ])('may replace the service of all by %s', (service, expected) => {
    for (const forAll of ['mariadb.service', '{ start: a, stop: b }']) {
      const yaml = MINIMAL.replace('mysql:', `mysql:\n  service: ${forAll}`)
      const own = yaml.replace('host: db1', `host: db1, mysql: { service: ${service} }`)
      expect(tablet(own).mysql.service).toEqual(expected)
    }
  })

  test('is found by its alias; an unknown one is NotFound with the ones that were meant', () => {
    const config = parse(`${MINIMAL}    zone1-0000000101: { host: db2 }\n`)
    expect(findTablet(config, parseAlias('zone1-101')).host).toBe('db2')
    expect(() => findTablet(config, parseAlias('zone1-109'))).toThrow(
      expect.objectContaining({ type: 'NotFound', hint: expect.stringContaining('zone1-0000000101') }),
    )
  })

  test.each(['db1', 'db-1.example.com', '127.0.0.1', '"::1"', '"fe80::1"'])('may have the host %s', (host) => {
    expect(tablet(MINIMAL.replace('db1', host)).host).toBe(host.replaceAll('"', ''))
  })
})

test('the example is valid and says every default', async () => {
  const example = await readFile(new URL('../../tabletkeeper.example.yaml', import.meta.url), 'utf8')
  const config = parseConfig(example, 'tabletkeeper.example.yaml')
  const { backup, restore, agent } = parse(MINIMAL)
  expect(config).toMatchObject({ backup, restore, agent })
  for (const key of Object.values(DEFAULTS).flatMap((section) => Object.keys(section))) {
    expect(example).toMatch(new RegExp(`^  ${key}: .`, 'm'))
  }
  expect(tablet(example).port).toBe(tablet(MINIMAL).port)
  expect(tablet(example).mysql).toMatchObject({
    ...tablet(MINIMAL).mysql,
    service: { kind: 'systemd', unit: 'mysql.service' },
  })
  expect(tablet(example, 'zone1-102').mysql.service).toEqual({ kind: 'own' })
})
