import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MysqlConnection } from '../../mysql/admin/admin.ts'
import { proveCleanShutdown } from '../../mysql/process/clean-shutdown.ts'
import { Mysqld } from '../../mysql/process/process.ts'
import { readReplication } from '../../mysql/replication/replication.ts'
import { readGlobals } from '../../mysql/settings/global-variables.ts'
import { readServerLayout, type ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { parsePersisted, persistedValue } from '../../mysql/settings/persisted-variables.ts'
import { applySettings, captureSettings } from '../../mysql/settings/settings.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { stopCleanly } from '../../tablets/standalone/clean-stop.ts'
import { asAgent, type TemporaryShard, temporaryShard } from '../mysql/a-shard.ts'
import { START } from '../mysql/real-tablet.ts'

const { signal } = new AbortController()

describe('a replica that a service starts, with arguments of its own,', () => {
  let sample: TemporaryShard
  let replica: SampleTablet
  let layout: ServerLayout
  let served: Mysqld

  beforeAll(async () => {
    sample = await temporaryShard()
    replica = sample.replica
    const { mysqld, defaultsFile, socket } = replica
    layout = await readServerLayout(mysqld, defaultsFile)
    const start = `setsid '${mysqld}' --defaults-file='${defaultsFile}' > /dev/null 2>&1 &`
    const stop = `kill -TERM $(cat '${layout.datadir}/../run/mysqld.pid'); while test -S '${socket}'; do sleep 0.1; done`
    served = new Mysqld({ mysqld, defaultsFile, layout, service: { kind: 'commands', start, stop } })
  })
  afterAll(() => sample[Symbol.asyncDispose]())

  const guardOnDisk = async (): Promise<(string | undefined)[]> => {
    const path = `${layout.datadir}/mysqld-auto.cnf`
    const persisted = parsePersisted(await readFile(path, 'utf8'), path)
    return ['super_read_only', 'skip_replica_start', 'max_connect_errors'].map((name) =>
      persistedValue(persisted, name),
    )
  }

  test.each(['kill', 'stop'] as const)(
    'comes up read-only and not replicating after it has ended by a %s before it was told to, and forgets that',
    async (end) => {
      await replica.query('SET PERSIST_ONLY max_connect_errors = 4711')
      const before = await asAgent(replica)
      const captured = await captureSettings(before)
      await before.close()
      await replica[end]()
      const started: unknown[] = []
      const connect = async (): Promise<MysqlConnection> => {
        const connection = await asAgent(replica)
        started.push([
          (await readGlobals(connection, ['super_read_only'])).get('super_read_only'),
          (await readReplication(connection))?.ioRunning,
        ])
        return connection
      }
      const { lsn } = await stopCleanly(served, layout, connect, signal)
      expect(await proveCleanShutdown(layout)).toEqual({ clean: true, lsn })
      expect(started).toEqual(end === 'kill' ? [['ON', 'No']] : [])
      expect(await guardOnDisk()).toEqual(['ON', 'ON', '4711'])

      await served.start(START)
      await using after = await asAgent(replica)
      expect(await readReplication(after)).toMatchObject({ ioRunning: 'No', sqlRunning: 'No' })
      expect(await applySettings(after, captured)).toEqual([])
      expect(await guardOnDisk()).toEqual([undefined, undefined, '4711'])
      await replica.query('START REPLICA')
    },
  )
})
