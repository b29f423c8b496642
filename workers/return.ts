import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { TabletAlias } from '../model/alias.ts'
import { type Config, findTablet } from '../model/config.ts'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { readServerLayout } from '../mysql/my-cnf.ts'
import { privateFolderPath } from '../mysql/private-folder.ts'
import { LeaseFile } from '../tablets/lease-file.ts'
import { lastReturn } from '../tablets/return-record.ts'
import { type ReturnOutcome, returnToService } from '../tablets/return-to-service.ts'
import { lastAgent, openTablet } from './open-tablet.ts'
import { RETURN_REQUEST } from './reconciler.ts'

export interface ReturnTabletOptions {
  readonly config: Config
  readonly alias: TabletAlias
  readonly log: Logger
  readonly onWait?: (waitingFor: string) => void
}

/**
 * Returns a tablet of this host to service for a person, Temporal or not: by asking the agent that looks after it, or, when none runs,
 * itself.
 * @throws Refused when the data directory of this host is another tablet's; whatever `returnToService` throws, and the lease stays then
 */
export async function returnTablet(options: ReturnTabletOptions): Promise<ReturnOutcome> {
  const { config, alias, log, onWait } = options
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
  try {
    const open = await openTablet(config, own, undefined, log)
    try {
      return await returnToService(open.tablet, {
        by: 'person',
        meant: () => true,
        limits: config.backup,
        signal: new AbortController().signal,
        ...(onWait === undefined ? {} : { onWait }),
      })
    } finally {
      await open.close()
    }
  } catch (error) {
    if (!isError(error, 'TabletBusy')) throw error
  }
  return await askAgent(folder, onWait)
}

/** The agent sees the request within seconds, acts by its own rules, and leaves its record when the tablet serves again. */
async function askAgent(folder: string, onWait?: (waitingFor: string) => void): Promise<ReturnOutcome> {
  const leaseFile = new LeaseFile(folder)
  const lease = await leaseFile.read()
  if (lease === undefined) return { outcome: 'nothing to do', type: null, lagSeconds: null, details: [] }
  const request = join(folder, RETURN_REQUEST)
  await writeFile(request, '', { mode: 0o600 })
  try {
    onWait?.('the agent of this host to return the tablet')
    let failure = ''
    while ((await leaseFile.read())?.token === lease.token) {
      const last = await readFile(request, 'utf8').catch(() => failure)
      if (last !== failure) onWait?.(`the agent to try again, since ${last}`)
      failure = last
      await delay(250)
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
