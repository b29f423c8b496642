import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { explainConfig } from '../../model/config-origins.ts'
import { readConfigSource } from '../../model/config-source.ts'

const MYSQL = 'mysql: { defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
const storageOf = (text: string) => parseConfig(`${MYSQL}\nstorage: ${text}`, 'tk.yaml').storage

const DEFAULTS = {
  pathStyle: false,
  partSize: 8 * 1024 * 1024,
  maxParts: 10_000,
  equalParts: false,
  conditionalWrites: true,
  checksums: true,
  signPayload: 'auto',
  connectTimeout: 10_000,
  stallTimeout: 60_000,
}

describe('storage of kind', () => {
  test('s3 needs a bucket only', () => {
    expect(storageOf('{ kind: s3, bucket: backups }')).toEqual({ kind: 's3', bucket: 'backups', ...DEFAULTS })
  })

  test('s3 says how the store encrypts, classes and tags', () => {
    const storage = storageOf(`
  kind: s3
  bucket: backups
  root: prod/mysql
  region: eu-central-1
  encryption: { kms: alias/backups }
  storageClass: STANDARD_IA
  tags: { team: databases }
  partSize: 64MiB
`)
    expect(storage).toMatchObject({
      root: 'prod/mysql',
      region: 'eu-central-1',
      encryption: { kind: 'kms', keyId: 'alias/backups' },
      storageClass: 'STANDARD_IA',
      tags: new Map([['team', 'databases']]),
      partSize: 64 * 1024 * 1024,
    })
    expect(storageOf('{ kind: s3, bucket: b-1, encryption: s3 }')).toMatchObject({ encryption: { kind: 's3' } })
    expect(storageOf('{ kind: s3, bucket: b-1, encryption: { customerKeyFile: /etc/key } }')).toMatchObject({
      encryption: { kind: 'customer', keyFile: '/etc/key' },
    })
  })

  test('ceph has path style, and one bucket or one for each keyspace', () => {
    const endpoint = 'http://rgw.example.com:7480'
    expect(storageOf(`{ kind: ceph, endpoint: "${endpoint}/", bucket: backups }`)).toEqual({
      ...DEFAULTS,
      kind: 'ceph',
      endpoint,
      bucket: 'backups',
      bucketPerKeyspace: false,
      pathStyle: true,
      region: 'us-east-1',
    })
    expect(storageOf(`{ kind: ceph, endpoint: "${endpoint}", bucketPerKeyspace: true }`)).toMatchObject({
      bucketPerKeyspace: true,
    })
  })

  test('s3 is told with the origin of each setting', () => {
    const yaml = `${MYSQL}\nstorage: { kind: s3, bucket: backups }`
    const told = explainConfig(readConfigSource(yaml, 'tk.yaml')).filter(({ key }) => key.startsWith('storage.'))
    expect(told).toContainEqual({ key: 'storage.bucket', value: 'backups', origin: 'tk.yaml:2' })
    expect(told).toContainEqual({ key: 'storage.partSize', value: '8MiB', origin: 'default' })
  })
})
