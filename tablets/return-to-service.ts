import type { Config } from '../model/config.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Lease } from '../model/lease.ts'
import type { ReturnedBy } from '../model/runs.ts'
import type { ServiceType } from '../model/tablet-type.ts'
import { capturedSettingsSchema } from '../mysql/settings.ts'
import { readJournal } from '../mysql/swap-journal.ts'
import { recoverSwap } from '../mysql/swap-recovery.ts'
import { removeFirstStartFile } from './first-start.ts'
import type { LeasedTablet, StepContext } from './leased-tablet.ts'
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
}

/**
 * The one way back into service, for every caller and from every state that a run, a crash or a reboot can leave:
 * a half-done swap is rolled back or forward, mysqld runs, replication runs from the present primary, the tablet has caught up
 * (or `catchUpTimeout` has passed), it has its type again, the lease is gone. Idempotent: when it fails, call it again.
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
    const { lagSeconds, type } = context.lease.mysqldRan
      ? await runAgain(tablet, context, request, note)
      : { lagSeconds: null, type: context.lease.returnTo }
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
    return { outcome: 'returned', type, lagSeconds, details }
  })
  return outcome ?? { outcome: 'nothing to do', type: null, lagSeconds: null, details: [] }
}

/** Data of an unfinished restore go out again, the old ones in; of a finished one, the old ones go. */
async function undoSwap(tablet: LeasedTablet, context: StepContext, note: (detail: string) => void): Promise<void> {
  const layout = await tablet.driver.layout()
  const journal = await readJournal(layout.datadir)
  if (journal === undefined) return
  if (journal.phase === 'committed') await context.update({ mysqldRan: true })
  else if ((await tablet.driver.describe()).mysqld === 'up') {
    await tablet.driver.stopMysqld(context.signal)
    note('mysqld stopped, to put the old data back')
  }
  note(`swap ${await recoverSwap(layout.datadir)}`)
}

async function runAgain(
  tablet: LeasedTablet,
  context: StepContext,
  request: ReturnRequest,
  note: (detail: string) => void,
): Promise<Pick<ReturnOutcome, 'type' | 'lagSeconds'>> {
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
  if (returnTo !== null && returnTo !== 'PRIMARY' && driver.serviceType(state) === 'PRIMARY') {
    note('it became the primary meanwhile, and stays writable')
    return { type: 'PRIMARY', lagSeconds: null }
  }
  if (returnTo === 'PRIMARY' || state.replication === undefined) return { type: returnTo, lagSeconds: null }
  request.onWait?.('replication to run')
  await driver.startReplication(context.signal)
  note('replication runs')
  const caught = await driver.catchUp({
    maxLag: request.limits.maxLag,
    timeout: request.limits.catchUpTimeout,
    signal: context.signal,
    onRound: () => request.onWait?.('the tablet to catch up with its primary'),
  })
  note(
    caught.caughtUp
      ? `caught up, lag ${caught.lagSeconds}s`
      : `not caught up yet, lag ${caught.lagSeconds}s: unserved until it is`,
  )
  return { type: returnTo, lagSeconds: caught.lagSeconds }
}
