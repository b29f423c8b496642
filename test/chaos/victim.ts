import { writeFile } from 'node:fs/promises'
import { replicateFrom } from '../../sandbox/replicate.ts'
import type { SampleShard } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'

/** Short enough that a case is over in half a minute. */
export const DEAD_MAN_SECONDS = 15

/** How the agent of the victim copies backups. */
export type Mode = 'none' | 'reflink'

/** One more replica of the shard, with its data at `datadir`, caught up. It is read-only from its start, as replicas are set up. */
export async function addVictim(shard: SampleShard, datadir: string): Promise<SampleTablet> {
  const victim = await shard.addTablet(101, { datadir, settings: { super_read_only: 'ON' } })
  await victim.initialize()
  await victim.start()
  await replicateFrom(victim, shard.primary, shard.replicationAccount)
  await shard.awaitReplicated(victim)
  return victim
}

/** A mysqld that refuses to start on its data, once, when the file `refusal` is there. */
export async function writeRefusingMysqld(path: string, mysqld: string, refusal: string): Promise<void> {
  const script = `#!/bin/sh
case "$*" in
  *--version*|*--help*|*--validate-config*|*--print-defaults*|*--initialize*) ;;
  *) if rm '${refusal}' 2>/dev/null; then echo 'refusing to start, this once' >&2; exit 1; fi ;;
esac
exec '${mysqld}' "$@"
`
  await writeFile(path, script, { mode: 0o755 })
}

export interface VictimSettings {
  readonly shard: SampleShard
  readonly storageRoot: string
  readonly mysqld: string
  readonly listenPort: number
  readonly mode: Mode
}

/** The text of a tabletkeeper.yaml with short times. */
export function victimConfig({ shard, storageRoot, mysqld, listenPort, mode }: VictimSettings): string {
  const { mysqld: real } = shard.primary
  return `${shard.configText({ storageRoot }).replaceAll(real, mysqld)}
backup: { snapshot: ${mode}, level: 6, concurrency: 1, drainTimeout: 1s, maxLag: 5s, catchUpTimeout: 30s }
agent:
  listen: 127.0.0.1:${listenPort}
  restoreFromBackup: false
  deadManTimeout: ${DEAD_MAN_SECONDS}s
`
}
