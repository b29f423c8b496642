import { setTimeout as delay } from 'node:timers/promises'
import { isError, TabletkeeperError } from '../model/errors.ts'
import type { BackupInput, Warning } from '../model/runs.ts'
import { parseDuration } from '../model/units.ts'
import type { MysqlConnection } from '../mysql/admin.ts'
import { selectFiles } from '../mysql/data-directory.ts'
import { findHazards, longestTransactionSeconds } from '../mysql/hazards.ts'
import { programVersion, validateConfig } from '../mysql/mysqld-program.ts'
import { restartPolicy } from '../mysql/process.ts'
import type { ReplicationState } from '../mysql/replication.ts'
import { connectedReplicas } from '../mysql/server-state.ts'
import type { TabletState } from '../tablets/driver.ts'
import { assertKnownRepository } from '../tablets/known-repository.ts'
import type { Attempt } from './activity.ts'
import type { BackupPlan } from './contract.ts'
import { judgeShardFrequency } from './frequency.ts'
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
  const held = await tablet.lease()
  if (held !== undefined) {
    throw new TabletkeeperError(
      'TabletBusy',
      `${driver.alias} is held by ${held.workflowId} (run ${held.runId}) since ${held.since}`,
      {
        hint: 'Nothing was changed. Wait for that run, or cancel it: tabletkeeper status.',
      },
    )
  }
  const state = await driver.describe()
  if (state.mysqld !== 'up') {
    throw refused(
      context,
      `its mysqld is ${state.mysqld === 'empty' ? 'not initialized' : 'down'}`,
      'Start it, or bootstrap the tablet.',
    )
  }
  await using connection = await driver.connect()
  const replication = await assertReplica(context, state, connection)
  if (replication.ioRunning !== 'Yes' || replication.sqlRunning !== 'Yes') {
    throw refused(
      context,
      `its replication does not run (IO ${replication.ioRunning}, SQL ${replication.sqlRunning}): ${replication.lastError || 'no error is shown'}`,
      'Repair it first: a backup would keep what is broken.',
    )
  }
  await assertServer(context, state.server.version, connection)
  const others = await driver.othersServing()
  if (others.length < config.backup.minServing) {
    throw refused(
      context,
      `only ${others.length} other tablets of ${driver.shard} would serve, and backup.minServing is ${config.backup.minServing}`,
      'Bring another one up, or lower backup.minServing.',
    )
  }
  attempt.sign({ waitingFor: 'storage to be written and read' })
  await assertKnownRepository(tablet.leasePath, store)
  await store.probe()
  await awaitShortTransactions(context, attempt, connection)
  const files = await selectFiles(await driver.layout())
  return {
    type: driver.serviceType(state),
    lagSeconds: context.lag.seconds ?? 0,
    dataBytes: files.reduce((sum, file) => sum + file.size, 0),
    othersServing: others.length,
    warnings: input.interval === undefined ? [] : await frequencyWarnings(context, input.interval),
  }
}

/**
 * The tablet takes no writes and feeds nobody: asked of the server, since the configuration may be older than a failover.
 * @throws Refused
 */
export async function assertReplica(
  context: TabletContext,
  state: Extract<TabletState, { mysqld: 'up' }>,
  connection: MysqlConnection,
): Promise<ReplicationState> {
  const replicas = await connectedReplicas(connection)
  if (!state.server.readOnly || state.replication === undefined || replicas > 0) {
    const signs = [`read_only=${state.server.readOnly ? 'ON' : 'OFF'}`, `${replicas} replicas connected`]
    const role = state.replication === undefined ? 'it is the primary' : 'other tablets replicate from it'
    throw refused(
      context,
      `it ${state.server.readOnly ? 'is not a plain replica' : 'takes writes'} (${signs.join(', ')}): ${role} of ${context.tablet.driver.shard}`,
      'Back up another tablet of the shard.',
    )
  }
  return state.replication
}

async function assertServer(context: TabletContext, runs: string, connection: MysqlConnection): Promise<void> {
  const { driver } = context.tablet
  const { mysqld, defaultsFile, service } = driver.config.mysql
  const [hazard] = await findHazards(connection, await driver.layout())
  if (hazard !== undefined) throw refused(context, hazard.message, hazard.hint)
  await validateConfig(mysqld, defaultsFile)
  const installed = await programVersion(mysqld)
  if (runs !== installed) {
    throw refused(
      context,
      `mysqld ${runs} runs, but ${installed} is installed: the restart would upgrade it`,
      'Restart it by hand first, when you mean to.',
    )
  }
  const restart = service.kind === 'systemd' ? await restartPolicy(service.unit) : 'no'
  if (restart === 'always' || restart === 'on-success') {
    throw refused(
      context,
      `its service restarts by itself (Restart=${restart}): mysqld would start in mid-copy`,
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
        `a transaction has run for ${Math.round(seconds)} s on it`,
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
  return new TabletkeeperError('Refused', `${context.tablet.driver.alias}: ${message}`, {
    hint: `Nothing was changed. ${hint}`,
  })
}
