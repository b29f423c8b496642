import { statfs } from 'node:fs/promises'
import { hostname } from 'node:os'
import { isError } from '../model/errors.ts'
import { positionOf } from '../model/position.ts'
import type { Hazard, TabletReport } from '../model/report.ts'
import type { MysqlConnection } from '../mysql/admin.ts'
import { selectFiles } from '../mysql/data-directory.ts'
import { missingGrants } from '../mysql/grants.ts'
import { findHazards } from '../mysql/hazards.ts'
import { connectedReplicas } from '../mysql/server-state.ts'
import type { PrimaryView, RunningTablet } from '../tablets/driver.ts'
import type { Observation } from '../tablets/lag-monitor.ts'
import { judgeServing } from '../tablets/serving.ts'
import type { TabletContext } from './tablet-context.ts'

/** What the agent sees of its tablet now. Whatever cannot be seen is null: a report never fails for it. */
export async function inspectTablet(context: TabletContext): Promise<TabletReport> {
  const { tablet, config, lag } = context
  const { driver } = tablet
  const lease = await tablet.lease()
  const seen = await lag.observe()
  const serving = judgeServing(driver, lease, seen, config.backup.maxLag)
  const primary = await unlessForeseen(() => driver.primary())
  const up = seen.state.mysqld === 'up' ? seen.state : null
  const lost = up !== null && primary !== null ? up.server.gtidExecuted.subtract(primary.server.gtidExecuted) : null
  const { hazards, grants } = up === null ? { hazards: [], grants: [] } : await serverFindings(context, up)
  return {
    alias: driver.alias,
    shard: driver.shard,
    host: hostname(),
    mysqld: seen.state.mysqld === 'unknown' ? 'down' : seen.state.mysqld,
    version: up?.server.version ?? null,
    type: serving.type,
    serving: serving.serving,
    reason: serving.reason,
    lagSeconds: serving.lagSeconds,
    position: up === null ? null : positionOf(up.server.gtidExecuted),
    ...(await space(context)),
    replication: replicationWord(seen),
    lease: lease === undefined ? null : { ...lease, step: lease.step?.name ?? null },
    primary: primary?.alias ?? null,
    wouldLose: lost === null || lost.isEmpty ? null : lost.toString(),
    hazards,
    missingGrants: grants,
    ...primaryLogs(primary),
  }
}

function primaryLogs(primary: PrimaryView | null): Pick<TabletReport, 'primaryPurged' | 'binlogRetentionSeconds'> {
  if (primary === null) return { primaryPurged: null, binlogRetentionSeconds: null }
  const { gtidPurged, binlogRetentionSeconds } = primary.server
  return { primaryPurged: positionOf(gtidPurged), binlogRetentionSeconds }
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
  const files = await unlessForeseen(() => selectFiles(layout))
  return {
    dataBytes: (files ?? []).reduce((sum, file) => sum + file.size, 0),
    freeBytes: disk === undefined ? 0 : disk.bavail * disk.bsize,
  }
}

async function serverFindings(
  context: TabletContext,
  state: RunningTablet,
): Promise<{ readonly hazards: readonly Hazard[]; readonly grants: readonly string[] }> {
  const findings = await unlessForeseen(async () => {
    await using connection = await context.tablet.driver.connect()
    const layout = await context.tablet.driver.layout()
    const hazards = await findHazards(connection, layout)
    return { hazards: [...hazards, ...(await replicasFed(connection, state))], grants: await missingGrants(connection) }
  })
  return findings ?? { hazards: [], grants: [] }
}

/** A primary feeds others by its nature; any other tablet that does is refused a backup for it. */
async function replicasFed(connection: MysqlConnection, { replication }: RunningTablet): Promise<Hazard[]> {
  const replicas = replication === undefined ? 0 : await connectedReplicas(connection)
  if (replicas === 0) return []
  const message = `other tablets replicate from it (${replicas} connected): they would be cut off`
  return [{ what: 'replicas', message, hint: 'Point them elsewhere, or back up another tablet of the shard.' }]
}

async function unlessForeseen<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look()
  } catch (error) {
    if (isError(error)) return null
    throw error
  }
}
