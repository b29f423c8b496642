import type { TabletActivities } from '../../activities/contract.ts'

/** Words that an agent tells, each by another way into Temporal. */
export const PLANTED = {
  warning: 'planted-warning',
  token: 'planted-token',
  position: 'MySQL56/planted-position:1-7',
  failure: 'planted-failure: the end of an error log',
  hint: 'planted-hint',
  heartbeat: 'planted-heartbeat',
} as const

/** A backup in which every step succeeds at once. */
export const PLAYED_BACKUP: Partial<TabletActivities> = {
  preflightBackup: async () => ({
    type: 'REPLICA',
    lagSeconds: 0,
    dataBytes: 1,
    snapshot: 'none',
    othersServing: 2,
    warnings: [{ about: 'zone1-0000000101', message: PLANTED.warning }],
  }),
  takeTablet: async () => ({ token: PLANTED.token }),
  takeOutOfService: async () => ({ sessionsEnded: 0 }),
  stopReplication: async () => ({ position: PLANTED.position }),
  stopMysqld: async () => ({ lsn: '1' }),
  copyFiles: async () => ({ files: 9, dataBytes: 1, storedBytes: 1, badPages: 0, firstBadPages: [] }),
  startMysqld: async () => undefined,
  rejoin: async () => ({ type: 'REPLICA', lagSeconds: 0, caughtUp: true }),
  releaseTablet: async () => undefined,
  returnToService: async () => ({ by: 'workflow', details: [] }),
  checkBackup: async () => ({ objects: 9 }),
  publishBackup: async () => ({ errant: null }),
}
