import { messageOf } from '../../model/errors.ts'
import type { TabletReport } from '../../model/report.ts'
import type { BackupForce } from '../../model/runs.ts'
import { chooseForBackup } from '../choose-tablet.ts'
import type { Tabletkeeper } from '../tabletkeeper.ts'
import { announceDetached, watchRun } from '../watch.ts'
import { type CommandContext, type ShardNamed, shardNamed, tabletNamed } from './command.ts'
import { connectKeeper } from './connect.ts'

export interface BackupOptions {
  readonly concurrency?: number
  readonly allowPrimary?: boolean
  readonly forceMemoryTables?: boolean
  readonly forceMinServing?: boolean
  readonly agentTimeout?: string
  readonly detach?: boolean
}

/** `tabletkeeper backup <alias> | <keyspace/shard>` */
export async function backup(context: CommandContext, target: string, options: BackupOptions): Promise<number> {
  const { terminal } = context
  const { concurrency, allowPrimary, agentTimeout, detach } = options
  const force = forcedBy(options)
  const named = target.includes('/') ? await shardNamed(context, target) : await tabletNamed(context, target)
  await using keeper = await connectKeeper(context)
  const { shard, alias, host } = 'tablet' in named ? named.tablet : await choose(keeper, named, allowPrimary)
  const run = await keeper.backup({
    shard,
    tablet: alias,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(allowPrimary === undefined ? {} : { allowPrimary }),
    ...(force.length === 0 ? {} : { force }),
    ...(agentTimeout === undefined ? {} : { agentTimeout }),
  })
  if (detach) return announceDetached(context, 'backup', run)
  terminal.note(terminal.notePaint.strong(`${shard} from ${alias} (${host})`))
  return await watchRun(context, 'backup', run)
}

function forcedBy({ forceMemoryTables, forceMinServing }: BackupOptions): BackupForce[] {
  return [
    ...(forceMemoryTables ? (['memory-tables'] as const) : []),
    ...(forceMinServing ? (['min-serving'] as const) : []),
  ]
}

async function choose(
  keeper: Tabletkeeper,
  { shard, tablets, config }: ShardNamed,
  allowPrimary = config.backup.allowPrimary,
): Promise<TabletReport> {
  const asked = tablets.map(async ({ alias }) => {
    try {
      return await keeper.inspect({ shard, tablet: alias })
    } catch (error) {
      return { alias, silence: messageOf(error) }
    }
  })
  return chooseForBackup(shard, await Promise.all(asked), allowPrimary)
}
