import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAlias } from '../model/alias.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { parseShardName, type ShardName } from '../model/shard-name.ts'
import { checksumsOf } from './checksums.ts'
import { provideMysql } from './provide-mysql.ts'
import { awaitReplicated, createReplicationAccount, type ReplicationAccount, replicateFrom } from './replicate.ts'
import { loadSampleData } from './sample-data.ts'
import { createTablet, type SampleTablet, type TabletOptions } from './sample-tablet.ts'
import { type ConfigOptions, shardConfiguration } from './shard-configuration.ts'
import { readShardRecord, writeShardRecord } from './shard-record.ts'
import { startWriteLoad, type WriteLoad } from './write-load.ts'

export interface ShardOptions {
  /**
   * Where everything of it is kept; made when it is not there. When it holds a shard, that one is started and the rest
   * is ignored.
   */
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
 * Starts a shard: a primary and its replicas, caught up. Accounts: `tabletkeeper`@localhost (by the socket, as the
 * present operating-system user, with the agent's grants) and `repl`. A directory that holds a shard already is started
 * again as it was left.
 * @throws MysqldFailed, ReplicationFailed; what was started is stopped before
 */
export async function startShard(options: ShardOptions): Promise<SampleShard> {
  const { directory, cell = 'zone1', firstUid = 100, megabytes = 20 } = options
  const mysql = await provideMysql()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const record = await readShardRecord(directory)
  const shard = record?.shard ?? options.shard ?? parseShardName('commerce/0')
  const replicationPasswordFile = join(directory, 'replication.password')
  const account = await replicationAccount(replicationPasswordFile)

  const tablets: SampleTablet[] = []
  const add = async (tablet: Omit<TabletOptions, 'directory' | 'mysql'>) => {
    const added = await createTablet({ ...tablet, directory: join(directory, tablet.alias), mysql })
    tablets.push(added)
    await writeShardRecord(directory, shard, tablets)
    return added
  }
  const addTablet = (uid: number, { datadir, settings }: AddedTabletOptions = {}) =>
    add({
      alias: parseAlias(`${cell}-${uid}`),
      settings: { ...options.settings, ...settings },
      ...(datadir === undefined ? {} : { datadir }),
    })
  if (record === undefined) {
    for (let uid = firstUid; uid <= firstUid + options.replicas; uid += 1) await addTablet(uid)
  } else {
    for (const tablet of record.tablets) await add(tablet)
  }
  const [primary, ...replicas] = tablets
  if (primary === undefined) throw new TabletkeeperError('NotFound', `${directory} records a shard without tablets`)

  const stop = async () => {
    await Promise.all(tablets.filter((tablet) => tablet !== primary).map((tablet) => tablet.stop()))
    await primary.stop()
  }
  try {
    if (record === undefined) await startNew(primary, replicas, account, megabytes)
    else await startAgain(primary, replicas)
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
    configText: (config) => shardConfiguration({ shard, tablets, replicationPasswordFile, account }, config),
    writeLoad: () => startWriteLoad(primary),
    checksums: checksumsOf,
    awaitReplicated: (replica) => awaitReplicated(replica, primary),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function replicationAccount(passwordFile: string): Promise<ReplicationAccount> {
  const fresh = `${randomBytes(12).toString('base64url')}\n`
  const password = await readFile(passwordFile, 'utf8').catch(async () => {
    await writeFile(passwordFile, fresh, { mode: 0o600 })
    return fresh
  })
  return { user: 'repl', password: password.trimEnd() }
}

async function startNew(
  primary: SampleTablet,
  replicas: readonly SampleTablet[],
  account: ReplicationAccount,
  megabytes: number,
): Promise<void> {
  await Promise.all([startPrimary(primary, account, megabytes), ...replicas.map(startEmpty)])
  for (const replica of replicas) await replicateFrom(replica, primary, account)
  for (const replica of replicas) await awaitReplicated(replica, primary)
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

/** Replication starts by itself with mysqld; what `SET GLOBAL` said does not come back. */
async function startAgain(primary: SampleTablet, replicas: readonly SampleTablet[]): Promise<void> {
  await primary.start()
  for (const replica of replicas) {
    if (!(await replica.hasData())) continue
    await replica.start()
    await replica.query('SET GLOBAL super_read_only = ON')
  }
}
