import type { TabletAlias } from './alias.ts'
import { TabletkeeperError } from './errors.ts'

/** A machine that agents run on. */
export interface Machine {
  /** 32 hex digits, or the host's name where it has no machine id; the same after a reboot, another one on a clone. */
  readonly id: string
  readonly host: string
}

const SHOWN_DIGITS = 12
const IDENTITY = /^(\d+)@(.+)#([^#]{1,12})$/

/** As an agent calls itself to Temporal: `4711@db1#0f4c2d1e5b6a`. Tells machines apart that have the same name. */
export function agentIdentity({ host, id }: Machine, pid: number): string {
  return `${pid}@${host}#${id.slice(0, SHOWN_DIGITS).replaceAll('#', '_')}`
}

/** Whether a worker that calls itself so is an agent on another machine. One that is no agent of ours counts as one: nobody else may take an agent's tasks. */
export function isElsewhere(identity: string, { host, id }: Machine): boolean {
  const [, , seenHost, seenId] = IDENTITY.exec(identity) ?? []
  return seenHost !== host || seenId !== id.slice(0, SHOWN_DIGITS).replaceAll('#', '_')
}

/** @returns the error for a tablet whose tasks go to its agent or to another one, as it happens */
export function twoAgents(tablet: TabletAlias, identities: readonly string[]): TabletkeeperError {
  return new TabletkeeperError('TabletBusy', `another agent takes the tasks of ${tablet}: ${identities.join(', ')}`, {
    hint: 'Nothing was changed. Stop one of them: a tablet has one agent, on its own host.',
  })
}
