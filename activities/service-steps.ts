import { TabletkeeperError } from '../model/errors.ts'
import { positionOf } from '../model/position.ts'
import { reduceDirtyPages } from '../mysql/quick-stop.ts'
import { readServerState } from '../mysql/server-state.ts'
import { capturedSettingsSchema, setSuperReadOnly } from '../mysql/settings.ts'
import { firstStartFile } from '../tablets/first-start.ts'
import type { TabletActivities } from './contract.ts'
import { assertReplica } from './preflight-backup.ts'
import { assertReplaceable } from './preflight-restore.ts'
import { type TabletContext, underLease } from './tablet-context.ts'

type Steps = 'takeOutOfService' | 'stopReplication' | 'stopMysqld' | 'startMysqld' | 'rejoin'

/** The steps around the copy: out of service, stopped, started, back. */
export function tabletActivities(context: TabletContext): Pick<TabletActivities, Steps> {
  const { tablet, clones, config } = context
  const { driver } = tablet
  return {
    takeOutOfService: underLease(context, 'takeOutOfService', async (step, { token, type, clone }, attempt) => {
      const { namespace, workflowId, runId } = attempt
      await tablet.setType(step, type)
      if (!step.lease.mysqldRan) return { sessionsEnded: 0 }
      attempt.sign({ waitingFor: 'client sessions to leave' })
      const owner = clone && { token, namespace, workflowId, runId, backup: clone }
      const preparing = Promise.resolve(owner && clones.prepare(owner, step.signal))
      const draining = driver.drain(config.backup.drainTimeout, step.signal)
      await Promise.allSettled([preparing, draining])
      await preparing
      return { sessionsEnded: (await draining).killed }
    }),

    stopReplication: underLease(context, 'stopReplication', async (step, _input, attempt) => {
      await using connection = await driver.connect()
      // Draining took its time: what has become the primary meanwhile must not be made read-only.
      const state = await driver.describe()
      if (state.mysqld === 'up') await assertReplica(context, state, connection)
      attempt.sign({ waitingFor: 'replication to stop' })
      await driver.stopReplication(step.signal)
      await setSuperReadOnly(connection, true)
      const first = await readServerState(connection)
      const second = await readServerState(connection)
      if (!first.gtidExecuted.equals(second.gtidExecuted)) {
        throw new TabletkeeperError(
          'ReplicationFailed',
          `${driver.alias} still executes transactions although replication stopped`,
          {
            hint: 'Something writes to the replica with privileges that pass super_read_only.',
          },
        )
      }
      const position = positionOf(second.gtidExecuted)
      await step.update({
        reading: {
          position,
          purgedPosition: positionOf(second.gtidPurged),
          serverUuid: second.serverUuid,
          versionString: second.versionString,
          takenAt: new Date().toISOString(),
        },
      })
      return { position }
    }),

    stopMysqld: underLease(context, 'stopMysqld', async (step, _input, attempt) => {
      const state = await driver.describe()
      if (state.mysqld === 'empty') return { lsn: null }
      if (state.mysqld === 'up') {
        await using connection = await driver.connect()
        // The configuration and the preflight may be older than a failover.
        if (step.lease.kind === 'backup') await assertReplica(context, state, connection)
        else await assertReplaceable(context, 'restore', state)
        attempt.sign({ waitingFor: 'dirty pages to be written' })
        await reduceDirtyPages(connection, step.signal)
        await clones.flush(step.lease.token)
      } else if (step.lease.kind === 'restore' && !step.lease.mysqldRan) {
        return { lsn: null }
      }
      attempt.sign({ waitingFor: 'mysqld to stop cleanly' })
      const { lsn } = await driver.stopMysqld(step.signal)
      await step.update({ stoppedAt: String(lsn) })
      return { lsn: String(lsn) }
    }),

    startMysqld: underLease(context, 'startMysqld', async (step, { on }, attempt) => {
      attempt.sign({ waitingFor: 'mysqld to start' })
      if (on === 'its data') return await driver.startMysqld({ signal: step.signal })
      await using initFile = await firstStartFile(driver)
      await driver.startMysqld({ signal: step.signal, initFile: initFile.path })
    }),

    rejoin: underLease(context, 'rejoin', async (step, { after }, attempt) => {
      const { returnTo, captured } = step.lease
      if (returnTo === null)
        throw new TabletkeeperError('FenceBroken', `the data of ${driver.alias} are not proven yet`)
      if (after === 'restore') await driver.configureReplication(step.lease.overridden, step.signal)
      if (captured !== null) {
        const lost = await driver.applySettings(capturedSettingsSchema.parse(captured))
        if (lost.length > 0)
          tablet.log.warn({ event: 'settings', lost }, `not given back after the restart: ${lost.join('; ')}`)
      }
      if (driver.serviceType(await driver.describe()) === 'PRIMARY') {
        tablet.log.warn(
          { event: 'promoted' },
          `${driver.alias} became the primary while it was held, and goes on as it`,
        )
        await tablet.setType(step, 'PRIMARY')
        return { type: 'PRIMARY', lagSeconds: null, caughtUp: true }
      }
      attempt.sign({ waitingFor: 'replication to run' })
      await driver.startReplication(step.signal)
      const { caughtUp, lagSeconds } = await driver.catchUp({
        maxLag: config.backup.maxLag,
        timeout: config.backup.catchUpTimeout,
        signal: step.signal,
        onRound: () => attempt.sign({ waitingFor: 'the tablet to catch up with its primary' }),
      })
      await tablet.setType(step, returnTo)
      return { type: returnTo, lagSeconds: Math.round(lagSeconds * 10) / 10, caughtUp }
    }),
  }
}
