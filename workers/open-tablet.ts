import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Config, TabletConfig } from '../model/config.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Machine } from '../model/machine.ts'
import type { ReplicaType } from '../model/tablet-type.ts'
import { privateFolder } from '../mysql/data/private-folder.ts'
import { serverUuidOf } from '../mysql/settings/staged-config.ts'
import type { FileLock } from '../mysql/system/file-lock.ts'
import { agentLockPath, lastAgent, lockAsAgent } from '../tablets/agent-lock.ts'
import { TabletClones } from '../tablets/clones.ts'
import { LagMonitor } from '../tablets/lag-monitor.ts'
import { LeaseFile } from '../tablets/lease-file.ts'
import { LeasedTablet } from '../tablets/leased-tablet.ts'
import { StandaloneDriver } from '../tablets/standalone/driver.ts'

/** A tablet in the hands of this process alone. */
export interface OpenTablet {
  readonly tablet: LeasedTablet
  readonly clones: TabletClones
  readonly lag: LagMonitor
  readonly folder: string
  /** Why the bootstrap that was tried at the agent's start left it empty. */
  emptyBecause: string | undefined
  /** Remembers what a bootstrapped tablet is for, where the configuration does not say. */
  keepType(type: ReplicaType): Promise<void>
  close(): Promise<void>
}

export interface OpenOptions {
  /** What it is for, whatever the configuration says. */
  readonly initTabletType?: ReplicaType | undefined
  /** The one that this process runs on. */
  readonly machine: Machine
  readonly log: Logger
}

/**
 * Opens a tablet for acting on it. Until it is closed no other process can.
 * @throws TabletBusy when another agent looks after it
 */
export async function openTablet(
  config: Config,
  own: TabletConfig,
  { initTabletType: forced, machine, log }: OpenOptions,
): Promise<OpenTablet> {
  const peers = [...(config.shards.get(own.shard)?.values() ?? [])].filter((peer) => peer.alias !== own.alias)
  let kept: ReplicaType | undefined
  const configured = forced === undefined ? own : { ...own, type: forced }
  const driver = new StandaloneDriver(configured, peers, () => configured.type ?? kept ?? 'REPLICA')
  const { datadir } = await driver.layout()
  await mkdir(datadir, { recursive: true, mode: 0o750 })
  const folder = await privateFolder(datadir)
  const lock = await lockAlone(folder, own)
  const leaseFile = new LeaseFile(folder)
  await leaseFile.removeUnfinished()
  const typeFile = join(folder, 'tablet-type')
  kept = parseType(await readFile(typeFile, 'utf8').catch(() => ''))
  const here = async () => ({ tablet: own.alias, machine, serverUuid: await serverUuidOf(datadir) })
  return {
    tablet: new LeasedTablet(driver, leaseFile, here, log.child({ tablet: own.alias })),
    clones: new TabletClones(driver),
    lag: new LagMonitor(driver),
    folder,
    emptyBecause: undefined,
    keepType: async (type) => {
      await writeFile(typeFile, `${type}\n`, { mode: 0o600 })
      kept = type
    },
    close: () => lock.release(),
  }
}

async function lockAlone(folder: string, own: TabletConfig): Promise<FileLock> {
  const lock = await lockAsAgent(folder, own.alias)
  if (lock !== undefined) return lock
  const { alias, pid } = (await lastAgent(folder)) ?? { alias: own.alias, pid: 'unknown' }
  throw new TabletkeeperError('TabletBusy', `another agent on this host (pid ${pid}) looks after ${alias}`, {
    hint: `Nothing was changed. Stop that one first: it has locked ${agentLockPath(folder)}.`,
  })
}

function parseType(text: string): ReplicaType | undefined {
  const type = text.trim()
  return type === 'REPLICA' || type === 'RDONLY' ? type : undefined
}
