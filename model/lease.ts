import { z } from 'zod'
import type { TabletAlias } from './alias.ts'
import { TabletkeeperError } from './errors.ts'
import type { Machine } from './machine.ts'

/**
 * The record, on the tablet's own host, of which run holds the tablet and of what must be undone. It is the tablet's lock and the
 * only state about being out of service.
 *
 *   (none) ──take──▶ held ──release──▶ (none)
 *                     │ ▲
 *          step begins│ │step ends        a step writes its name before it acts, so that whoever finds
 *                     ▼ │                 the lease knows what may have happened
 *                  held, step
 *                     │
 *        returnToService (workflow, reconciler or person)
 *                     ▼
 *                 returning ──tablet serves again──▶ (none)
 *
 * From `returning` no step begins: a late activity gets FenceBroken. A lease never goes from `returning` back to `held`.
 */
const leaseSchema = z.strictObject({
  version: z.literal(1),
  /** Alias of the tablet that was taken. */
  tablet: z.string(),
  /** Known to the run that took the tablet, and to nobody else. */
  token: z.string().min(16),
  namespace: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  kind: z.enum(['backup', 'restore', 'bootstrap']),
  since: z.iso.datetime(),
  state: z.enum(['held', 'returning']),
  /** The type that the tablet shows while it is held; null until a step changes it. */
  type: z.enum(['PRIMARY', 'REPLICA', 'RDONLY', 'SPARE', 'DRAINED', 'BACKUP', 'RESTORE']).nullable(),
  /** The type to return to; null for a bootstrap, which returns to nothing until its data are proven. */
  returnTo: z.enum(['PRIMARY', 'REPLICA', 'RDONLY', 'SPARE', 'DRAINED']).nullable(),
  /** Whether mysqld ran when the tablet was taken: a return starts it only then. */
  mysqldRan: z.boolean(),
  serverUuid: z.string().nullable(),
  /** Where it was taken: what tells it from its copy on a clone of that machine. */
  machineId: z.string(),
  host: z.string(),
  step: z.object({ name: z.string(), activityId: z.string(), since: z.iso.datetime() }).nullable(),
  /** When a step last began, ended or gave a sign of life. */
  touched: z.iso.datetime(),
  outOfServiceSince: z.iso.datetime().nullable(),
  /** Settings that a restart of mysqld forgets, as read before anything was changed (mysql/settings/settings.ts). */
  captured: z.unknown(),
  /** What step 2 read, to be stored with the data. */
  reading: z
    .object({
      position: z.string(),
      purgedPosition: z.string(),
      serverUuid: z.string(),
      versionString: z.string(),
      takenAt: z.iso.datetime(),
    })
    .nullable(),
  /** Of a restore: what the host had persisted for variables that hold other values until its data have started once (mysql/settings/staged-config.ts). */
  overridden: z.record(z.string(), z.string()),
  /** Of a restore: the data that were swapped in stood at the backup's position; what may be missing of the proof is to reset their history. */
  proven: z.boolean(),
  /** Of a restore: the transactions of the data that it replaces, as they were last seen; a GTID set. */
  replaced: z.string().exactOptional(),
  /** The log sequence number of the proven clean stop. */
  stoppedAt: z.string().regex(/^\d+$/).nullable(),
})

export type Lease = z.infer<typeof leaseSchema>

/** Who looks at a lease. */
export interface Here {
  readonly tablet: TabletAlias
  readonly machine: Machine
  /** Undefined while nobody can tell. */
  readonly serverUuid: string | undefined
}

/**
 * Why a lease is not this tablet's on this machine, although it lies in its data directory: that was copied, or moved here, while a run
 * held the tablet. Undefined when it is its own.
 */
export function foreignTo({ tablet, host, machineId, serverUuid }: Lease, here: Here): string | undefined {
  if (tablet !== here.tablet) return `it is of ${tablet}`
  if (machineId !== here.machine.id) return `it was taken on another machine, ${host}`
  if (serverUuid !== null && here.serverUuid !== undefined && serverUuid !== here.serverUuid)
    return `it was taken for the server ${serverUuid}, and the data are of ${here.serverUuid}`
  return undefined
}

/** @returns the error for whoever would act by a lease that is not its tablet's own */
export function foreignLease(
  lease: Lease,
  why: string,
  tablet: TabletAlias,
  how: { readonly type: 'TabletBusy' | 'FenceBroken' | 'Refused'; readonly retryable: boolean },
): TabletkeeperError {
  return new TabletkeeperError(
    how.type,
    `the lease in the data directory of ${tablet} is not its own: ${why}, by ${lease.workflowId} (run ${lease.runId})`,
    {
      retryable: how.retryable,
      hint: `Nothing was changed. If ${lease.host} is gone, or its volume moved here: sudo tabletkeeper agent return ${tablet} --force-foreign-lease. If it lives on, this is a copy of its data: stop this agent, empty the data directory and bootstrap it under an alias of its own.`,
    },
  )
}

/** How a run proves that it holds the lease. */
export interface Claim {
  readonly runId: string
  readonly token: string
}

/**
 * Reads a lease file.
 * @throws FenceBroken when it is not one: a person must look before anything acts on that tablet
 */
export function parseLease(text: string, path: string): Lease {
  try {
    return leaseSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw new TabletkeeperError('FenceBroken', `the lease ${path} cannot be read`, {
      cause,
      hint: 'Look at the tablet: when mysqld and replication run, remove the file.',
    })
  }
}

/**
 * Refuses whoever may not act on the tablet any more.
 * @throws FenceBroken
 */
export function assertClaim(lease: Lease | undefined, claim: Claim, tablet: string): asserts lease is Lease {
  if (lease === undefined) throw fenceBroken(`this run holds ${tablet} no longer: it was returned to service`)
  if (lease.token !== claim.token || lease.runId !== claim.runId)
    throw fenceBroken(`this run holds ${tablet} no longer: ${lease.workflowId} (run ${lease.runId}) does`)
  if (lease.state === 'returning')
    throw fenceBroken(`${tablet} is being returned to service: no step of this run begins on it`)
}

function fenceBroken(message: string): TabletkeeperError {
  return new TabletkeeperError('FenceBroken', message, {
    hint: 'This run leaves the tablet alone from here on. If it is still wanted, start it again.',
  })
}
