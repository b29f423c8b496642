import { setTimeout as delay } from 'node:timers/promises'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { BackupInput, Warning } from '../model/runs.ts'
import { parseDuration } from '../model/units.ts'
import type { MysqlConnection } from '../mysql/admin.ts'
import { selectFiles } from '../mysql/data-directory.ts'
import { findHazards, longestTransactionSeconds } from '../mysql/hazards.ts'
import { programVersion, validateConfig } from '../mysql/mysqld-program.ts'
import { restartPolicy } from '../mysql/process.ts'
import { type ReplicationState, readReplicationError } from '../mysql/replication.ts'
import { connectedReplicas } from '../mysql/server-state.ts'
import type { RunningTablet } from '../tablets/driver.ts'
import { assertKnownRepository } from '../tablets/known-repository.ts'
import type { LeasedTablet } from '../tablets/leased-tablet.ts'
import type { Attempt } from './activity.ts'
import type { BackupPlan } from './contract.ts'
import { judgeShardFrequency } from './frequency.ts'
import { assertNoClone, planSnapshot } from './snapshot-plan.ts'
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
  const { tablet, config, store } = context
  const { driver } = tablet
  await assertNotHeld(tablet)
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
  await assertReplicates(context, await assertReplica(context, state, connection), connection)
  await assertServer(context, state.server.version, connection)
  const others = await driver.othersServing()
  if (others.length < config.backup.minServing) {
    const left = others.length === 0 ? 'no other tablet' : `only ${others.join(' and ')}`
    throw refused(
      context,
      `cannot be spared: ${left} of ${driver.shard} would serve, and backup.minServing is ${config.backup.minServing}`,
      'Bring another tablet up, or lower backup.minServing.',
    )
  }
  attempt.sign({ waitingFor: 'storage to be written and read' })
  await assertKnownRepository(tablet.leasePath, store)
  await store.probe()
  await awaitShortTransactions(context, attempt, connection)
  const files = await selectFiles(await driver.layout())
  const { snapshot, warnings } = await planSnapshot(context, files)
  return {
    type: driver.serviceType(state),
    lagSeconds: context.lag.seconds ?? 0,
    dataBytes: files.reduce((sum, file) => sum + file.size, 0),
    snapshot,
    othersServing: others.length,
    warnings: [...warnings, ...(input.interval === undefined ? [] : await frequencyWarnings(context, input.interval))],
  }
}

/**
 * The tablet takes no writes and feeds nobody: asked of the server, since the configuration may be older than a failover.
 * @throws Refused
 */
export async function assertReplica(
  context: TabletContext,
  state: RunningTablet,
  connection: MysqlConnection,
): Promise<ReplicationState> {
  const { replication, server } = state
  const { shard } = context.tablet.driver
  const replicas = await connectedReplicas(connection)
  const signs = `read_only=${server.readOnly ? 'ON' : 'OFF'}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'} connected`
  const another = `Back up another tablet of the shard: tabletkeeper backup ${shard}`
  if (replication === undefined) {
    if (!server.readOnly) throw refused(context, `takes writes (${signs}): it is the primary of ${shard}`, another)
    throw refused(context, `replicates from nobody (${signs})`, `Make it a replica of the primary first. ${another}`)
  }
  if (!server.readOnly) {
    const message = `takes writes though it is a replica (${signs})`
    throw refused(context, message, `Find out who writes to it, then SET GLOBAL super_read_only = ON. ${another}`)
  }
  if (replicas > 0) throw refused(context, `feeds other tablets (${signs})`, `Point them elsewhere first. ${another}`)
  return replication
}

/** @throws TabletBusy naming the run that holds the tablet */
export async function assertNotHeld(tablet: LeasedTablet): Promise<void> {
  const held = await tablet.lease()
  if (held === undefined) return
  throw new TabletkeeperError(
    'TabletBusy',
    `${tablet.driver.alias} is held by ${held.workflowId} (run ${held.runId}) since ${held.since}`,
    { hint: `Nothing was changed. Wait for that run: tabletkeeper status ${held.workflowId} --follow` },
  )
}

async function assertReplicates(
  context: TabletContext,
  replication: ReplicationState,
  connection: MysqlConnection,
): Promise<void> {
  const { ioRunning, sqlRunning, lastError } = replication
  if (ioRunning === 'Yes' && sqlRunning === 'Yes') return
  const threads = `IO ${ioRunning}, SQL ${sqlRunning}`
  if (lastError === '' && (ioRunning === 'No' || sqlRunning === 'No'))
    throw refused(
      context,
      `does not replicate (${threads}): somebody stopped it`,
      'Unless it is meant so: START REPLICA',
    )
  const error = (await readReplicationError(connection, replication)) || 'no error is shown'
  throw refused(
    context,
    `does not replicate (${threads}): ${error}`,
    'Repair it first: a backup would keep what is broken.',
  )
}

async function assertServer(context: TabletContext, runs: string, connection: MysqlConnection): Promise<void> {
  const { driver } = context.tablet
  const { mysqld, defaultsFile, service } = driver.config.mysql
  const [hazard] = await findHazards(connection, await driver.layout())
  if (hazard !== undefined) throw refused(context, `is not fit for a backup: ${hazard.message}`, hazard.hint)
  await validateConfig(mysqld, defaultsFile)
  const installed = await programVersion(mysqld)
  if (runs !== installed) {
    throw refused(
      context,
      `runs mysqld ${runs}, but ${installed} is installed: the restart would upgrade it`,
      'Restart it by hand first, when you mean to.',
    )
  }
  const restart = service.kind === 'systemd' ? await restartPolicy(service.unit) : 'no'
  if (restart === 'always' || restart === 'on-success') {
    throw refused(
      context,
      `has a service that restarts by itself (Restart=${restart}): mysqld would start in mid-copy`,
      'systemctl edit the unit: Restart=on-failure',
    )
  }
}

/** A stop would wait for them with the tablet already out of service, so they are waited for here. */
async function awaitShortTransactions(
  context: TabletContext,
  attempt: Attempt,
  connection: MysqlConnection,
): Promise<void> {
  const deadline = Date.now() + LONG_TRANSACTION_WAIT
  for (;;) {
    const seconds = await longestTransactionSeconds(connection)
    if (seconds < LONG_TRANSACTION_SECONDS) return
    if (Date.now() > deadline) {
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

function refused(context: TabletContext, message: string, hint: string): TabletkeeperError {
  return new TabletkeeperError('Refused', `${context.tablet.driver.alias} ${message}`, {
    hint: `Nothing was changed. ${hint}`,
  })
}
