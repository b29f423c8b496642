import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAlias, type TabletAlias } from '../model/alias.ts'
import { parseShardName, type ShardName } from '../model/shard-name.ts'
import { checksumsOf } from './checksums.ts'
import { provideMysql } from './provide-mysql.ts'
import { awaitReplicated, createReplicationAccount, type ReplicationAccount, replicateFrom } from './replicate.ts'
import { loadSampleData } from './sample-data.ts'
import { createTablet, type SampleTablet, type TabletOptions } from './sample-tablet.ts'
import { type ConfigOptions, shardConfiguration } from './shard-configuration.ts'
import { startWriteLoad, type WriteLoad } from './write-load.ts'

export interface ShardOptions {
  /** Where everything of it is kept; made when it is not there. */
  readonly directory: string
  readonly replicas: number
  /** Default: `commerce/0`. */
  readonly shard?: ShardName
  /** Default: `zone1`. */
  readonly cell?: string
  /** The primary's number; replicas count on from it. Default: 100. */
  readonly firstUid?: number
  /** Size of the sample data, about. Default: 20; 0 leaves the shard without a database. */
  readonly megabytes?: number
  /** More lines of `[mysqld]` for every tablet. */
  readonly settings?: TabletOptions['settings']
}

export type AddedTabletOptions = Pick<TabletOptions, 'datadir' | 'settings'>

/** A real primary with real replicas, with sample data, on this machine. */
export interface SampleShard extends AsyncDisposable {
  readonly shard: ShardName
  readonly primary: SampleTablet
  readonly replicas: readonly SampleTablet[]
  readonly replicationAccount: ReplicationAccount
  /** Holds the account's password, readable for us only. */
  readonly replicationPasswordFile: string
  /** One more tablet of the shard: configured, without data, not started. */
  addTablet(uid: number, options?: AddedTabletOptions): Promise<SampleTablet>
  /** The text of a tabletkeeper.yaml for the tablets that the shard has now. */
  configText(options: ConfigOptions): string
  writeLoad(): Promise<WriteLoad>
  checksums(tablet: SampleTablet): Promise<Map<string, string>>
  /** Waits until `replica` has every transaction that the primary has now. */
  awaitReplicated(replica: SampleTablet): Promise<void>
  /** Ends every mysqld of the shard. Nothing is removed. */
  stop(): Promise<void>
}

/**
 * Starts a shard: a primary and its replicas, caught up. Accounts: `tabletkeeper`@localhost (by the socket, as the present operating-system
 * user, with the agent's grants) and `repl`.
 * @throws MysqldFailed, ReplicationFailed; what was started is ended before
 */
export async function startShard(options: ShardOptions): Promise<SampleShard> {
  const { directory, cell = 'zone1', firstUid = 100, megabytes = 20, shard = parseShardName('commerce/0') } = options
  const mysql = await provideMysql()
  const account = { user: 'repl', password: randomBytes(12).toString('base64url') }
  const replicationPasswordFile = join(directory, 'replication.password')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(replicationPasswordFile, `${account.password}\n`, { mode: 0o600 })

  const tablets = new Map<TabletAlias, SampleTablet>()
  const addTablet = async (uid: number, added: AddedTabletOptions = {}) => {
    const alias = parseAlias(`${cell}-${uid}`)
    const settings = { ...options.settings, ...added.settings }
    const tablet = await createTablet({ ...added, directory: join(directory, alias), alias, mysql, settings })
    tablets.set(alias, tablet)
    return tablet
  }
  const stop = async () => {
    const others = [...tablets.values()].filter((tablet) => tablet !== primary)
    await Promise.all(others.map((tablet) => tablet.stop()))
    await primary.stop()
  }

  const primary = await addTablet(firstUid)
  const replicas: SampleTablet[] = []
  for (let uid = firstUid + 1; uid <= firstUid + options.replicas; uid += 1) replicas.push(await addTablet(uid))
  try {
    await Promise.all([startPrimary(primary, account, megabytes), ...replicas.map(startEmpty)])
    for (const replica of replicas) await replicateFrom(replica, primary, account)
    for (const replica of replicas) await awaitReplicated(replica, primary)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    shard,
    primary,
    replicas,
    replicationAccount: account,
    replicationPasswordFile,
    addTablet,
    configText: (config) =>
      shardConfiguration({ shard, tablets: [...tablets.values()], replicationPasswordFile, account }, config),
    writeLoad: () => startWriteLoad(primary),
    checksums: checksumsOf,
    awaitReplicated: (replica) => awaitReplicated(replica, primary),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function startPrimary(primary: SampleTablet, account: ReplicationAccount, megabytes: number): Promise<void> {
  await startEmpty(primary)
  await createReplicationAccount(primary, account)
  if (megabytes === 0) return
  await using connection = await primary.connect()
  await loadSampleData(connection, megabytes)
}

async function startEmpty(tablet: SampleTablet): Promise<void> {
  await tablet.initialize()
  await tablet.start()
}
