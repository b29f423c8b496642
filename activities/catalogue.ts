import type { Logger } from 'pino'
import type { BackupName } from '../model/backup-name.ts'
import { isError } from '../model/errors.ts'
import type { BootstrapInput, RestoreInput } from '../model/runs.ts'
import type { ShardName } from '../model/shard-name.ts'
import { parseTime } from '../model/time.ts'
import { programRelease } from '../mysql/process/mysqld-program.ts'
import { capabilitiesOf } from '../storage/capabilities.ts'
import { findBackup } from '../storage/catalogue/find-backup.ts'
import { discardIncomplete } from '../storage/catalogue/remove-backup.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { activity } from './activity.ts'
import type { ControlActivities, TabletActivities } from './contract.ts'
import { unlessHung } from './stall.ts'
import { onTablet, type TabletContext } from './tablet-context.ts'
import { unlessForeseen } from './unless-foreseen.ts'

/** Which backup a tablet would be restored from. A listing that failed is an error, never "no backup". */
export function findingActivities(context: TabletContext): Pick<TabletActivities, 'findBackup'> {
  const { tablet, store } = context
  return {
    findBackup: onTablet(context, async (attempt, input: RestoreInput | BootstrapInput) => {
      attempt.sign({ waitingFor: 'storage to list the backups' })
      const { banner: serverVersion } = await programRelease(tablet.driver.config.mysql.mysqld)
      const backup = 'backup' in input ? input.backup : undefined
      const before = 'before' in input && input.before !== undefined ? parseTime(input.before) : undefined
      // Without a primary that can be asked nothing is judged by it: the preflight, which needs one, says so.
      const executed = (await unlessForeseen(() => tablet.driver.primary()))?.server.gtidExecuted
      const wanted = { backup, before, serverVersion, executed }
      const look = () => findBackup(store, tablet.driver.shard, wanted)
      const result = await unlessHung(attempt.signal, store.description, look)
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
    discardBackup: activity(host, (attempt, { shard, backup }) => discard(store, shard, backup, attempt.signal)),
    checkStorage: activity(host, async (_attempt, _none: undefined) => {
      const capabilities = await capabilitiesOf(store)
      const repository = await store.repository()
      return { description: store.description, repository, ...(capabilities === undefined ? {} : { capabilities }) }
    }),
  }
}

/**
 * Removes what a run that failed has stored, unless it is complete after all: it failed after it had published, and what restores is kept.
 * @throws StorageUnavailable also where a mount hangs: the run would stay open as long
 */
export async function discard(
  store: ObjectStore,
  shard: ShardName,
  backup: BackupName,
  signal: AbortSignal,
): Promise<void> {
  try {
    await unlessHung(signal, store.description, () => discardIncomplete(store, shard, backup))
  } catch (error) {
    if (!isError(error, 'Refused', 'NotFound')) throw error
  }
}
