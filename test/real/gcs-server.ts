import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import type { GcsConfig } from '../../model/config-storage.ts'
import { type FakeGcs, startFakeGcs } from '../../sandbox/fake-gcs.ts'
import { GcsStore } from '../../storage/gcs/gcs.ts'

export const BUCKET = 'backups'

/** One fake-gcs-server for the tests of a file. */
export function useFakeGcs(): () => FakeGcs {
  let running: FakeGcs | undefined
  beforeAll(async () => {
    running = await startFakeGcs()
    await running.makeBucket(BUCKET)
  })
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]()
  })
  return () => {
    if (running === undefined) throw new Error('fake-gcs-server has not been started')
    return running
  }
}

/** A configuration of storage, as the file would have it. */
export function gcsConfig(endpoint: string, settings = ''): GcsConfig {
  const storage = `{ kind: gcs, bucket: ${BUCKET}, apiEndpoint: "${endpoint}", ${settings} }`
  const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
  const config = parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage
  if (config.kind !== 'gcs') throw new Error(`${config.kind} instead of gcs`)
  return config
}

/** A root of its own, with a store for each process that looks at it. */
export function newRoot(endpoint: string, settings = ''): { readonly root: string; open(): GcsStore } {
  const root = randomBytes(6).toString('hex')
  const config = gcsConfig(endpoint, `root: "${root}", ${settings}`)
  return {
    root,
    open: () => {
      const store = new GcsStore(config, { firstPause: 20 })
      onTestFinished(() => store.close())
      return store
    },
  }
}
