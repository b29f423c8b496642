import { Command, InvalidArgumentError, Option } from 'commander'
import { parseDuration } from '../model/units.ts'
import { VERSION } from '../model/version.ts'
import type { AbandonOptions } from './commands/abandon.ts'
import type { AgentOptions } from './commands/agent.ts'
import type { AgentReturnOptions } from './commands/agent-return.ts'
import type { BackupOptions } from './commands/backup.ts'
import type { BootstrapOptions } from './commands/bootstrap.ts'
import type { CancelOptions } from './commands/cancel.ts'
import type { CommandContext } from './commands/command.ts'
import type { DevOptions } from './commands/dev.ts'
import type { ListOptions } from './commands/list.ts'
import type { RemoveOptions } from './commands/remove.ts'
import type { RestoreOptions } from './commands/restore.ts'
import type { CreateOptions, NoteOptions } from './commands/schedule.ts'
import type { StatusOptions } from './commands/status.ts'
import type { VerifyOptions } from './commands/verify.ts'
import { VITESS_FLAGS, type VitessFlags } from './vitess-flags.ts'

/** Calls a command with what all of them are given, and takes its exit status. */
export type Act = (options: GlobalOptions, call: (context: CommandContext) => Promise<number>) => Promise<void>

export interface GlobalOptions {
  readonly config?: string
  readonly json?: boolean
}

/**
 * Every command, its arguments and its options. What a command does is loaded when it is called, so that `--version` and
 * `list --offline` start without Temporal's client.
 */
export function buildProgram(act: Act): Command {
  const program = new Command('tabletkeeper')
    .description('Durable backup and restore of MySQL (Vitess) tablets, as Temporal workflows.')
    .version(VERSION)
    .option(
      '--config <file>',
      'default: $TABLETKEEPER_CONFIG, ./tabletkeeper.yaml, /etc/tabletkeeper/tabletkeeper.yaml',
    )
    .showHelpAfterError('tabletkeeper --help shows what there is.')
  defineBackups(program, act)
  defineRuns(program, act)
  defineSchedules(program, act)
  defineProcesses(program, act)
  return program
}

function defineBackups(program: Command, act: Act): void {
  program.commandsGroup('Backups:')
  json(detach(program.command('backup').alias('Backup').argument('<alias|keyspace/shard>')))
    .description('back up one tablet; of a shard, the replica with the least lag')
    .addOption(concurrency())
    .option('--allow-primary', 'stop it though it takes writes, if no other tablet of its shard can be backed up')
    .option('--force-memory-tables', 'though a restart empties its MEMORY tables')
    .option('--force-min-serving', 'though fewer than backup.minServing others would serve')
    .addOption(agentTimeout())
    .action((target: string, options: BackupOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/backup.ts')).backup(context, target, options),
      ),
    )
  json(detach(program.command('restore').argument('<alias>')))
    .description("replace a tablet's data by those of a backup, then replicate from the primary")
    .option('--backup <name>', 'this backup instead of the latest')
    .option('--before <time>', 'the latest that was taken before this time (RFC 3339)')
    .addOption(concurrency())
    .addOption(agentTimeout())
    .option('--yes', 'do not ask')
    .option('--dry-run', 'stop after the plan')
    .option('--offline', 'needs storage alone: only say which backup it would be, or restore it to --data-dir')
    .option('--data-dir <path>', 'with --offline: into this empty data directory of a stopped mysqld, in this process')
    .action((alias: string, options: RestoreOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/restore.ts')).restore(context, alias, options),
      ),
    )
  json(detach(program.command('bootstrap').argument('<alias>')))
    .description('bring up a new tablet of a shard: from its latest backup, or empty when there is none')
    .option('--type <replica|rdonly>', 'what it is for; default: its configuration')
    .addOption(concurrency())
    .addOption(agentTimeout())
    .action((alias: string, options: BootstrapOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/bootstrap.ts')).bootstrap(context, alias, options),
      ),
    )
  json(program.command('list').alias('ListBackups').argument('<keyspace/shard>'))
    .description('list the backups of a shard, oldest first')
    .option('--offline', 'storage alone, no Temporal')
    .action((shard: string, options: ListOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/list.ts')).list(context, shard, options),
      ),
    )
  json(program.command('show').argument('<keyspace/shard>').argument('[name]', 'of the backup, or latest', 'latest'))
    .description('show one backup; storage alone, no Temporal')
    .option('--offline', 'as without it')
    .action((shard: string, name: string, _options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/show.ts')).show(context, shard, name),
      ),
    )
  json(
    detach(
      program.command('verify').argument('<keyspace/shard>').argument('[name]', 'of the backup, or latest', 'latest'),
    ),
  )
    .description('read a backup in full and check all of it; no tablet is touched')
    .addOption(concurrency("threads at once; default: control's configuration"))
    .option('--offline', 'in this process; needs storage alone')
    .action((shard: string, name: string, options: VerifyOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/verify.ts')).verify(context, shard, name, options),
      ),
    )
  json(program.command('remove').alias('RemoveBackup').argument('<keyspace/shard>').argument('<name>'))
    .description('remove one backup from storage')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'stop after the plan')
    .option('--offline', 'do not look whether a run uses it')
    .action((shard: string, name: string, options: RemoveOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/remove.ts')).remove(context, shard, name, options),
      ),
    )
}

function defineRuns(program: Command, act: Act): void {
  program.commandsGroup('Runs:')
  json(program.command('status').argument('[workflow id]'))
    .description('show the open runs, or one run')
    .option('--follow', 'watch that run until its end')
    .action((workflowId: string | undefined, options: StatusOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/status.ts')).status(context, workflowId, options),
      ),
    )
  json(detach(program.command('cancel').argument('<workflow id>')))
    .description('stop a run; its tablet is put back into service first')
    .action((workflowId: string, options: CancelOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/cancel.ts')).cancel(context, workflowId, options),
      ),
    )
  json(program.command('abandon').argument('<workflow id>'))
    .description('end a run that waits for a host which is gone for good')
    .option('--host-lost', 'the host will not return')
    .action((workflowId: string, options: AbandonOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/abandon.ts')).abandon(context, workflowId, options),
      ),
    )
  json(program.command('check'))
    .description('check configuration, Temporal, agents, storage, tablets and how often backups run')
    .action((_options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) => (await import('./commands/check.ts')).check(context)),
    )
}

function defineSchedules(program: Command, act: Act): void {
  const schedule = program.command('schedule').description('periodic backups, one schedule for a tablet')
  json(schedule.command('create').argument('<alias>'))
    .description('create the schedule of a tablet')
    .option('--cron <expression>', "minute hour day month weekday: '0 2 * * *'")
    .option('--every <duration>', 'instead of --cron: 24h')
    .option('--jitter <duration>', 'start up to this much later, at random')
    .option('--timezone <name>', 'of --cron; default: UTC')
    .option(
      '--catch-up <duration>',
      'how late a start that an outage of Temporal prevented is made up for; default: 1h',
    )
    .addOption(concurrency())
    .option('--allow-primary', 'as for backup')
    .action((alias: string, options: CreateOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/schedule.ts')).create(context, alias, options),
      ),
    )
  json(schedule.command('list').argument('[keyspace/shard]'))
    .description('list all schedules')
    .action((shard: string | undefined, _options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) => (await import('./commands/schedule.ts')).list(context, shard)),
    )
  json(schedule.command('show').argument('<alias>'))
    .description('show when a tablet is backed up')
    .action((alias: string, _options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) => (await import('./commands/schedule.ts')).show(context, alias)),
    )
  for (const verb of ['pause', 'resume'] as const) {
    json(schedule.command(verb).argument('<alias>'))
      .description(`${verb} a schedule`)
      .option('--note <text>', 'why')
      .action((alias: string, options: NoteOptions, command: Command) =>
        act(command.optsWithGlobals(), async (context) =>
          (await import('./commands/schedule.ts'))[verb](context, alias, options),
        ),
      )
  }
  json(schedule.command('trigger').argument('<alias>'))
    .description('back up now, as the schedule would')
    .action((alias: string, _options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/schedule.ts')).trigger(context, alias),
      ),
    )
  json(schedule.command('delete').argument('<alias>'))
    .description('delete a schedule; backups stay, a run goes on')
    .action((alias: string, _options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/schedule.ts')).remove(context, alias),
      ),
    )
}

function defineProcesses(program: Command, act: Act): void {
  program.commandsGroup('Processes:')
  const agent = vitess(program.command('agent'))
    .description("look after this host's tablets; flags of vttablet work too, with _ or -")
    .option('--tablet <alias...>', 'these tablets instead of those whose host this is')
    .action((options: AgentOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) => (await import('./commands/agent.ts')).agent(context, options)),
    )
  json(agent.command('return').argument('<alias>'))
    .description('put a tablet of this host back into service; needs neither Temporal nor a running agent')
    .option('--force-foreign-lease', 'the tablet moved here with its volume while a run held it')
    .action((alias: string, options: AgentReturnOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/agent-return.ts')).agentReturn(context, alias, options),
      ),
    )
  program
    .command('control')
    .description('run workflows')
    .action((_options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) => (await import('./commands/control.ts')).control(context)),
    )
  program
    .command('dev')
    .description('Temporal, control, an agent and a sample shard on this machine, until Ctrl-C')
    .option('--directory <path>', 'where everything of it is kept', '.tabletkeeper-dev')
    .action((options: DevOptions, command: Command) =>
      act(command.optsWithGlobals(), async (context) => (await import('./commands/dev.ts')).dev(context, options)),
    )
  const storage = program.command('storage').description('look after the place where backups are kept')
  json(storage.command('init'))
    .description('make an empty storage a repository, as the first backup would; needs storage alone')
    .action((_options: unknown, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/storage-init.ts')).storageInit(context),
      ),
    )
  const config = program.command('config').description('look at the configuration')
  json(vitess(config.command('print')))
    .description('print each setting and where it comes from')
    .action((options: VitessFlags, command: Command) =>
      act(command.optsWithGlobals(), async (context) =>
        (await import('./commands/config.ts')).printConfig(context, options),
      ),
    )
}

function json(command: Command): Command {
  return command.option('--json', 'one JSON document on stdout')
}

function detach(command: Command): Command {
  return command.option('--detach', 'print the workflow id and return')
}

function vitess(command: Command): Command {
  return VITESS_FLAGS.reduce((extended, [flag, description]) => extended.option(flag, description), command)
}

function agentTimeout(): Option {
  return new Option('--agent-timeout <duration>', "how long to wait for the tablet's agent; default: 1m").argParser(
    (text) => {
      try {
        parseDuration(text)
        return text
      } catch {
        throw new InvalidArgumentError('It is a duration: 10s, 5m.')
      }
    },
  )
}

function concurrency(description = "threads at once; default: the agent's configuration"): Option {
  return new Option('--concurrency <n>', description).argParser((text) => {
    const count = Number(text)
    if (Number.isInteger(count) && count >= 1 && count <= 64) return count
    throw new InvalidArgumentError('It is a whole number from 1 to 64.')
  })
}
