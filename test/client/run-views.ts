import type { RunView } from '../../client/run-handle.ts'
import type { PendingActivity, RunStatus } from '../../client/run-status.ts'
import { parseAlias } from '../../model/alias.ts'
import { backupNameOf } from '../../model/backup-name.ts'
import type { RunProgress } from '../../model/runs.ts'
import { parseShardName } from '../../model/shard-name.ts'

export const SHARD = parseShardName('commerce/0')
export const TABLET = parseAlias('zone1-101')
export const STARTED = new Date('2026-11-24T02:30:00Z')
export const BACKUP = backupNameOf(TABLET, STARTED)
export const RUN_ID = `backup/${SHARD}/${TABLET}/2026-11-24T02:30:00Z`

/** `seconds` after the start of the run. */
export function at(seconds: number): Date {
  return new Date(STARTED.getTime() + seconds * 1000)
}

/** A backup that runs and is between two steps. */
export function aProgress(changes: Partial<RunProgress> = {}): RunProgress {
  return {
    kind: 'backup',
    shard: SHARD,
    tablet: TABLET,
    backup: BACKUP,
    done: [],
    current: null,
    failure: null,
    ...changes,
  }
}

export function aStatus(changes: Partial<RunStatus> = {}): RunStatus {
  return {
    workflowId: RUN_ID,
    runId: '0198',
    kind: 'backup',
    state: 'running',
    startedAt: STARTED,
    closedAt: undefined,
    subject: { shard: SHARD, tablet: TABLET },
    shard: SHARD,
    activity: undefined,
    controlAwaitedSince: undefined,
    ...changes,
  }
}

export function anActivity(changes: Partial<PendingActivity> = {}): PendingActivity {
  return {
    id: '5',
    step: 'copyFiles',
    state: 'working',
    queue: `tabletkeeper.${TABLET}`,
    since: at(20),
    attempt: 1,
    nextAttemptAt: undefined,
    lastFailure: undefined,
    lastWorker: undefined,
    progress: undefined,
    waitingFor: undefined,
    ...changes,
  }
}

export function aView(changes: Partial<RunView> = {}): RunView {
  return { at: at(30), status: aStatus(), progress: aProgress(), ...changes }
}
