import { isError, TabletkeeperError } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import { positionOf, storedPositionOf } from '../model/position.ts'
import type { BackupForce } from '../model/runs.ts'
import type { MysqlConnection } from '../mysql/admin/admin.ts'
import { readServerState } from '../mysql/admin/server-state.ts'
import { reduceDirtyPages } from '../mysql/process/quick-stop.ts'
import { capturedSettingsSchema, captureSettings, setSuperReadOnly } from '../mysql/settings/settings.ts'
import { isBroken } from '../tablets/broken-replication.ts'
import type { RunningTablet, TabletDriver, TabletState } from '../tablets/driver.ts'
import { firstStartFile } from '../tablets/first-start.ts'
import type { HoldingStep } from '../tablets/leased-tablet.ts'
import { settleMysqld } from '../tablets/settle-mysqld.ts'
import type { Attempt } from './activity.ts'
import { assertStillSource } from './backup-source.ts'
import { assertCommitsStillGoOn } from './commits-go-on.ts'
import type { TabletActivities } from './contract.ts'
import { assertSpared } from './min-serving.ts'
import { assertReplaceable } from './preflight-restore.ts'
import { primaryAwaited } from './primary-awaited.ts'
import { assertStillRedundant } from './still-redundant.ts'
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
      if (state.mysqld === 'up') await assertStillSource(context, step.lease, state, connection)
      attempt.sign({ waitingFor: 'replication to stop' })
      await driver.stopReplication(step.signal)
      // So did that, for minutes perhaps.
      const stopped = await driver.describe()
      if (stopped.mysqld === 'up') await assertStillSource(context, step.lease, stopped, connection)
      if (stopped.mysqld !== 'up' || !stopped.server.superReadOnly) await setSuperReadOnly(connection, true)
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
      const position = storedPositionOf(second.gtidExecuted)
      await step.update({
        reading: {
          position,
          purgedPosition: storedPositionOf(second.gtidPurged),
          serverUuid: second.serverUuid,
          versionString: second.versionString,
          takenAt: new Date().toISOString(),
        },
      })
      return { position }
    }),

    stopMysqld: underLease(context, 'stopMysqld', async (step, { force = [] }, attempt) => {
      const state = await settledState(driver, step.signal)
      if (state.mysqld === 'empty') return { lsn: null }
      if (state.mysqld === 'up') {
        await using connection = await driver.connect()
        // The configuration and the preflight may be older than a failover; what is waited for gives time for another one.
        await assertMayStop(context, step, connection, force)
        if (step.lease.captured === null) await takeRunning(context, step, connection, attempt)
        attempt.sign({ waitingFor: 'dirty pages to be written' })
        await reduceDirtyPages(connection, step.signal)
        attempt.sign({ waitingFor: 'files at rest to be cloned' })
        await clones.cloneAhead(step.lease.token, step.signal)
        const { server } = await assertMayStop(context, step, connection, force)
        if (step.lease.kind === 'restore') await step.update({ replaced: String(server.gtidExecuted) })
      } else if (step.lease.kind === 'restore') {
        if (!step.lease.mysqldRan) return { lsn: null }
        // Nobody has seen what its data have executed, so that nobody could tell at the end whether the primary has all of it.
        if (step.lease.replaced === undefined && config.agent.replaceData === 'redundant') throw endedByItself(false)
      }
      attempt.sign({ waitingFor: 'mysqld to stop cleanly' })
      const { lsn } = await driver.stopMysqld(step.signal)
      await step.update({ stoppedAt: String(lsn) })
      return { lsn: String(lsn) }
    }),

    startMysqld: underLease(context, 'startMysqld', async (step, { on }, attempt) => {
      attempt.sign({ waitingFor: 'mysqld to start' })
      if (on === 'its data') {
        await driver.startMysqld({ signal: step.signal })
        return await assertCameBack(step.lease, driver)
      }
      try {
        await using initFile = await firstStartFile(driver, 'as it is')
        await driver.startMysqld({ signal: step.signal, initFile: initFile.path })
      } catch (error) {
        if (!isError(error, 'Refused')) throw error
        tablet.log.warn({ event: 'account' }, `the restored account gets the login of this host: ${error.message}`)
        await driver.endMysqld(step.signal)
        await using initFile = await firstStartFile(driver, 'changed to our login')
        await driver.startMysqld({ signal: step.signal, initFile: initFile.path })
      }
    }),

    rejoin: underLease(context, 'rejoin', async (step, { after }, attempt) => {
      const { returnTo, captured } = step.lease
      if (returnTo === null)
        throw new TabletkeeperError('FenceBroken', `the data of ${driver.alias} are not proven yet`)
      if (after === 'backup' && (await settledState(driver, step.signal)).mysqld === 'down') {
        // What was copied is proven by now, and no other step starts what ended while an earlier attempt caught up.
        attempt.sign({ waitingFor: 'mysqld to start' })
        await driver.startMysqld({ signal: step.signal })
      }
      if (after === 'restore') {
        await primaryAwaited(context, step, attempt)
        await driver.configureReplication(step.lease.overridden, step.signal)
      }
      if (captured !== null) {
        const lost = await driver.applySettings(capturedSettingsSchema.parse(captured))
        if (lost.length > 0)
          tablet.log.warn({ event: 'settings', lost }, `not given back after the restart: ${lost.join('; ')}`)
      }
      const type = driver.serviceType(await driver.describe())
      if (type === 'PRIMARY' || returnTo === 'PRIMARY') {
        // What it was taken as, it may be no longer; `applySettings` saw to it that there are not two.
        if (type !== returnTo) tablet.log.warn({ event: 'other type' }, `${driver.alias} goes on as ${type}`)
        await tablet.setType(step, type)
        return { type, lagSeconds: null, caughtUp: type === 'PRIMARY' }
      }
      await primaryAwaited(context, step, attempt)
      try {
        attempt.sign({ waitingFor: 'replication to run' })
        await driver.startReplication(step.signal)
        const { caughtUp, lagSeconds } = await driver.catchUp({
          maxLag: config.backup.maxLag,
          timeout: config.backup.catchUpTimeout,
          signal: step.signal,
          onRound: () => attempt.sign({ waitingFor: 'the tablet to catch up with its primary' }),
        })
        if (after === 'restore') await assertStillRedundant(context, step, attempt)
        await tablet.setType(step, returnTo)
        return { type: returnTo, lagSeconds: Math.round(lagSeconds * 10) / 10, caughtUp }
      } catch (error) {
        // What was copied is good all the same; restored data that cannot replicate are not.
        if (after === 'restore' || !isBroken(error)) throw error
        tablet.log.error({ event: 'broken replication', err: error }, `unserved: ${error.message}`)
        await tablet.setType(step, returnTo)
        return { type: returnTo, lagSeconds: null, caughtUp: false, broken: error.message }
      }
    }),
  }
}

/**
 * What a backup holds is what a server with its data says of itself, until it replicates or is written to again: its position is proven once
 * more, where it may have been lost by a crash.
 * @throws FenceBroken
 */
async function assertCameBack({ reading }: Lease, driver: TabletDriver): Promise<void> {
  const state = await driver.describe()
  if (reading === null || state.mysqld !== 'up' || !state.server.superReadOnly) return
  const { ioRunning = 'No', sqlRunning = 'No' } = state.replication ?? {}
  if (ioRunning !== 'No' || sqlRunning !== 'No') return
  const position = positionOf(state.server.gtidExecuted)
  if (position === reading.position) return
  throw new TabletkeeperError(
    'FenceBroken',
    `${driver.alias} came back at ${position}, and not at ${reading.position} where it was stopped`,
    { hint: 'Nothing is published. Find out who wrote to it, or whether it lost transactions in a crash.' },
  )
}

/**
 * The tablet is still one that this run may stop.
 * @returns what it is like
 * @throws Refused when it has become the primary, has what the primary lacks, or cannot be spared any more
 */
async function assertMayStop(
  context: TabletContext,
  { lease, signal }: HoldingStep,
  connection: MysqlConnection,
  force: readonly BackupForce[],
): Promise<RunningTablet> {
  // First, since it may take its time.
  if (lease.kind === 'backup' && lease.returnTo !== 'PRIMARY') await assertSpared(context, force, signal)
  const state = await context.tablet.driver.describe()
  if (state.mysqld !== 'up') throw endedByItself(true)
  if (lease.kind === 'backup') {
    await assertStillSource(context, lease, state, connection)
    if (lease.returnTo !== 'PRIMARY') await assertCommitsStillGoOn(context, connection)
  } else await assertReplaceable(context, lease.kind, state)
  return state
}

function endedByItself(retryable: boolean): TabletkeeperError {
  return new TabletkeeperError('MysqldFailed', 'mysqld ended before it was told to stop', {
    retryable,
    hint: 'Its error log tells why. Nothing was copied or replaced; start the run again when mysqld stays up.',
  })
}

/** Notes what must be given back of a mysqld that was down when its tablet was taken and runs now, and has its clients leave. */
async function takeRunning(
  { tablet, config }: TabletContext,
  step: HoldingStep,
  connection: MysqlConnection,
  attempt: Attempt,
): Promise<void> {
  const captured = await captureSettings(connection)
  const { serverUuid } = await readServerState(connection)
  await step.update({ captured, mysqldRan: true, serverUuid })
  attempt.sign({ waitingFor: 'client sessions to leave' })
  await tablet.driver.drain(config.backup.drainTimeout, step.signal)
}

/** What the tablet is like, also where an earlier attempt died while mysqld was stopping: it answers nobody then, for minutes perhaps. */
async function settledState(driver: TabletDriver, signal: AbortSignal): Promise<TabletState> {
  try {
    return await driver.describe()
  } catch (error) {
    if (!isError(error, 'MysqldFailed')) throw error
    await settleMysqld(driver, signal)
    return await driver.describe()
  }
}
