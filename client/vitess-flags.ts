import type { Config } from '../model/config.ts'
import type { ConfigOverride } from '../model/config-overrides.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { partsOf } from '../model/shard-name.ts'
import type { ReplicaType } from '../model/tablet-type.ts'

/**
 * Flags of vttablet that the agent takes too, so that a start script needs no other words; as commander names their options. Vitess
 * reads each of them with `_` or `-`, with one dash or two.
 */
export interface VitessFlags {
  readonly restoreFromBackup?: string
  readonly initKeyspace?: string
  readonly initShard?: string
  readonly initTabletType?: string
  readonly concurrency?: string
  readonly restoreConcurrency?: string
  readonly backupStorageImplementation?: string
  readonly fileBackupStorageRoot?: string
}

/** Each flag as vttablet documents it, and what it is for here. */
export const VITESS_FLAGS = [
  ['--restore-from-backup <bool>', 'restore an empty tablet at start: agent.restoreFromBackup'],
  ['--init-keyspace <keyspace>', 'take only tablets of this keyspace'],
  ['--init-shard <shard>', 'take only tablets of this shard'],
  ['--init-tablet-type <type>', 'what its tablets are for: replica or rdonly'],
  ['--concurrency <n>', 'files that a backup copies at once: backup.concurrency'],
  ['--restore-concurrency <n>', 'files that a restore copies at once: restore.concurrency'],
  ['--backup-storage-implementation <kind>', 'storage.kind'],
  ['--file-backup-storage-root <directory>', 'storage.root'],
] as const

const NAMES: ReadonlySet<string> = new Set(VITESS_FLAGS.map(([flag]) => flag.slice(2).split(' ')[0] ?? ''))
const COMMANDS: ReadonlySet<string> = new Set(['agent', 'config'])

/** The arguments with Vitess's spellings of these flags turned into ours, where a command takes them; all others as they are. */
export function normalizeVitessFlags(args: readonly string[]): string[] {
  const command = args.findIndex((arg) => COMMANDS.has(arg))
  const end = args.indexOf('--')
  return args.map((arg, at) => (command === -1 || at < command || (end !== -1 && at > end) ? arg : normalize(arg)))
}

function normalize(arg: string): string {
  const [, name, value = ''] = /^--?([a-z][a-z_-]+)(=.*)?$/s.exec(arg) ?? []
  const ours = name?.replaceAll('_', '-')
  if (ours === undefined || !NAMES.has(ours)) return arg
  // A boolean of Go takes its value after `=` alone, and is true without.
  return `--${ours}${value || (ours === 'restore-from-backup' ? '=true' : '')}`
}

/** What the flags say in place of the configuration, each under the name that Vitess documents. */
export function vitessOverrides(flags: VitessFlags): ConfigOverride[] {
  const said = [
    ['agent.restoreFromBackup', flags.restoreFromBackup, '--restore_from_backup'],
    ['backup.concurrency', flags.concurrency, '--concurrency'],
    ['restore.concurrency', flags.restoreConcurrency, '--restore_concurrency'],
    ['storage.kind', flags.backupStorageImplementation, '--backup_storage_implementation'],
    ['storage.root', flags.fileBackupStorageRoot, '--file_backup_storage_root'],
  ] as const
  return said.flatMap(([key, value, origin]) => (value === undefined ? [] : [{ key, value, origin }]))
}

/**
 * What `--init_tablet_type` says.
 * @throws InvalidInput for anything but `replica` and `rdonly`
 */
export function parseReplicaType(text: string | undefined): ReplicaType | undefined {
  switch (text?.toLowerCase()) {
    case undefined:
      return undefined
    case 'replica':
      return 'REPLICA'
    case 'rdonly':
      return 'RDONLY'
    default:
      throw new TabletkeeperError(
        'InvalidInput',
        `${JSON.stringify(text)} is not a type for a tablet that replicates`,
        {
          hint: 'Say replica or rdonly. Who is primary is observed.',
        },
      )
  }
}

/**
 * The configuration with only the shards that `--init_keyspace` and `--init_shard` name.
 * @throws InvalidConfig when it has no such shard
 */
export function narrowToInitShard(config: Config, { initKeyspace, initShard }: VitessFlags): Config {
  if (initKeyspace === undefined && initShard === undefined) return config
  const shards = [...config.shards].filter(([name]) => {
    const { keyspace, shard } = partsOf(name)
    return (initKeyspace ?? keyspace) === keyspace && (initShard ?? shard) === shard
  })
  if (shards.length > 0) return { ...config, shards: new Map(shards) }
  const named = `${initKeyspace ?? '*'}/${initShard ?? '*'}`
  throw new TabletkeeperError(
    'InvalidConfig',
    `--init_keyspace and --init_shard name ${named}, which the configuration has not`,
    {
      hint: `It has ${[...config.shards.keys()].join(', ') || 'no shards'}.`,
    },
  )
}
