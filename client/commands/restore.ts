import { parseAlias } from '../../model/alias.ts'
import { parseBackupName } from '../../model/backup-name.ts'
import type { TabletConfig } from '../../model/config.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { parsePosition } from '../../model/position.ts'
import type { TabletReport } from '../../model/report.ts'
import { parseTime } from '../../model/time.ts'
import { listed } from '../../storage/catalogue/catalogue.ts'
import { openStore } from '../../storage/kinds.ts'
import { backupDocument } from '../output/backups.ts'
import { EXIT } from '../output/failure.ts'
import { jsonDocument } from '../output/json.ts'
import { renderRestorePlan } from '../output/restore-plan.ts'
import { inputFor, type Lookup, lookUpIfReachable, type RestoreTarget, type WantedBackup } from '../restore-lookup.ts'
import { type CommandContext, tabletNamed } from './command.ts'
import { confirm } from './confirm.ts'
import { restoreOffline } from './restore-offline.ts'

export interface RestoreOptions {
  readonly backup?: string
  readonly before?: string
  readonly concurrency?: number
  readonly agentTimeout?: string
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly offline?: boolean
  readonly dataDir?: string
  readonly detach?: boolean
}

/**
 * `tabletkeeper restore <alias> [--backup NAME | --before TIME]`: shows its plan, asks for the alias, then does it. With `--offline` in this
 * process.
 */
export async function restore(context: CommandContext, alias: string, options: RestoreOptions): Promise<number> {
  const { terminal } = context
  const wanted = parseWanted(options)
  const named = await tabletNamed(context, alias)
  if (options.offline) {
    const { dataDir: datadir, concurrency: threads } = options
    return await restoreOffline(context, named, { wanted, datadir, threads })
  }
  if (options.dataDir !== undefined) {
    throw new TabletkeeperError('InvalidInput', 'a restore takes --data-dir only with --offline', {
      hint: "An agent knows its tablet's data directory.",
    })
  }
  const { config, tablet } = named
  const store = await openStore(config.storage)
  const { connectKeeper } = await import('./connect.ts')
  const { announceDetached, watchRun } = await import('../watch.ts')
  await using keeper = await connectKeeper(context)
  const report = await keeper.inspect({ shard: tablet.shard, tablet: tablet.alias })
  assertNoPrimary(tablet, report)
  const target = targetOf(report)
  const lookup = await lookUpIfReachable(store, tablet.shard, wanted, target)
  const input = inputFor(wanted, lookup, target)
  for (const line of renderRestorePlan(tablet, lookup, report)) terminal.note(line)
  if (!('untold' in lookup) && input.backup === undefined) {
    terminal.note(
      '      nobody tells which version its mysqld has: the agent takes an older backup where that cannot run on this one',
    )
  }
  if (options.dryRun) return showPlan(context, tablet, lookup, report)
  if (!options.yes && report.mysqld !== 'empty') {
    await confirm(terminal, 'Type the alias to replace its data: ', (answer) => isSameAlias(answer, tablet.alias))
  }
  const run = await keeper.restore({
    shard: tablet.shard,
    tablet: tablet.alias,
    ...input,
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
    ...(options.agentTimeout === undefined ? {} : { agentTimeout: options.agentTimeout }),
  })
  return options.detach ? announceDetached(context, 'restore', run) : await watchRun(context, 'restore', run)
}

/** The agent refuses it too; here, before a plan is shown that makes no sense, and before anybody is asked. */
function assertNoPrimary({ alias, shard }: TabletConfig, { primary }: TabletReport): void {
  if (primary !== alias) return
  throw new TabletkeeperError('Refused', `${alias} is the primary of ${shard}`, {
    hint: 'Nothing was changed. Restore a replica, then fail over to it.',
  })
}

function targetOf({ versionString, primaryPosition }: TabletReport): RestoreTarget {
  return {
    // An older agent does not tell it.
    serverVersion: versionString ?? null,
    executed: primaryPosition === null ? undefined : parsePosition(primaryPosition),
  }
}

function parseWanted({ backup, before }: RestoreOptions): WantedBackup {
  if (backup !== undefined && before !== undefined) {
    throw new TabletkeeperError('InvalidInput', 'a restore takes --backup or --before, not both')
  }
  return {
    backup: backup === undefined ? undefined : parseBackupName(backup).name,
    before: before === undefined ? undefined : parseTime(before),
  }
}

function showPlan(
  { terminal, json }: CommandContext,
  { shard, alias }: TabletConfig,
  lookup: Lookup,
  report: TabletReport,
): number {
  const backup = 'untold' in lookup ? null : backupDocument(listed(lookup))
  if (json) terminal.data(jsonDocument({ kind: 'restore', shard, tablet: alias, backup, report }))
  else terminal.note('dry run: nothing was changed.')
  return EXIT.done
}

function isSameAlias(answer: string, alias: string): boolean {
  try {
    return parseAlias(answer) === alias
  } catch {
    return false
  }
}
