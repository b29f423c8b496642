import type { Config } from '../model/config.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { GtidSet } from '../model/gtid-set.ts'
import type { Lease } from '../model/lease.ts'
import type { ReturnedBy } from '../model/runs.ts'
import type { ServiceType } from '../model/tablet-type.ts'
import { capturedSettingsSchema } from '../mysql/settings/settings.ts'
import { readJournal } from '../mysql/swap/journal.ts'
import { recoverSwap } from '../mysql/swap/recovery.ts'
import { keepSwapped } from '../mysql/swap/swap.ts'
import { isBroken } from './broken-replication.ts'
import type { TabletDriver } from './driver.ts'
import { removeFirstStartFile } from './first-start.ts'
import type { LeasedTablet, StepContext } from './leased-tablet.ts'
import { lostWith, tellLost } from './replaced-data.ts'
import { recordReturn } from './return-record.ts'
import { settleMysqld } from './settle-mysqld.ts'
import { discardStaged } from './staging.ts'

/** Who asks for the tablet to serve again, and how long it may take to catch up before it is given back lagging. */
export interface ReturnRequest {
  readonly by: Exclude<ReturnedBy, 'nobody'>
  /** Which lease is meant: a run returns only its own, a person whichever there is. */
  readonly meant: (lease: Lease) => boolean
  readonly limits: Pick<Config['backup'], 'maxLag' | 'catchUpTimeout'>
  /** Ends the attempt; the lease stays, marked `returning`. */
  readonly signal: AbortSignal
  /** Told at each step what is being done or waited for. */
  readonly onWait?: (waitingFor: string) => void
}

export interface ReturnOutcome {
  readonly outcome: 'nothing to do' | 'returned'
  readonly type: ServiceType | null
  readonly lagSeconds: number | null
  /** What had to be done, in order. */
  readonly details: readonly string[]
  /** Why it does not serve all the same, where only a person can help. */
  readonly unserved?: string | undefined
}

/**
 * The one way back into service, for every caller and from every state that a run, a crash or a reboot can leave:
 * a half-done swap is rolled back or forward, mysqld runs, replication runs from the present primary, the tablet has caught up
 * (or `catchUpTimeout` has passed, or only a person can repair replication), it has its type again, the lease is gone. Idempotent: when it
 * fails, call it again.
 * @throws MysqldFailed, ReplicationFailed; the lease stays, marked `returning`
 */
export async function returnToService(tablet: LeasedTablet, request: ReturnRequest): Promise<ReturnOutcome> {
  const outcome = await tablet.returning(request.meant, request.signal, async (context): Promise<ReturnOutcome> => {
    const details: string[] = []
    const note = (detail: string): void => {
      details.push(detail)
      tablet.log.info({ event: 'return', workflowId: context.lease.workflowId, by: request.by, detail }, detail)
    }
    request.onWait?.('what still runs on the tablet to stop')
    await settleMysqld(tablet.driver, context.signal, request.onWait)
    await undoSwap(tablet, context, note)
    await discardStaged(await tablet.driver.layout(), context.lease.token)
    await removeFirstStartFile(tablet.driver)
    const { lagSeconds, type, unserved } = context.lease.mysqldRan
      ? await runAgain(tablet, context, request, note)
      : { lagSeconds: null, type: context.lease.returnTo, unserved: undefined }
    if (type !== null) {
      await tablet.setType(context, type)
      note(`type ${type}`)
    }
    await recordReturn(tablet.leasePath, {
      token: context.lease.token,
      by: request.by,
      at: new Date().toISOString(),
      details,
    })
    return { outcome: 'returned', type, lagSeconds, details, unserved }
  })
  return outcome ?? { outcome: 'nothing to do', type: null, lagSeconds: null, details: [] }
}

/** Data of an unfinished restore go out again, the old ones in; of a finished one, the old ones go. */
async function undoSwap(tablet: LeasedTablet, context: StepContext, note: (detail: string) => void): Promise<void> {
  const layout = await tablet.driver.layout()
  const journal = await readJournal(layout.datadir)
  if (journal === undefined) return
  if (journal.phase === 'committed') await context.update({ mysqldRan: true })
  else {
    // It may serve already: whoever is routed there goes first.
    if (journal.phase === 'swapped') await tablet.setType(context, 'RESTORE')
    const written = journal.phase === 'swapped' ? await writtenTo(tablet.driver) : undefined
    if (written !== undefined) {
      // It was made the primary since: what it wrote is nowhere else.
      const lost = lostWith(context.lease, written)
      if (!lost.isEmpty) note(tellLost(tablet, lost))
      await keepSwapped(layout.datadir, journal.run)
      await context.update({ mysqldRan: true })
      note('it takes writes on the restored data, which stay')
    } else if (await stopOnNewData(tablet.driver, context.signal)) note('mysqld stopped, to put the old data back')
  }
  note(`swap ${await recoverSwap(layout.datadir)}`)
}

/** What a tablet has executed that takes writes; undefined for one that does not. */
async function writtenTo(driver: TabletDriver): Promise<GtidSet | undefined> {
  try {
    const state = await driver.describe()
    return state.mysqld === 'up' && driver.serviceType(state) === 'PRIMARY' ? state.server.gtidExecuted : undefined
  } catch (error) {
    // Restored data that let nobody in are no primary's.
    if (!isError(error, 'Refused')) throw error
    return undefined
  }
}

/** Whether there was one to stop. Restored data may let nobody in; they go, so that nothing of them has to be proven. */
async function stopOnNewData(driver: TabletDriver, signal: AbortSignal): Promise<boolean> {
  try {
    if ((await driver.describe()).mysqld !== 'up') return false
    await driver.stopMysqld(signal)
  } catch (error) {
    if (!isError(error, 'Refused')) throw error
    await driver.endMysqld(signal)
  }
  return true
}

async function runAgain(
  tablet: LeasedTablet,
  context: StepContext,
  request: ReturnRequest,
  note: (detail: string) => void,
): Promise<Pick<ReturnOutcome, 'type' | 'lagSeconds' | 'unserved'>> {
  const { driver } = tablet
  const { returnTo } = context.lease
  if ((await driver.describe()).mysqld !== 'up') {
    request.onWait?.('mysqld to start')
    await driver.startMysqld({ signal: context.signal })
    note('mysqld started')
  }
  if (context.lease.captured !== null) {
    for (const lost of await driver.applySettings(capturedSettingsSchema.parse(context.lease.captured))) note(lost)
  }
  const state = await driver.describe()
  if (state.mysqld !== 'up') {
    throw new TabletkeeperError(
      'MysqldFailed',
      `mysqld of ${driver.alias} ended while the tablet was returned to service`,
    )
  }
  const type = returnTo === 'PRIMARY' ? driver.serviceType(state) : returnTo
  if (type !== null && type !== 'PRIMARY' && driver.serviceType(state) === 'PRIMARY') {
    note('it became the primary meanwhile, and stays writable')
    return { type: 'PRIMARY', lagSeconds: null }
  }
  if (type === 'PRIMARY' || state.replication === undefined) return { type, lagSeconds: null }
  try {
    request.onWait?.('replication to run')
    await driver.startReplication(context.signal)
    note('replication runs')
    const { caughtUp, lagSeconds } = await driver.catchUp({
      maxLag: request.limits.maxLag,
      timeout: request.limits.catchUpTimeout,
      signal: context.signal,
      onRound: () => request.onWait?.('the tablet to catch up with its primary'),
    })
    note(caughtUp ? `caught up, lag ${lagSeconds}s` : `not caught up yet, lag ${lagSeconds}s: unserved until it is`)
    return { type, lagSeconds }
  } catch (error) {
    // Waiting mends nothing then, and would keep people from what does: a restore.
    if (!isBroken(error)) throw error
    tablet.log.error({ event: 'broken replication', workflowId: context.lease.workflowId, err: error }, error.message)
    note(`unserved, since ${error.message}. ${error.hint ?? ''}`)
    return { type, lagSeconds: null, unserved: error.message }
  }
}
