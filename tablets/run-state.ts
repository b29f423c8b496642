import type { Lease } from '../model/lease.ts'

/** One run of a workflow: a reset, or a start under the same workflow id, is another one. */
export type RunIdentity = Pick<Lease, 'namespace' | 'workflowId' | 'runId'>

/** Whether a run is still open, as far as Temporal can be asked. */
export type RunState = 'open' | 'closed' | 'unknown'
