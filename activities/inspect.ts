import { statfs } from 'node:fs/promises'
import { hostname } from 'node:os'
import { isError } from '../model/errors.ts'
import { positionOf } from '../model/position.ts'
import type { Hazard, TabletReport } from '../model/report.ts'
import { missingGrants } from '../mysql/admin/grants.ts'
import { connectedReplicas } from '../mysql/admin/server-state.ts'
import { selectFilesInUse } from '../mysql/data/data-directory.ts'
import { findHazards } from '../mysql/data/hazards.ts'
import type { PrimaryView, RunningTablet } from '../tablets/driver.ts'
import type { Observation } from '../tablets/lag-monitor.ts'
import type { Held } from '../tablets/leased-tablet.ts'
import { judgeServing } from '../tablets/serving.ts'
import { lackOfAcknowledgement } from './commits-go-on.ts'
import type { TabletContext } from './tablet-context.ts'
import { unlessForeseen } from './unless-foreseen.ts'

/** What the agent sees of its tablet now. Whatever cannot be seen is null: a report never fails for it. */
export async function inspectTablet(context: TabletContext): Promise<TabletReport> {
  const { tablet, config, lag } = context
  const { driver } = tablet
  const held = await tablet.held()
  const seen = await lag.observe()
  const serving = judgeServing(driver, held, seen, config.backup.maxLag)
  const primary = await unlessForeseen(() => driver.primary())
  const up = seen.state.mysqld === 'up' ? seen.state : null
  const lost = up !== null && primary !== null ? up.server.gtidExecuted.subtract(primary.server.gtidExecuted) : null
  return {
    alias: driver.alias,
    shard: driver.shard,
    host: hostname(),
    mysqld: seen.state.mysqld === 'unknown' ? 'down' : seen.state.mysqld,
    version: up?.server.version ?? null,
    versionString: up?.server.versionString ?? null,
    type: serving.type,
    serving: serving.serving,
    reason: serving.reason,
    hint: serving.hint,
    lagSeconds: serving.lagSeconds,
    position: up === null ? null : positionOf(up.server.gtidExecuted),
    ...(await space(context)),
    replication: replicationWord(seen),
    lease: held === undefined ? null : leaseReport(held),
    agentsElsewhere: await context.agentsElsewhere(),
    primary: primary?.alias ?? null,
    wouldLose: lost === null || lost.isEmpty ? null : lost.toString(),
    hazards: up === null ? [] : await hazardsOf(context, up),
    missingGrants: up === null ? [] : await grantsMissing(context),
    ...primaryLogs(primary),
  }
}

function leaseReport({ lease, foreign }: Held): TabletReport['lease'] {
  const { kind, workflowId, runId, since, step, state } = lease
  return { kind, workflowId, runId, since, step: step?.name ?? null, state, foreign: foreign ?? null }
}

function primaryLogs(
  primary: PrimaryView | null,
): Pick<TabletReport, 'primaryPosition' | 'primaryPurged' | 'binlogRetentionSeconds'> {
  if (primary === null) return { primaryPosition: null, primaryPurged: null, binlogRetentionSeconds: null }
  const { gtidExecuted, gtidPurged, binlogRetentionSeconds } = primary.server
  return { primaryPosition: positionOf(gtidExecuted), primaryPurged: positionOf(gtidPurged), binlogRetentionSeconds }
}

function replicationWord(seen: Observation): TabletReport['replication'] {
  if (seen.state.mysqld !== 'up' || seen.state.replication === undefined) return 'none'
  const { ioRunning, sqlRunning, lastError } = seen.state.replication
  if (ioRunning === 'Yes' && sqlRunning === 'Yes') return 'running'
  return lastError === '' ? 'stopped' : 'broken'
}

async function space(context: TabletContext): Promise<Pick<TabletReport, 'dataBytes' | 'freeBytes'>> {
  const layout = await context.tablet.driver.layout()
  const disk = await statfs(layout.datadir).catch(() => undefined)
  const files = await unlessForeseen(() => selectFilesInUse(layout))
  return {
    dataBytes: (files ?? []).reduce((sum, file) => sum + file.size, 0),
    freeBytes: disk === undefined ? 0 : disk.bavail * disk.bsize,
  }
}

/** Read apart from the hazards: those that a missing grant hides must not hide the grant. */
async function grantsMissing({ tablet }: TabletContext): Promise<readonly string[]> {
  const missing = await unlessForeseen(async () => {
    await using connection = await tablet.driver.connect()
    return await missingGrants(connection)
  })
  return missing ?? []
}

/** Where they cannot be read, that is one: a backup would be refused, too. */
async function hazardsOf(context: TabletContext, { replication }: RunningTablet): Promise<readonly Hazard[]> {
  const { driver } = context.tablet
  try {
    await using connection = await driver.connect()
    const hazards = await findHazards(connection, await driver.layout())
    // A primary feeds others by its nature; any other tablet that does is refused a backup for it.
    const fed = replicasFed(replication === undefined ? 0 : await connectedReplicas(connection))
    const lack = await unlessForeseen(() => lackOfAcknowledgement(context, connection))
    return [...hazards, ...fed, ...(lack ? [{ what: 'semi-sync', ...lack } as const] : [])]
  } catch (error) {
    if (!isError(error)) throw error
    const message = `what stands against a backup cannot be read: ${error.message}`
    return [{ what: 'unreadable', message, hint: error.hint ?? "The log of the tablet's agent may say more." }]
  }
}

function replicasFed(count: number): Hazard[] {
  if (count === 0) return []
  const message = `other tablets replicate from it (${count} connected): they would be cut off`
  return [{ what: 'replicas', message, hint: 'Point them elsewhere, or back up another tablet of the shard.' }]
}
