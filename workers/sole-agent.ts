import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import type { TabletAlias } from '../model/alias.ts'
import { isElsewhere, type Machine, twoAgents } from '../model/machine.ts'
import { agentQueue } from '../model/runs.ts'
import { type Poller, readPollers } from './pollers.ts'

/** A poll that waits for a task lasts a minute (52 s seen), then the next one begins: who has not polled since is gone. */
const POLL = 70_000
const LOOK_EVERY = 1_000

/**
 * Agents on other machines that take the tablet's tasks too; none where Temporal cannot be asked, or does not let us ask. To be asked while
 * the tablet's own agent polls, which tells what time it is for Temporal.
 */
export async function agentsElsewhere(client: Client, alias: TabletAlias, machine: Machine): Promise<Poller[]> {
  const pollers = await readPollers(client, agentQueue(alias)).catch(() => [])
  return polledLately(pollers).filter(({ identity }) => isElsewhere(identity, machine))
}

/**
 * Those of all pollers that may be alive. Temporal's clock says when each was seen, and this host's may be minutes off: the newest one is
 * at most one poll old where one is alive.
 */
export function polledLately(pollers: readonly Poller[]): Poller[] {
  const newest = Math.max(...pollers.map(({ lastSeen }) => lastSeen.getTime()))
  return pollers.filter(({ lastSeen }) => newest - lastSeen.getTime() < POLL)
}

/**
 * Sees to it that no agent on another machine takes the tablet's tasks; on this one the lock in the data directory does. Temporal remembers
 * an agent that is gone for some minutes, so one that it knows is waited for: up to 70 s, until it polls again or is known not to.
 * @param onWait told once, when there is somebody to wait for
 * @throws TabletBusy when one polls; the signal's reason
 */
export async function assertSoleAgent(
  client: Client,
  alias: TabletAlias,
  machine: Machine,
  signal: AbortSignal,
  onWait: (identity: string) => void,
): Promise<void> {
  const known = async () =>
    (await readPollers(client, agentQueue(alias))).filter(({ identity }) => isElsewhere(identity, machine))
  const first = await known().catch(() => [])
  const [someone] = first
  if (someone === undefined) return
  onWait(someone.identity)
  // How old a poll is by this host's clock says nothing: that may be minutes off from Temporal's.
  for (const since = performance.now(); performance.now() - since < POLL; ) {
    const seen = await known().catch(() => first)
    if (seen.length === 0) return
    const alive = seen.find(
      ({ identity, lastSeen }) =>
        lastSeen.getTime() > (first.find((one) => one.identity === identity)?.lastSeen.getTime() ?? 0),
    )
    if (alive !== undefined) throw twoAgents(alias, [alive.identity])
    await delay(LOOK_EVERY, undefined, { signal })
  }
}
