import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MysqlConnection } from '../../mysql/admin/admin.ts'
import { type SampleShard, type ShardOptions, startShard } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'

/** A shard in a temporary directory, which goes with it. */
export interface TemporaryShard extends AsyncDisposable {
  readonly shard: SampleShard
  readonly primary: SampleTablet
  /** The first replica. */
  readonly replica: SampleTablet
}

export async function temporaryShard(options: Pick<ShardOptions, 'settings'> = {}): Promise<TemporaryShard> {
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-mysql-'))
  const shard = await startShard({ directory, replicas: 1, megabytes: 1, ...options })
  const [replica] = shard.replicas
  if (replica === undefined) throw new Error('the shard has no replica')
  return {
    shard,
    primary: shard.primary,
    replica,
    [Symbol.asyncDispose]: async () => {
      await shard.stop()
      await rm(directory, { recursive: true })
    },
  }
}

/** A session of the agent's account, which has the documented grants and no others. */
export function asAgent(tablet: SampleTablet): Promise<MysqlConnection> {
  return MysqlConnection.connect({ socketPath: tablet.socket }, { user: 'tabletkeeper' })
}
