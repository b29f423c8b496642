import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { TabletAlias } from '../model/alias.ts'
import { type Config, findTablet, type TabletConfig } from '../model/config.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { foreignLease, foreignTo } from '../model/lease.ts'
import { giveToOwner, privateFolderPath } from '../mysql/data/private-folder.ts'
import { readServerLayout } from '../mysql/settings/my-cnf.ts'
import { serverUuidOf } from '../mysql/settings/staged-config.ts'
import { lockHolder } from '../mysql/system/file-lock.ts'
import { ownedFile } from '../mysql/system/file-owner.ts'
import { isCode } from '../mysql/system/system-error.ts'
import { agentLockPath, lastAgent } from '../tablets/agent-lock.ts'
import { LeaseFile } from '../tablets/lease-file.ts'
import { lastReturn } from '../tablets/return-record.ts'
import { type ReturnOutcome, returnToService } from '../tablets/return-to-service.ts'
import { thisMachine } from './machine.ts'
import { openTablet } from './open-tablet.ts'
import { RETURN_REQUEST } from './reconciler.ts'

export interface ReturnTabletOptions {
  readonly config: Config
  readonly alias: TabletAlias
  /** A person has said that the tablet moved here: a lease that is not its own becomes its own. */
  readonly forceForeignLease?: boolean | undefined
  readonly log: Logger
  /** Ends the waiting: the request is withdrawn, and what was begun stays for the next one who returns the tablet. */
  readonly signal: AbortSignal
  readonly onWait?: (waitingFor: string) => void
  /** Told when the agent that was asked has ended, and this process does it. */
  readonly onTakeOver?: () => void
}

const LOOK_EVERY = 250
/** How often the agent that was asked is looked for, in milliseconds: one that has ended is waited for in vain. */
const SEEK_EVERY = 3_000

/**
 * Returns a tablet of this host to service for a person, Temporal or not: by asking the agent that looks after it, or, when none runs or
 * it ends meanwhile, itself.
 * @throws Refused when the data directory of this host is another tablet's, or another user's, or its lease is not its own; whatever
 *   `returnToService` throws, and the lease stays then
 */
export async function returnTablet(options: ReturnTabletOptions): Promise<ReturnOutcome> {
  try {
    return await returnOwn(options)
  } catch (error) {
    throw isCode(error, 'EACCES', 'EPERM') ? await asOthersFile(error, options) : error
  }
}

/** What to say where the agent's user has to ask. */
async function asOthersFile(cause: unknown, { alias, forceForeignLease }: ReturnTabletOptions): Promise<unknown> {
  if (!(cause instanceof Error && 'path' in cause && typeof cause.path === 'string')) return cause
  const { path, owner } = await ownedFile(cause.path)
  const typed = `sudo tabletkeeper agent return ${alias}${forceForeignLease ? ' --force-foreign-lease' : ''}`
  return new TabletkeeperError(
    'Refused',
    `${path} belongs to ${owner}: type it as root, or as the user that the agent runs as`,
    { cause, hint: typed },
  )
}

async function returnOwn(options: ReturnTabletOptions): Promise<ReturnOutcome> {
  const { config, alias } = options
  const own = findTablet(config, alias)
  const { datadir } = await readServerLayout(own.mysql.mysqld, own.mysql.defaultsFile)
  const folder = privateFolderPath(datadir)
  const agent = await lastAgent(folder)
  if (agent !== undefined && agent.alias !== alias) {
    throw new TabletkeeperError(
      'Refused',
      `${datadir} on this host is the data directory of ${agent.alias}, not of ${alias}`,
      {
        hint: `Nothing was changed. Type it on ${own.host}, the host of ${alias}.`,
      },
    )
  }
  await ownLease(datadir, alias, options.forceForeignLease === true)
  for (;;) {
    const returned = (await returnHere(own, options)) ?? (await askAgent(folder, options))
    if (returned !== undefined) return returned
    options.onTakeOver?.()
  }
}

/** Undefined where an agent looks after the tablet. */
async function returnHere(
  own: TabletConfig,
  { config, log, signal, onWait }: ReturnTabletOptions,
): Promise<ReturnOutcome | undefined> {
  try {
    const open = await openTablet(config, own, { machine: await thisMachine(), log })
    try {
      return await returnToService(open.tablet, {
        by: 'person',
        meant: () => true,
        limits: config.backup,
        signal,
        ...(onWait === undefined ? {} : { onWait }),
      })
    } finally {
      await open.close()
    }
  } catch (error) {
    if (!isError(error, 'TabletBusy')) throw error
    return undefined
  }
}

/** A lease that came with a copy of the data is not acted by before it was made the tablet's own; nobody else changes it meanwhile. */
async function ownLease(datadir: string, tablet: TabletAlias, force: boolean): Promise<void> {
  const file = new LeaseFile(privateFolderPath(datadir))
  const lease = await file.read()
  if (lease === undefined) return
  const machine = await thisMachine()
  const serverUuid = await serverUuidOf(datadir)
  const why = foreignTo(lease, { tablet, machine, serverUuid })
  if (why === undefined) return
  if (!force) throw foreignLease(lease, why, tablet, { type: 'Refused', retryable: false })
  const { id: machineId, host } = machine
  await file.replace({ ...lease, tablet, machineId, host, serverUuid: serverUuid ?? null })
}

/**
 * The agent sees the request within seconds, acts by its own rules, and leaves its record when the tablet serves again. Undefined when it
 * has ended before.
 */
async function askAgent(
  folder: string,
  { signal, onWait }: Pick<ReturnTabletOptions, 'signal' | 'onWait'>,
): Promise<ReturnOutcome | undefined> {
  const leaseFile = new LeaseFile(folder)
  const lease = await leaseFile.read()
  if (lease === undefined) return { outcome: 'nothing to do', type: null, lagSeconds: null, details: [] }
  const request = join(folder, RETURN_REQUEST)
  await writeFile(request, '', { mode: 0o600 })
  try {
    await giveToOwner(folder, request)
    onWait?.('the agent of this host to return the tablet')
    let failure = ''
    const isHeld = async () => (await leaseFile.read())?.token === lease.token
    for (let sought = performance.now(); await isHeld(); ) {
      if (performance.now() - sought > SEEK_EVERY) {
        // Asked, not locked: an agent that starts just now is not kept from it.
        const isGone = (await lockHolder(agentLockPath(folder))) === undefined
        // Once more, since it may have done so just before its end.
        if (isGone && (await isHeld())) return undefined
        sought = performance.now()
      }
      const last = await readFile(request, 'utf8').catch(() => failure)
      if (last !== failure) onWait?.(`the agent to try again, since ${last}`)
      failure = last
      await delay(LOOK_EVERY, undefined, { signal })
    }
  } finally {
    await rm(request, { force: true })
  }
  const record = await lastReturn(leaseFile.path)
  return {
    outcome: 'returned',
    type: lease.returnTo,
    lagSeconds: null,
    details: record?.token === lease.token ? record.details : [],
  }
}
