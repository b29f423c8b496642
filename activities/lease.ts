import { TabletkeeperError } from '../model/errors.ts'
import { captureSettings } from '../mysql/settings/settings.ts'
import type { RunningTablet } from '../tablets/driver.ts'
import { lastReturn } from '../tablets/return-record.ts'
import { returnToService } from '../tablets/return-to-service.ts'
import { assertBackupSource } from './backup-source.ts'
import type { TabletActivities, TakeInput } from './contract.ts'
import { allowsPrimary } from './preflight-backup.ts'
import { assertReplaceable } from './preflight-restore.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'

/** Taking a tablet, giving it up, and the way back. */
export function leaseActivities(
  context: TabletContext,
): Pick<TabletActivities, 'takeTablet' | 'releaseTablet' | 'returnToService'> {
  const { tablet, config } = context
  const { driver } = tablet
  return {
    takeTablet: onTablet(context, async (attempt, input: TakeInput) => {
      const { kind } = input
      const state = await driver.describe()
      if (kind === 'bootstrap' && state.mysqld !== 'empty') {
        throw new TabletkeeperError('Refused', `${driver.alias} has data: it is not bootstrapped`, {
          hint: 'Nothing was changed. To replace its data: tabletkeeper restore.',
        })
      }
      if (kind === 'backup' && state.mysqld !== 'up') {
        // Taken so, it would be given back with what the steps change of a mysqld that is started meanwhile.
        throw new TabletkeeperError('MysqldFailed', `${driver.alias} is not taken: its mysqld is ${state.mysqld}`, {
          hint: 'Nothing was changed. Start mysqld, and find out why it ended: its error log tells.',
        })
      }
      // Who schedules steps need not have asked for the preflight: what may be replaced is decided where it is taken.
      if (kind === 'restore') await assertReplaceable(context, kind, state)
      const up = state.mysqld === 'up'
      const captured = up ? await readBefore(context, input, state) : null
      const { token } = await tablet.take({
        namespace: attempt.namespace,
        workflowId: attempt.workflowId,
        runId: attempt.runId,
        kind,
        returnTo: kind === 'bootstrap' ? null : driver.serviceType(state),
        mysqldRan: up,
        serverUuid: up ? state.server.serverUuid : null,
        captured,
      })
      return { token }
    }),

    releaseTablet: onTablet(context, async (attempt, { token }) => {
      await tablet.release({ runId: attempt.runId, token })
    }),

    returnToService: onTablet(context, async (attempt, { token }) => {
      const mine = (lease: { readonly token: string; readonly runId: string }): boolean =>
        token === undefined ? lease.runId === attempt.runId : lease.token === token
      const outcome = await returnToService(tablet, {
        by: 'workflow',
        meant: mine,
        limits: config.backup,
        // Only the agent's own end aborts it: the run's scope cannot be cancelled.
        signal: attempt.signal,
        onWait: (waitingFor) => attempt.sign({ waitingFor }),
      })
      if (outcome.outcome === 'returned') {
        const { details, unserved } = outcome
        return { by: 'workflow', details, ...(unserved === undefined ? {} : { unserved }) }
      }
      const last = await lastReturn(tablet.leasePath)
      return last !== undefined && last.token === token
        ? { by: last.by, details: last.details }
        : { by: 'nobody', details: [] }
    }),
  }
}

/** What must be given back; nothing is taken for a backup that became the primary since the preflight. */
async function readBefore(context: TabletContext, input: TakeInput, state: RunningTablet) {
  await using connection = await context.tablet.driver.connect()
  if (input.kind === 'backup') await assertBackupSource(context, state, connection, allowsPrimary(context, input))
  return await captureSettings(connection)
}
