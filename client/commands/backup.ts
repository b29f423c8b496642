import type { TabletConfig } from '../../model/config.ts'
import { messageOf } from '../../model/errors.ts'
import type { TabletReport } from '../../model/report.ts'
import type { ShardName } from '../../model/shard-name.ts'
import { chooseForBackup } from '../choose-tablet.ts'
import { Tabletkeeper } from '../tabletkeeper.ts'
import { announceDetached, watchRun } from '../watch.ts'
import { type CommandContext, shardNamed, tabletNamed } from './command.ts'

export interface BackupOptions {
  readonly concurrency?: number
  readonly agentTimeout?: string
  readonly detach?: boolean
}

/** `tabletkeeper backup <alias> | <keyspace/shard>` */
export async function backup(context: CommandContext, target: string, options: BackupOptions): Promise<number> {
  const { terminal } = context
  const { concurrency, agentTimeout, detach } = options
  const named = target.includes('/') ? await shardNamed(context, target) : await tabletNamed(context, target)
  await using keeper = await Tabletkeeper.connect()
  const { shard, alias, host } = 'tablet' in named ? named.tablet : await choose(keeper, named.shard, named.tablets)
  const run = await keeper.backup({
    shard,
    tablet: alias,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(agentTimeout === undefined ? {} : { agentTimeout }),
  })
  if (detach) return announceDetached(context, 'backup', run)
  terminal.note(terminal.notePaint.strong(`${shard} from ${alias} (${host})`))
  return await watchRun(context, 'backup', run)
}

async function choose(keeper: Tabletkeeper, shard: ShardName, tablets: readonly TabletConfig[]): Promise<TabletReport> {
  const asked = tablets.map(async ({ alias }) => {
    try {
      return await keeper.inspect({ shard, tablet: alias })
    } catch (error) {
      return { alias, silence: messageOf(error) }
    }
  })
  return chooseForBackup(shard, await Promise.all(asked))
}
