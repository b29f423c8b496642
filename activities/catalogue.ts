import type { Logger } from 'pino'
import { isError } from '../model/errors.ts'
import type { BootstrapInput, RestoreInput } from '../model/runs.ts'
import { programRelease } from '../mysql/mysqld-program.ts'
import { capabilitiesOf } from '../storage/capabilities.ts'
import { findBackup } from '../storage/find-backup.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { discardIncomplete } from '../storage/remove-backup.ts'
import { activity } from './activity.ts'
import type { ControlActivities, TabletActivities } from './contract.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'

/** Which backup a tablet would be restored from. A listing that failed is an error, never "no backup". */
export function findingActivities(context: TabletContext): Pick<TabletActivities, 'findBackup'> {
  const { tablet, store } = context
  return {
    findBackup: onTablet(context, async (attempt, input: RestoreInput | BootstrapInput) => {
      attempt.sign({ waitingFor: 'storage to list the backups' })
      const { banner: serverVersion } = await programRelease(tablet.driver.config.mysql.mysqld)
      const backup = 'backup' in input ? input.backup : undefined
      const before = 'before' in input && input.before !== undefined ? new Date(input.before) : undefined
      const result = await findBackup(store, tablet.driver.shard, { backup, before, serverVersion })
      if ('none' in result) return { found: false }
      const { name, manifest } = result.found
      const warnings = result.passedOver.map((newer) => ({
        about: newer.name,
        message: `passed over: ${newer.reason}`,
      }))
      return { found: true, backup: name, position: manifest.Position, takenAt: manifest.BackupTime, warnings }
    }),
  }
}

/** Activities of control: they need storage and nothing else. */
export function controlActivities(store: ObjectStore, log: Logger): ControlActivities {
  const host = { log }
  return {
    discardBackup: activity(host, async (_attempt, { shard, backup }) => {
      try {
        await discardIncomplete(store, shard, backup)
      } catch (error) {
        // Complete after all: the run failed after it had published. What restores is kept.
        if (!isError(error, 'Refused', 'NotFound')) throw error
      }
    }),
    checkStorage: activity(host, async (_attempt, _none: undefined) => {
      const capabilities = await capabilitiesOf(store)
      return { description: store.description, ...(capabilities === undefined ? {} : { capabilities }) }
    }),
  }
}
