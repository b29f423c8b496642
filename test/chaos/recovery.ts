import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../model/errors.ts'
import type { Workflow } from './cases.ts'
import type { Scenery } from './chaos-world.ts'
import { leaseOf } from './step-watch.ts'

const LOOK_EVERY = 100
const ANSWERED_WITHIN = 5_000

interface ReplicaStatus {
  readonly Replica_IO_Running: string
  readonly Replica_SQL_Running: string
  readonly Source_Port: number
}

/**
 * Waits until the victim is what it was: not held, mysqld up, both threads running from the present primary, its type given back, and served.
 * A bootstrap may also have left it as empty as it was.
 * @returns when that was seen first
 * @throws after `limit` milliseconds, with what is wrong
 */
export async function awaitBack(scenery: Scenery, workflow: Workflow, limit: number): Promise<number> {
  const deadline = Date.now() + limit
  for (;;) {
    const why = await notBackBecause(scenery, workflow)
    if (why === undefined) return Date.now()
    if (Date.now() > deadline) throw new Error(`not back in service within ${limit / 1000} s: ${why}`)
    await delay(LOOK_EVERY)
  }
}

async function notBackBecause(scenery: Scenery, workflow: Workflow): Promise<string | undefined> {
  const { victim } = scenery
  try {
    const lease = await leaseOf(victim)
    if (lease !== undefined) {
      const step = lease.step === null ? 'no step' : `step ${lease.step.name}`
      return `held by ${lease.workflowId} (${lease.state}, ${step} at work)`
    }
    if (workflow === 'bootstrap' && !(await victim.hasData())) return undefined
    if ((await victim.pid()) === undefined) return 'mysqld does not run'
    return (await notReplicatingBecause(scenery)) ?? (await notServedBecause(scenery))
  } catch (error) {
    // mysqld may end while it is asked.
    return messageOf(error)
  }
}

async function notReplicatingBecause({ victim, shard }: Scenery): Promise<string | undefined> {
  const [status] = await answered(victim.query<ReplicaStatus>('SHOW REPLICA STATUS'))
  if (status === undefined) return 'it replicates from nobody'
  const { Replica_IO_Running: io, Replica_SQL_Running: sql, Source_Port: port } = status
  if (port !== shard.primary.port) return `it replicates from port ${port}, the primary's is ${shard.primary.port}`
  return io === 'Yes' && sql === 'Yes' ? undefined : `its threads do not run: IO ${io}, SQL ${sql}`
}

async function notServedBecause({ health }: Scenery): Promise<string | undefined> {
  const response = await fetch(health, { signal: AbortSignal.timeout(ANSWERED_WITHIN) })
  const text = (await response.text()).trim()
  if (response.status === 200 && text.includes('"type":"REPLICA"')) return undefined
  return `its health endpoint answers ${response.status}: ${text}`
}

/** A socket whose mysqld is frozen or waits for its disk answers nothing. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  const late = delay(ANSWERED_WITHIN, undefined, { ref: false }).then(() => {
    throw new Error('mysqld does not answer')
  })
  return await Promise.race([answer, late])
}

/** What a mysqld logs when it begins to start, and when it takes connections. */
const STARTING = /^(\S+) .*\[MY-010116\]/
const READY = /^(\S+) .*\[MY-010931\]/

/**
 * How long mysqld itself took to start, in seconds: all of its starts that began in a time and succeeded.
 * @param log the text of its error log
 */
export function startSeconds(log: string, from: number, to: number): number {
  let sum = 0
  let began: number | undefined
  for (const line of log.split('\n')) {
    const starting = STARTING.exec(line)?.[1]
    const ready = READY.exec(line)?.[1]
    if (starting !== undefined) began = Date.parse(starting)
    if (ready === undefined || began === undefined) continue
    if (began >= from && began <= to) sum += Date.parse(ready) - began
    began = undefined
  }
  return sum / 1000
}
