import { describe, expect, test } from 'vitest'
import { resolveConfig } from '../../model/config.ts'
import { explainConfig } from '../../model/config-origins.ts'
import { applyOverrides, type ConfigOverride } from '../../model/config-overrides.ts'
import { readConfigSource } from '../../model/config-source.ts'

const YAML = `storage: { kind: file, root: /mnt/backups }
mysql:
  defaultsFile: /etc/mysql/my.cnf
  service: mysql.service
  replication: { user: repl, passwordFile: /etc/tabletkeeper/repl }
shards:
  commerce/0:
    zone1-100: { host: db1 }
    zone1-101:
      host: db2
      mysql: { service: { start: up, stop: down } }
agent:
  listen: 0.0.0.0:80
`
const source = (...overrides: ConfigOverride[]) => applyOverrides(readConfigSource(YAML, 'tk.yaml'), overrides)
const settings = (...overrides: ConfigOverride[]) =>
  Object.fromEntries(explainConfig(source(...overrides)).map(({ key, value, origin }) => [key, `${value} (${origin})`]))

describe('every setting is told with its origin', () => {
  test('the file and line, or default', () => {
    expect(settings()).toEqual({
      'storage.kind': 'file (tk.yaml:1)',
      'storage.root': '/mnt/backups (tk.yaml:1)',
      'shards.commerce/0.zone1-0000000100.host': 'db1 (tk.yaml:8)',
      'shards.commerce/0.zone1-0000000100.port': '3306 (default)',
      'shards.commerce/0.zone1-0000000100.mysql.defaultsFile': '/etc/mysql/my.cnf (tk.yaml:3)',
      'shards.commerce/0.zone1-0000000100.mysql.mysqld': 'mysqld (default)',
      'shards.commerce/0.zone1-0000000100.mysql.service': 'mysql.service (tk.yaml:4)',
      'shards.commerce/0.zone1-0000000100.mysql.admin.user': 'tabletkeeper (default)',
      'shards.commerce/0.zone1-0000000100.mysql.replication.user': 'repl (tk.yaml:5)',
      'shards.commerce/0.zone1-0000000100.mysql.replication.passwordFile': '/etc/tabletkeeper/repl (tk.yaml:5)',
      'shards.commerce/0.zone1-0000000101.host': 'db2 (tk.yaml:10)',
      'shards.commerce/0.zone1-0000000101.port': '3306 (default)',
      'shards.commerce/0.zone1-0000000101.mysql.defaultsFile': '/etc/mysql/my.cnf (tk.yaml:3)',
      'shards.commerce/0.zone1-0000000101.mysql.mysqld': 'mysqld (default)',
      'shards.commerce/0.zone1-0000000101.mysql.service.start': 'up (tk.yaml:11)',
      'shards.commerce/0.zone1-0000000101.mysql.service.stop': 'down (tk.yaml:11)',
      'shards.commerce/0.zone1-0000000101.mysql.admin.user': 'tabletkeeper (default)',
      'shards.commerce/0.zone1-0000000101.mysql.replication.user': 'repl (tk.yaml:5)',
      'shards.commerce/0.zone1-0000000101.mysql.replication.passwordFile': '/etc/tabletkeeper/repl (tk.yaml:5)',
      'temporal.encryptionKeyFiles': 'null (default)',
      'backup.concurrency': 'cores (default)',
      'backup.snapshot': 'auto (default)',
      'backup.level': '1 (default)',
      'backup.drainTimeout': '30s (default)',
      'backup.maxLag': '10s (default)',
      'backup.catchUpTimeout': '1h (default)',
      'backup.allowPrimary': 'false (default)',
      'backup.maxRate': 'none (default)',
      'backup.minServing': '1 (default)',
      'restore.concurrency': 'cores (default)',
      'agent.listen': '0.0.0.0:80 (tk.yaml:13)',
      'agent.restoreFromBackup': 'true (default)',
      'agent.deadManTimeout': '15m (default)',
      'agent.replaceData': 'redundant (default)',
    })
  })

  test('the flag, where one is given', () => {
    const told = settings(
      { key: 'agent.restoreFromBackup', value: 'false', origin: '--restore_from_backup' },
      { key: 'agent.listen', value: '127.0.0.1:81', origin: '--listen' },
      { key: 'storage.root', value: '/other', origin: '--file_backup_storage_root' },
    )
    expect(told).toMatchObject({
      'agent.restoreFromBackup': 'false (--restore_from_backup)',
      'agent.listen': '127.0.0.1:81 (--listen)',
      'storage.root': '/other (--file_backup_storage_root)',
      'storage.kind': 'file (tk.yaml:1)',
    })
  })

  test('the whole of a list', () => {
    const yaml = `${YAML}temporal: { encryptionKeyFiles: [/etc/new.key, /etc/old.key] }`
    const told = explainConfig(readConfigSource(yaml, 'tk.yaml'))
    const key = 'temporal.encryptionKeyFiles'
    expect(told).toContainEqual({ key, value: '/etc/new.key, /etc/old.key', origin: 'tk.yaml:14' })
  })

  test('nothing of a configuration that is not valid', () => {
    expect(() => explainConfig(readConfigSource(`${YAML}password: hunter2`, 'tk.yaml'))).toThrow(
      expect.objectContaining({ type: 'InvalidConfig' }),
    )
  })
})

describe('overrides', () => {
  test('take numbers and switches as text, make missing sections, and the last one wins', () => {
    const config = resolveConfig(
      source(
        { key: 'backup.concurrency', value: '4', origin: '--concurrency' },
        { key: 'restore.concurrency', value: 2, origin: '--restore_concurrency' },
        { key: 'restore.concurrency', value: 'cores', origin: '--restore-concurrency' },
        { key: 'agent.restoreFromBackup', value: 'false', origin: '--restore_from_backup' },
      ),
    )
    expect(config).toMatchObject({
      backup: { concurrency: 4, level: 1 },
      restore: { concurrency: 'cores' },
      agent: { restoreFromBackup: false, listen: { host: '0.0.0.0', port: 80 } },
    })
  })

  test('name a tablet by its alias, short or whole, whichever the file has', () => {
    for (const alias of ['zone1-101', 'zone1-0000000101']) {
      const override = { key: `shards.commerce/0.${alias}.type`, value: 'rdonly', origin: '--init_tablet_type' }
      expect(settings(override)).toMatchObject({
        'shards.commerce/0.zone1-0000000101.type': 'rdonly (--init_tablet_type)',
        'shards.commerce/0.zone1-0000000101.host': 'db2 (tk.yaml:10)',
      })
    }
  })

  test('alone are a configuration, when they say enough', () => {
    const flags = applyOverrides(readConfigSource('', 'flags'), [
      { key: 'storage.kind', value: 'file', origin: '--backup_storage_implementation' },
      { key: 'storage.root', value: '/mnt', origin: '--file_backup_storage_root' },
    ])
    expect(resolveConfig(flags).storage).toEqual({ kind: 'file', root: '/mnt' })
  })

  test('that are wrong are blamed on the flag', () => {
    const wrong = source(
      { key: 'backup.concurrency', value: '100', origin: '--concurrency' },
      { key: 'shards.commerce/0.zone1-102.type', value: 'replica', origin: '--init_tablet_type' },
    )
    expect(() => resolveConfig(wrong)).toThrow(
      expect.objectContaining({
        type: 'InvalidConfig',
        message: [
          '--concurrency backup.concurrency: 100 is not a number of files at once; write cores, or 1 to 64',
          '--init_tablet_type shards.commerce/0.zone1-102.host: is missing: it is a host; write its name or address alone, the port as port: 3306',
        ].join('\n'),
      }),
    )
  })
})
