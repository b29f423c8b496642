import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { isError } from '../../model/errors.ts'
import { MINIMAL, parse, tablet } from './minimal-config.ts'

/** The error that a text is refused with. */
function refusal(yaml: string): { message: string; hint: string | undefined } {
  try {
    parse(yaml)
  } catch (error) {
    if (isError(error, 'InvalidConfig')) return error
    throw error
  }
  throw new Error(`accepted: ${yaml}`)
}

describe('a mistake is told with its line, key, value and what is allowed', () => {
  test.each([
    ['backup: { maxLag: 10 sec }', '"10 sec" is not a duration; write 30s, 15m, 2d', 'backup.maxLag'],
    ['backup: { maxLag: 10 }', '10 is not a duration', 'backup.maxLag'],
    ['backup: { maxLag: }', 'is empty: it is a duration', 'backup.maxLag'],
    ['backup: { catchUpTimeout: 30d }', '"30d" is not a duration of at most 24 days', 'backup.catchUpTimeout'],
    [
      'backup: { concurrency: 65 }',
      '65 is not a number of files at once; write cores, or 1 to 64',
      'backup.concurrency',
    ],
    ['backup: { concurrency: many }', '"many" is not', 'backup.concurrency'],
    ['backup: { concurrency: "4" }', '"4" is not', 'backup.concurrency'],
    ['backup: { level: 0 }', '0 is not a level of zstd; write 1 (fast) to 19 (small)', 'backup.level'],
    ['backup: { level: 1.5 }', '1.5 is not', 'backup.level'],
    ['backup: { level: .nan }', '.nan is not', 'backup.level'],
    [
      'backup: { maxRate: 200MiB }',
      '"200MiB" is not a rate of 1MiB/s or more; write 200MiB/s, or none',
      'backup.maxRate',
    ],
    ['backup: { maxRate: 1023KiB/s }', '"1023KiB/s" is not', 'backup.maxRate'],
    ['backup: { maxRate: 100 }', '100 is not', 'backup.maxRate'],
    ['backup: { maxRate: }', 'is empty: it is a rate', 'backup.maxRate'],
    ['backup: { minServing: -1 }', '-1 is not', 'backup.minServing'],
    ['backup: { snapshot: clone }', '"clone" is not one of auto, reflink, none', 'backup.snapshot'],
    ['backup: { online: true }', 'is not a known key; known here: concurrency, snapshot', 'backup.online'],
    ['backup: 5', '5 is not a map of keys', 'backup'],
    ['backup: [a]', 'a list is not a map of keys', 'backup'],
    ['restore: { concurrency: [1] }', 'a list is not', 'restore.concurrency'],
    ['agent: { listen: 7480 }', '7480 is not an address to listen on; write 127.0.0.1:7480', 'agent.listen'],
    ['agent: { listen: "host:0" }', '"host:0" is not', 'agent.listen'],
    ['agent: { listen: "host:65536" }', '"host:65536" is not', 'agent.listen'],
    ['agent: { listen: "::1:80" }', '"::1:80" is not', 'agent.listen'],
    ['agent: { restoreFromBackup: yes }', '"yes" is not a switch; write true or false', 'agent.restoreFromBackup'],
    ['agent: { deadManTimeout: 0s }', '"0s" is not long enough', 'agent.deadManTimeout'],
    ['agent: { replaceData: sometimes }', '"sometimes" is not one of redundant, never, always', 'agent.replaceData'],
    [
      'surprise: 1',
      'is not a known key; known here: storage, mysql, shards, backup, restore, agent, temporal',
      'surprise',
    ],
  ])('%s', (line, message, key) => {
    expect(refusal(MINIMAL + line).message).toContain(`tk.yaml:8 ${key}: ${message}`)
  })

  test.each([
    ['/mnt/backups', 'mnt/backups', '1 storage.root: "mnt/backups" is not an absolute path'],
    ['kind: file', 'kind: nfs', '1 storage.kind: "nfs" is not a kind of storage; write one of file, s3, ceph'],
    ['kind: file, ', '', '1 storage.kind: is missing'],
    ['root: /mnt/backups', '', '1 storage.root: is missing: it is an absolute path'],
    ['{ kind: file, root: /mnt/backups }', 'file:/mnt', '1 storage: "file:/mnt" is not a map of keys'],
    ['/etc/mysql/my.cnf', '/etc\0', '3 mysql.defaultsFile: "/etc\\u0000" is not an absolute path'],
    ['/etc/mysql/my.cnf', '~/my.cnf', '3 mysql.defaultsFile: "~/my.cnf" is not an absolute path'],
    ['user: repl', 'user: 0123', '4 mysql.replication.user: 0123 is a number to YAML; write "0123"'],
    ['user: repl', 'user: 1e-20', '4 mysql.replication.user: 1e-20 is a number to YAML; write "1e-20"'],
    ['user: repl', 'user: true', '4 mysql.replication.user: true is a boolean to YAML; write "true"'],
    ['user: repl, ', '', '4 mysql.replication.user: is missing, here or for each tablet'],
    ['commerce/0', 'commerce', '6 shards.commerce: is not a keyspace and shard; write commerce/0 or commerce/-80'],
    ['commerce/0', '-80', '6 shards.-80: is not a keyspace and shard'],
    ['zone1-100', '100', '7 shards.commerce/0.100: is not a tablet alias; write zone1-101'],
    ['{ host: db1 }', 'db1', '7 shards.commerce/0.zone1-100: "db1" is not a map of keys'],
    ['{ host: db1 }', '', '7 shards.commerce/0.zone1-100.host: is missing'],
    ['host: db1', 'host: 10.1', '7 shards.commerce/0.zone1-100.host: 10.1 is a number to YAML; write "10.1"'],
    [
      'host: db1',
      'host: db1:3306',
      '7 shards.commerce/0.zone1-100.host: "db1:3306" is not a host; write its name or address alone',
    ],
    ['host: db1', 'host: db1, port: 0', '7 shards.commerce/0.zone1-100.port: 0 is not a port; write 1 to 65535'],
    ['host: db1', 'host: db1, port: "3306"', '7 shards.commerce/0.zone1-100.port: "3306" is not a port'],
    [
      'host: db1',
      'host: db1, type: primary',
      '7 shards.commerce/0.zone1-100.type: "primary" is not one of replica, rdonly',
    ],
    [
      'host: db1',
      'host: db1, mysql: { mysqld: bin/x }',
      '7 shards.commerce/0.zone1-100.mysql.mysqld: "bin/x" is not a program',
    ],
    [
      'host: db1',
      'host: db1, mysql: { service: --now }',
      '7 shards.commerce/0.zone1-100.mysql.service: "--now" is not how mysqld is started',
    ],
    [
      'host: db1',
      'host: db1, mysql: { service: { start: a } }',
      '7 shards.commerce/0.zone1-100.mysql.service: a map is not how mysqld is started',
    ],
  ])('%j written as %j', (right, wrong, message) => {
    expect(refusal(MINIMAL.replace(right, wrong)).message.split('\n')).toContainEqual(
      expect.stringContaining(`tk.yaml:${message}`),
    )
  })

  test('storage of a kind that there is not names those that there are', () => {
    const { message } = refusal(MINIMAL.replace('kind: file, root: /mnt/backups', 'kind: azure, bucket: b'))
    expect(message).toBe(
      'tk.yaml:1 storage.kind: "azure" is not a kind of storage; write one of file, s3, ceph, gcs, module',
    )
  })

  test.each([
    ['kind: s3', 'bucket: is missing: it is a bucket; write its name alone'],
    ['kind: s3, bucket: s3://backups/x', 'bucket: "s3://backups/x" is not a bucket; write its name alone: backups'],
    ['kind: s3, bucket: b-1, root: /prod', 'root: "/prod" is not a path in the bucket'],
    ['kind: s3, bucket: b-1, root: a/../b', 'root: "a/../b" is not a path in the bucket'],
    ['kind: s3, bucket: b-1, endpoint: s3.example.com', 'endpoint: is not an address without anything after it'],
    ['kind: s3, bucket: b-1, partSize: 1MiB', 'partSize: "1MiB" is not a size from 5MiB to 512MiB'],
    ['kind: s3, bucket: b-1, maxParts: 10001', 'maxParts: 10001 is not a number of parts of one object'],
    ['kind: s3, bucket: b-1, encryption: aes', 'encryption: "aes" is not how the store encrypts; write s3'],
    ['kind: s3, bucket: b-1, encryption: { kms: k, x: y }', 'encryption: a map is not how the store encrypts'],
    ['kind: s3, bucket: b-1, encryption: { customerKeyFile: key }', 'encryption: a map is not how the store encrypts'],
    ['kind: s3, bucket: b-1, tags: { team: 1 }', 'tags: a map is not at most 10 tags'],
    ['kind: s3, bucket: b-1, stallTimeout: 10ms', 'stallTimeout: "10ms" is not long enough; write 1s or more'],
    [
      'kind: s3, bucket: b-1, bucketPerKeyspace: true',
      'bucketPerKeyspace: is not a known key; known here: kind, bucket',
    ],
    ['kind: s3, bucket: b-1, secretAccessKey: hunter2', 'secretAccessKey: is not a known key'],
    ['kind: ceph, bucket: b-1', 'endpoint: is missing: it is an address'],
    ['kind: ceph, endpoint: "http://rgw:7480"', 'bucket: is missing: it is the bucket, or bucketPerKeyspace: true'],
  ])('storage of { %s }', (storage, message) => {
    const said = refusal(MINIMAL.replace('kind: file, root: /mnt/backups', storage)).message
    expect(said).toContain(`tk.yaml:1 storage.${message}`)
    expect(said.split('\n')).toHaveLength(1)
  })

  test('credentials in an address of storage are not shown', () => {
    const storage = 'kind: s3, bucket: b-1, endpoint: "https://key:hunter2@s3.example.com"'
    const { message } = refusal(MINIMAL.replace('kind: file, root: /mnt/backups', storage))
    expect(message).toContain('storage.endpoint: is not an address without anything after it')
    expect(message).not.toContain('hunter2')
  })

  test('all at once, a line each, in the order of the file', () => {
    const { message } = refusal(
      `${MINIMAL.replace('/mnt', 'mnt')}backup: { level: 99 }\n\nagent: { listen: x }\nbackups: 1\n`,
    )
    expect(message.split('\n').map((line) => line.split(' ')[0])).toEqual([
      'tk.yaml:1',
      'tk.yaml:8',
      'tk.yaml:10',
      'tk.yaml:11',
    ])
  })

  test('what is wrong for all tablets is told once', () => {
    const two = `${MINIMAL}    zone1-101: { host: db2 }\n`
    expect(refusal(two.replace('user: repl', 'user: 5')).message.split('\n')).toHaveLength(1)
    expect(refusal(two.replace('defaultsFile', 'defaultFile')).message.split('\n')).toEqual([
      expect.stringMatching(/^tk.yaml:2 mysql.defaultsFile: is missing/),
      expect.stringMatching(/^tk.yaml:3 mysql.defaultFile: is not a known key/),
    ])
  })

  test('the hint names the key that was meant', () => {
    expect(refusal(`${MINIMAL}backup: { max_lag: 10s }`).hint).toBe(
      'Did you mean backup.maxLag instead of backup.max_lag?',
    )
    expect(refusal(`${MINIMAL}agents: { }`).hint).toBe('Did you mean agent instead of agents?')
    expect(refusal(MINIMAL.replace('defaultsFile', 'defaults_file')).hint).toContain('mysql.defaultsFile')
    expect(refusal(`${MINIMAL}xyzzy: 1`).hint).toContain('tabletkeeper.example.yaml')
  })

  test('one tablet under two spellings, in two shards, or two at one address', () => {
    const again = `${MINIMAL}    zone1-0000000100: { host: db9 }\n`
    expect(refusal(again).message).toBe(
      'tk.yaml:8 shards.commerce/0.zone1-0000000100: is the same tablet as shards.commerce/0.zone1-100',
    )
    expect(refusal(`${MINIMAL}  commerce/1: { zone1-100: { host: db9 } }`).message).toContain('is the same tablet as')
    expect(refusal(`${MINIMAL}    zone1-101: { host: db1 }\n`).message).toContain('has the same host and port as')
  })

  test('a secret at the wrong place is not repeated', () => {
    const { message, hint } = refusal(
      MINIMAL.replace('passwordFile: /etc/tabletkeeper/repl', 'password: hunter2, passwordFile: hunter2'),
    )
    expect(message).toContain('mysql.replication.password: is not a known key')
    expect(message).toContain(
      'mysql.replication.passwordFile: is not the absolute path of a file that holds the password',
    )
    expect(message + hint).not.toContain('hunter2')
    expect(hint).toContain('passwordFile')
    expect(refusal('password: "hunter2').message).not.toContain('hunter2')
    for (const keys of ['hunter2', '[hunter2]', '[/etc/key, 7]']) {
      const refused = refusal(`${MINIMAL}temporal: { encryptionKeyFiles: ${keys} }`)
      expect(refused.message).toMatch(/^tk.yaml:8 temporal.encryptionKeyFiles: is not a list of files/)
      expect(refused.message).not.toContain('hunter2')
    }
  })
})

describe('YAML itself', () => {
  test.each([
    [/^tk.yaml:1 /, 'a: ['],
    [/^tk.yaml:4 .*unique/, '\n\na: 1\na: 2'],
    [/^tk.yaml:1 .*!vault/, 'a: !vault x'],
    [/nobody/, 'a: *nobody'],
    [/documents/, 'a: 1\n---\nb: 2'],
    [/^tk.yaml:1 /, '\t- a'],
    [/^tk.yaml:1 the configuration: a list is not a map of keys/, '- 1'],
    [/the configuration: "just text" is not a map of keys/, 'just text'],
    [/^tk.yaml:1 storage: is missing/, ''],
    [/backup.maxLag: a map is not a duration/, 'backup: &a { maxLag: *a }'],
    [/^tk.yaml/, '{'.repeat(50_000)],
  ])('is InvalidConfig: %s', (message, yaml) => {
    expect(refusal(yaml).message).toMatch(message)
  })

  test('anchors work, and their mistakes are told where they are written', () => {
    const yaml = `${MINIMAL.replace('{ host: db1 }', '{ host: db1, mysql: &own { mysqld: /opt/mysqld } }')}    zone1-101: { host: db2, mysql: *own }\n`
    expect(tablet(yaml, 'zone1-101').mysql.mysqld).toBe('/opt/mysqld')
    expect(refusal(yaml.replace('/opt/', 'opt/')).message).toContain(
      'tk.yaml:7 shards.commerce/0.zone1-101.mysql.mysqld',
    )
  })
})

describe('whatever is given, the answer is a configuration or InvalidConfig', () => {
  const keys = [
    'storage',
    'mysql',
    'shards',
    'backup',
    'restore',
    'agent',
    'commerce/0',
    'zone1-100',
    'host',
    'service',
    '__proto__',
  ]
  const key = fc.oneof(fc.constantFrom(...keys, 'constructor', 'maxLag', 'kind', 'replication'), fc.string())
  const { tree } = fc.letrec<{ tree: unknown; map: unknown; leaf: unknown }>((tie) => ({
    tree: fc.oneof({ maxDepth: 5 }, tie('leaf'), tie('map'), fc.array(tie('tree'), { maxLength: 2 })),
    map: fc.array(fc.tuple(key, tie('tree')), { maxLength: 5 }).map((entries) => Object.fromEntries(entries)),
    leaf: fc.oneof(
      fc.constantFrom('file', 'zone1-100', '30s', '/x', null, true),
      fc.string(),
      fc.double(),
      fc.integer(),
    ),
  }))
  const survives = (yaml: string) => {
    try {
      expect(parse(yaml)).toHaveProperty('storage')
    } catch (error) {
      expect(isError(error, 'InvalidConfig')).toBe(true)
    }
  }

  test('texts', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), survives), { numRuns: 300 })
  })

  test('YAML of the right keys and wrong values', () => {
    const yaml = tree.map((value) => stringify(value))
    fc.assert(fc.property(yaml, survives), { numRuns: 300 })
  })

  test('a good file with a piece cut out or put in', () => {
    const piece = fc.oneof(
      fc.constantFrom('', ':', '\n', '  ', '{', '}', '[', '&a ', '*a', '!', '"', '- ', '#', '%', '\0', '<<: '),
      fc.string(),
    )
    const place = fc.nat({ max: MINIMAL.length })
    fc.assert(
      fc.property(place, fc.nat({ max: 12 }), piece, (at, cut, put) => {
        survives(MINIMAL.slice(0, at) + put + MINIMAL.slice(at + cut))
      }),
      { numRuns: 500 },
    )
  })
})
