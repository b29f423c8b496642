import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import type { Scenery } from './chaos-world.ts'

/**
 * The victim holds what the primary holds, transaction for transaction and row for row.
 * @throws naming the tables, or the transactions, that differ
 */
export async function assertSameData({ victim, shard, load }: Scenery): Promise<void> {
  await load.hold()
  try {
    await shard.awaitReplicated(victim)
    const [ours, theirs] = await Promise.all([executed(victim), executed(shard.primary)])
    if (ours !== theirs) throw new Error(`its transactions are not the primary's: ${ours} is not ${theirs}`)
    const [present, wanted] = await Promise.all([shard.checksums(victim), shard.checksums(shard.primary)])
    const tables = new Set([...present.keys(), ...wanted.keys()])
    const differing = [...tables].filter((table) => present.get(table) !== wanted.get(table))
    if (differing.length > 0) throw new Error(`its data are not the primary's: ${differing.join(', ')}`)
  } finally {
    load.resume()
  }
}

async function executed(tablet: SampleTablet): Promise<string> {
  const [row] = await tablet.query<{ gtids: string }>('SELECT @@global.gtid_executed AS gtids')
  return (row?.gtids ?? '').replaceAll(/\s/g, '')
}
