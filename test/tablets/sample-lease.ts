import { parseAlias } from '../../model/alias.ts'
import type { Lease } from '../../model/lease.ts'

/** A lease of a run that holds a tablet. */
export const LEASE: Lease = {
  version: 1,
  tablet: parseAlias('zone1-101'),
  machineId: 'a'.repeat(32),
  host: 'db2',
  token: 'fedcba9876543210',
  since: '2026-11-29T00:00:00.000Z',
  state: 'held',
  type: null,
  step: null,
  touched: '2026-11-29T00:00:00.000Z',
  outOfServiceSince: null,
  reading: null,
  overridden: {},
  proven: false,
  stoppedAt: null,
  namespace: 'default',
  workflowId: 'backup/commerce/0/x',
  runId: 'run-1',
  kind: 'backup',
  returnTo: 'REPLICA',
  mysqldRan: true,
  serverUuid: null,
  captured: null,
}
