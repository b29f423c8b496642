import { z } from 'zod'
import { isError } from '../../model/errors.ts'
import type { MysqlConnection } from '../admin/admin.ts'
import { readExecuted } from '../admin/server-state.ts'
import { type Hazard, nameSchema, several } from '../data/hazard.ts'
import { readReplicationFilters } from './filters.ts'

export async function groupReplication(connection: MysqlConnection): Promise<Hazard[]> {
  const members = await connection.query(
    "SELECT member_id AS name FROM performance_schema.replication_group_members WHERE member_state <> 'OFFLINE'",
    nameSchema,
  )
  if (members.length === 0) return []
  return [
    {
      what: 'group replication',
      message: 'it is a member of a replication group',
      hint: 'Only replicas of one source, by GTID, are supported.',
    },
  ]
}

const channelSchema = z.object({
  channel: z.string(),
  user: z.string(),
  auto: z.coerce.number(),
  delay: z.coerce.number(),
})

/** How a replica over a named channel becomes one that can be given another source. */
export function withoutChannel(channel: string): string {
  return `RESET REPLICA ALL FOR CHANNEL '${channel}', then CHANGE REPLICATION SOURCE TO … without FOR CHANNEL.`
}

export async function channels(connection: MysqlConnection): Promise<Hazard[]> {
  const configured = await connection.query(
    `SELECT channel_name AS channel, user, auto_position AS auto, desired_delay AS delay
      FROM performance_schema.replication_connection_configuration
      JOIN performance_schema.replication_applier_configuration USING (channel_name)
      WHERE host <> '' AND channel_name NOT LIKE 'group\\_replication\\_%'`,
    channelSchema,
  )
  const hazards: Hazard[] = []
  if (configured.length > 1) {
    hazards.push({
      what: 'several channels',
      message: `it replicates over ${configured.length} channels: ${several(configured.map(({ channel }) => `'${channel}'`))}`,
      hint: 'Only replicas of one source, by GTID, are supported.',
    })
  }
  const [only] = configured
  if (configured.length === 1 && only !== undefined && only.channel !== '') {
    hazards.push({
      what: 'named channel',
      message: `it replicates over a named channel, '${only.channel}', which could not be given another source after a failover`,
      hint: withoutChannel(only.channel),
    })
  }
  if (configured.some(({ user }) => user === '')) {
    hazards.push({
      what: 'no stored credentials',
      message: 'its replication has no stored account, so that it could not start again after a restart',
      hint: "CHANGE REPLICATION SOURCE TO SOURCE_USER = '…', SOURCE_PASSWORD = '…'",
    })
  }
  for (const { delay } of configured.filter((channel) => channel.delay > 0)) {
    hazards.push({
      what: 'delayed replication',
      message: `it stays ${delay} s behind on purpose (SOURCE_DELAY), so that it never catches up`,
      hint: 'Back up another tablet, or: CHANGE REPLICATION SOURCE TO SOURCE_DELAY = 0',
    })
  }
  if (configured.some(({ auto }) => auto === 0)) {
    hazards.push({
      what: 'replication without GTIDs',
      message: 'it replicates by file and offset, which a copy of its data cannot go on from',
      hint: 'CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1',
    })
  }
  return hazards
}

export async function gtids(connection: MysqlConnection): Promise<Hazard[]> {
  const { mode } = await connection.one('SELECT @@global.gtid_mode AS mode', z.object({ mode: z.string() }))
  const hazards: Hazard[] = []
  if (mode !== 'ON') {
    hazards.push({
      what: 'replication without GTIDs',
      message: `gtid_mode is ${mode}: a backup would have no position`,
      hint: 'gtid_mode=ON and enforce_gtid_consistency=ON on every server of the shard',
    })
  }
  if ((await readExecuted(connection)).isTagged) {
    hazards.push({
      what: 'tagged GTIDs',
      message: 'it has executed transactions with tagged GTIDs, which a position of Vitess cannot hold',
      hint: 'Tagged GTIDs (uuid:tag:number) are not supported.',
    })
  }
  return hazards
}

export async function filters(connection: MysqlConnection): Promise<Hazard[]> {
  try {
    await readReplicationFilters(connection)
    return []
  } catch (error) {
    if (!isError(error, 'Refused') || error.hint === undefined) throw error
    return [{ what: 'replication filters', message: error.message, hint: error.hint }]
  }
}
