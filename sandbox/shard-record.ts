import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { parseAlias } from '../model/alias.ts'
import { parseShardName, type ShardName } from '../model/shard-name.ts'
import type { SampleTablet } from './sample-tablet.ts'

const recordSchema = z.object({
  shard: z.string().transform(parseShardName),
  tablets: z.array(
    z.object({
      alias: z.string().transform(parseAlias),
      port: z.number(),
      serverId: z.number(),
      datadir: z.string(),
      settings: z.record(z.string(), z.union([z.string(), z.number()])),
    }),
  ),
})

/** What the directory of a sample shard says about it: enough to start it again. The first tablet is the primary. */
export type ShardRecord = z.infer<typeof recordSchema>

/** The shard that is in `directory` already; undefined when there is none. */
export async function readShardRecord(directory: string): Promise<ShardRecord | undefined> {
  const text = await readFile(join(directory, 'shard.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : recordSchema.parse(JSON.parse(text))
}

export async function writeShardRecord(
  directory: string,
  shard: ShardName,
  tablets: Iterable<SampleTablet>,
): Promise<void> {
  const record: ShardRecord = {
    shard,
    tablets: [...tablets].map(({ alias, port, serverId, datadir, settings }) => ({
      alias,
      port,
      serverId,
      datadir,
      settings,
    })),
  }
  await writeFile(join(directory, 'shard.json'), `${JSON.stringify(record, null, 2)}\n`)
}
