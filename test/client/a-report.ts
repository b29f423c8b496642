import { parseAlias } from '../../model/alias.ts'
import type { TabletReport } from '../../model/report.ts'
import { SHARD, TABLET } from './run-views.ts'

/** A sound replica. */
export function aReport(changes: Partial<TabletReport> = {}): TabletReport {
  return {
    alias: TABLET,
    shard: SHARD,
    host: 'db2',
    type: 'REPLICA',
    mysqld: 'up',
    version: '9.7.4',
    versionString: 'Ver 9.7.4 MySQL Community Server',
    serving: true,
    reason: 'replication runs',
    hint: null,
    lagSeconds: 0,
    position: 'MySQL56/3eb11dad-e852-11f1-976c-02fc00000001:1-9',
    dataBytes: 41.9 * 1024 ** 3,
    freeBytes: 310 * 1024 ** 3,
    replication: 'running',
    lease: null,
    agentsElsewhere: [],
    primary: parseAlias('zone1-100'),
    wouldLose: null,
    hazards: [],
    missingGrants: [],
    primaryPosition: 'MySQL56/3eb11dad-e852-11f1-976c-02fc00000001:1-9',
    primaryPurged: 'MySQL56/',
    binlogRetentionSeconds: 2_592_000,
    ...changes,
  }
}
