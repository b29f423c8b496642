import { setTimeout as delay } from 'node:timers/promises'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { foreignLease } from '../model/lease.ts'
import { twoAgents } from '../model/machine.ts'
import type { BackupForce, BackupInput, Warning } from '../model/runs.ts'
import { parseDuration } from '../model/units.ts'
import type { MysqlConnection } from '../mysql/admin/admin.ts'
import { howToGrant, missingGrants } from '../mysql/admin/grants.ts'
import { errantTransactions } from '../mysql/admin/server-state.ts'
import { selectFilesInUse } from '../mysql/data/data-directory.ts'
import type { Hazard } from '../mysql/data/hazard.ts'
import { findHazards, longestTransactionSeconds } from '../mysql/data/hazards.ts'
import { programVersion, validateConfig } from '../mysql/process/mysqld-program.ts'
import { type ReplicationState, readReplicationError } from '../mysql/replication/replication.ts'
import type { RunningTablet } from '../tablets/driver.ts'
import { assertKnownRepository } from '../tablets/known-repository.ts'
import type { Attempt } from './activity.ts'
import { assertBackupSource } from './backup-source.ts'
import type { BackupPlan } from './contract.ts'
import { judgeShardFrequency } from './frequency.ts'
import { assertSpared } from './min-serving.ts'
import { assertNobodyElseStartsIt } from './mysqld-service.ts'
import { refused } from './refusal.ts'
import { assertNoClone, planSnapshot } from './snapshot-plan.ts'
import { unlessHung } from './stall.ts'
import { judgeStorageRoom } from './storage-room.ts'
import type { TabletContext } from './tablet-context.ts'

const LONG_TRANSACTION_SECONDS = 60
const LONG_TRANSACTION_WAIT = 5 * 60_000

/**
 * Looks whether the tablet may be taken out of service now, and changes nothing.
 * @throws Refused, TabletBusy, StorageDenied and their like: one clear reason each
 */
export async function preflightBackup(
  context: TabletContext,
  attempt: Attempt,
  input: BackupInput,
): Promise<BackupPlan> {
  const { tablet, store } = context
  const { driver } = tablet
  await assertFree(context)
  await assertNoClone(context)
  const state = await driver.describe()
  if (state.mysqld === 'empty')
    throw refused(
      context,
      'is empty: there is nothing to back up',
      `To fill it: tabletkeeper bootstrap ${driver.alias}`,
    )
  if (state.mysqld === 'down') throw refused(context, 'has its mysqld down', 'Start it first.')
  await using connection = await driver.connect()
  await assertGrants(context, connection)
  const source = await assertBackupSource(context, state, connection, allowsPrimary(context, input))
  if (source !== undefined) await assertReplicates(context, source, state, connection)
  const found: Warning[] = [...(await assertServer(context, state.server.version, connection, input.force ?? []))]
  const { others, warnings: lacking } =
    source === undefined
      ? { others: await driver.othersServing(), warnings: [] }
      : await assertSpared(context, input.force ?? [], attempt.signal)
  found.push(...lacking)
  attempt.sign({ waitingFor: 'storage to be written and read' })
  found.push(...(await unlessHung(attempt.signal, store.description, () => judgeStorage(context))))
  await awaitShortTransactions(context, attempt, connection)
  const files = await selectFilesInUse(await driver.layout())
  const { snapshot, warnings } = await planSnapshot(context, files)
  return {
    type: driver.serviceType(state),
    lagSeconds: context.lag.seconds ?? 0,
    dataBytes: files.reduce((sum, file) => sum + file.size, 0),
    snapshot,
    othersServing: others.length,
    warnings: [
      ...found,
      ...warnings,
      ...(input.interval === undefined ? [] : await frequencyWarnings(context, input.interval)),
    ],
  }
}

/** @throws StorageUnavailable, StorageDenied, Refused: it cannot be used, is another one, or has no room */
async function judgeStorage(context: TabletContext): Promise<Warning[]> {
  await assertKnownRepository(context.tablet.leasePath, context.store)
  await context.store.probe()
  return await judgeStorageRoom(context)
}

/** @throws TabletBusy naming the run that holds the tablet, or the agent elsewhere that takes its tasks too */
export async function assertFree({ tablet, agentsElsewhere }: TabletContext): Promise<void> {
  const { alias } = tablet.driver
  const others = await agentsElsewhere()
  if (others.length > 0) throw twoAgents(alias, others)
  const found = await tablet.held()
  if (found === undefined) return
  const { lease: held, foreign } = found
  if (foreign !== undefined) throw foreignLease(held, foreign, alias, { type: 'TabletBusy', retryable: false })
  throw new TabletkeeperError(
    'TabletBusy',
    `${alias} is held by ${held.workflowId} (run ${held.runId}) since ${held.since}`,
    { hint: `Nothing was changed. Wait for that run: tabletkeeper status ${held.workflowId} --follow` },
  )
}

/** Whether a primary may be stopped, as the run says or else its host. */
export function allowsPrimary(
  { config }: TabletContext,
  { allowPrimary }: { readonly allowPrimary?: boolean | undefined },
): boolean {
  return allowPrimary ?? config.backup.allowPrimary
}

/** A grant that is missing would be found with the tablet out of service. */
async function assertGrants(context: TabletContext, connection: MysqlConnection): Promise<void> {
  const missing = await missingGrants(connection)
  if (missing.length === 0) return
  const { user } = context.tablet.driver.config.mysql.admin
  throw refused(
    context,
    `cannot be stopped and started: the agent's account '${user}' lacks ${missing.join(', ')}`,
    howToGrant(missing, user),
  )
}

async function assertReplicates(
  context: TabletContext,
  replication: ReplicationState,
  state: RunningTablet,
  connection: MysqlConnection,
): Promise<void> {
  const { ioRunning, sqlRunning, lastError } = replication
  if (ioRunning === 'Yes' && sqlRunning === 'Yes') return await assertNotErrant(context, state)
  const threads = `IO ${ioRunning}, SQL ${sqlRunning}`
  if (lastError === '' && (ioRunning === 'No' || sqlRunning === 'No')) {
    // A return to service leaves it so: it must not be started.
    await assertNotErrant(context, state)
    throw refused(
      context,
      `does not replicate (${threads}): somebody stopped it`,
      'Unless it is meant so: START REPLICA',
    )
  }
  const error = (await readReplicationError(connection, replication)) || 'no error is shown'
  throw refused(
    context,
    `does not replicate (${threads}): ${error}`,
    'Repair it first: a backup would keep what is broken.',
  )
}

/** Nobody would restore from it: what it has and the primary has not would come with its data. */
async function assertNotErrant(context: TabletContext, { server }: RunningTablet): Promise<void> {
  const primary = await context.tablet.driver.primary()
  const errant = errantTransactions(server.gtidExecuted, primary.server.gtidExecuted)
  if (errant.isEmpty) return
  throw refused(
    context,
    `has errant transactions, which its primary ${primary.alias} never had: ${errant}`,
    `Back up another tablet of the shard, and restore this one: tabletkeeper restore ${context.tablet.driver.alias}`,
  )
}

async function assertServer(
  context: TabletContext,
  runs: string,
  connection: MysqlConnection,
  force: readonly BackupForce[],
): Promise<readonly Warning[]> {
  const { driver } = context.tablet
  const { mysqld, defaultsFile } = driver.config.mysql
  const hazards = await findHazards(connection, await driver.layout())
  const isForced = ({ what }: Hazard) => what === 'MEMORY tables' && force.includes('memory-tables')
  const hazard = hazards.find((one) => !isForced(one))
  if (hazard !== undefined) {
    const hint = hazard.what === 'MEMORY tables' ? `${hazard.hint} This once: --force-memory-tables.` : hazard.hint
    throw refused(context, `is not fit for a backup: ${hazard.message}`, hint)
  }
  await validateConfig(mysqld, defaultsFile)
  const installed = await programVersion(mysqld)
  if (runs !== installed) {
    throw refused(
      context,
      `runs mysqld ${runs}, but ${installed} is installed: the restart would upgrade it`,
      'Restart it by hand first, when you mean to.',
    )
  }
  await assertNobodyElseStartsIt(context)
  return hazards.map(({ message }) => ({ about: '--force-memory-tables', message }))
}

/** A stop would wait for them with the tablet already out of service, so they are waited for here. */
async function awaitShortTransactions(
  context: TabletContext,
  attempt: Attempt,
  connection: MysqlConnection,
): Promise<void> {
  const deadline = performance.now() + LONG_TRANSACTION_WAIT
  for (;;) {
    const seconds = await longestTransactionSeconds(connection)
    if (seconds < LONG_TRANSACTION_SECONDS) return
    if (performance.now() > deadline) {
      throw refused(
        context,
        `has a transaction that has run for ${Math.round(seconds)} s`,
        'End it, or try again when it has ended.',
      )
    }
    attempt.sign({ waitingFor: `a transaction that has run for ${Math.round(seconds)} s` })
    await delay(1_000, undefined, { signal: attempt.signal })
  }
}

async function frequencyWarnings(context: TabletContext, interval: string): Promise<Warning[]> {
  try {
    const judged = await judgeShardFrequency(context, parseDuration(interval) / 1000)
    if (judged.verdict === 'OK') return []
    const { message, hint } = judged
    return [{ about: `frequency ${judged.verdict}`, message, ...(hint === undefined ? {} : { hint }) }]
  } catch (error) {
    if (isError(error)) return [{ about: 'frequency', message: `could not be judged: ${error.message}` }]
    throw error
  }
}
