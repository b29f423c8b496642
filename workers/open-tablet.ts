import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Config, TabletConfig } from '../model/config.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { ReplicaType } from '../model/tablet-type.ts'
import { type FileLock, lockFile } from '../mysql/file-lock.ts'
import { privateFolder } from '../mysql/private-folder.ts'
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

/**
 * Opens a tablet for acting on it. Until it is closed no other process can.
 * @throws TabletBusy when another agent looks after it
 */
export async function openTablet(
  config: Config,
  own: TabletConfig,
  forced: ReplicaType | undefined,
  log: Logger,
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
  return {
    tablet: new LeasedTablet(driver, leaseFile, log.child({ tablet: own.alias })),
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
  const path = join(folder, LOCK)
  await (await open(path, 'a', 0o600)).close()
  const lock = await lockFile(path)
  if (lock === undefined) {
    const holder = await lastAgent(folder)
    const { alias, pid } = holder ?? { alias: own.alias, pid: 'unknown' }
    throw new TabletkeeperError('TabletBusy', `another agent on this host (pid ${pid}) looks after ${alias}`, {
      hint: `Nothing was changed. Stop that one first: it has locked ${path}.`,
    })
  }
  await writeFile(path, `${own.alias} ${process.pid}\n`)
  return lock
}

const LOCK = 'agent.lock'

/** Who looks after the tablet of this private folder, or did so last. */
export async function lastAgent(folder: string): Promise<{ readonly alias: string; readonly pid: string } | undefined> {
  const [, alias, pid] = /^(\S+) (\d+)\n$/.exec(await readFile(join(folder, LOCK), 'utf8').catch(() => '')) ?? []
  return alias === undefined || pid === undefined ? undefined : { alias, pid }
}

function parseType(text: string): ReplicaType | undefined {
  const type = text.trim()
  return type === 'REPLICA' || type === 'RDONLY' ? type : undefined
}
