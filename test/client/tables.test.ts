import { describe, expect, it } from 'vitest'
import { renderBackup } from '../../client/output/backup-page.ts'
import { BACKUP_COLUMNS, backupDocument, backupRow, summarize } from '../../client/output/backups.ts'
import { describeFailure, failureDocument } from '../../client/output/failure.ts'
import { jsonDocument } from '../../client/output/json.ts'
import { runDocument } from '../../client/output/open-runs.ts'
import { renderOutcome, renderWarnings } from '../../client/output/outcome.ts'
import { renderRestorePlan } from '../../client/output/restore-plan.ts'
import { renderTable } from '../../client/output/table.ts'
import { findTablet } from '../../model/config.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { GtidSet } from '../../model/gtid-set.ts'
import { positionOf } from '../../model/position.ts'
import type { BackupResult, RestoreResult } from '../../model/runs.ts'
import type { VerifyResult } from '../../model/verification.ts'
import { type CompleteBackup, type ListedBackup, listed } from '../../storage/catalogue/catalogue.ts'
import { parse } from '../model/minimal-config.ts'
import { manifestOf } from '../storage/sample-backup.ts'
import { aReport } from './a-report.ts'
import { recordedTerminal } from './recorded-terminal.ts'
import { aProgress, aStatus, at, aView, BACKUP, RUN_ID, SHARD, STARTED, TABLET } from './run-views.ts'

const GIB = 1024 ** 3
const whole = (gib: number) => Math.round(gib * GIB)
const { paint } = recordedTerminal({ isRead: true })
const identity = { name: BACKUP, time: STARTED, tablet: TABLET }
const taken: CompleteBackup = {
  ...identity,
  state: 'complete',
  manifest: manifestOf(SHARD, BACKUP, {
    FinishedTime: at(118).toISOString(),
    Tabletkeeper: {
      FormatVersion: 1,
      Engine: 'frames',
      FrameSize: 8 * 1024 * 1024,
      Files: [{ Size: whole(41.2), Stored: whole(13.8), Hash: 'a'.repeat(64) }],
      PageCheck: { BadPages: 0, Pages: [] },
      Snapshot: 'reflink',
      Version: '0.1.0',
      Workflow: 'backup/commerce/0/zone1-0000000101/2026-11-24T02:30:00Z',
      Run: '0198',
      Seconds: 118,
      OutOfServiceSeconds: 19.9,
    },
  }),
}
const ours = listed(taken)
const vitess = listed({
  ...taken,
  manifest: manifestOf(SHARD, BACKUP, { CompressionEngine: '', FinishedTime: at(60).toISOString() }),
})
const incomplete: ListedBackup = { ...identity, state: 'incomplete' }
const corrupt: ListedBackup = { ...identity, state: 'corrupt', reason: 'it is not JSON' }

describe('a table', () => {
  const columns = [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }] as const
  it('is aligned under titles for a person', () => {
    expect(
      renderTable(
        columns,
        [
          ['a', '9 B'],
          ['longer', '12 KiB'],
        ],
        'person',
      ),
    ).toEqual(['NAME      SIZE', 'a          9 B', 'longer  12 KiB'])
  })
  it('is bare rows with tabs in a pipe, whatever cells hold', () => {
    expect(
      renderTable(
        columns,
        [
          ['a\tb', '9 B'],
          ['c\nd', '-'],
        ],
        'pipe',
      ),
    ).toEqual(['a b\t9 B', 'c d\t-'])
  })
})

describe('the list of backups', () => {
  it('shows size, stored size and duration, and dashes for what is not told', () => {
    expect(renderTable(BACKUP_COLUMNS, [ours, vitess, incomplete, corrupt].map(backupRow), 'person')).toEqual([
      'BACKUP                              STATE           SIZE    STORED   TOOK',
      '2026-11-24.023000.zone1-0000000101  complete    41.2 GiB  13.8 GiB  1m58s',
      '2026-11-24.023000.zone1-0000000101  complete           -         -  1m00s',
      '2026-11-24.023000.zone1-0000000101  incomplete         -         -      -',
      '2026-11-24.023000.zone1-0000000101  corrupt            -         -      -',
    ])
  })

  it('is summed up: how many, how old, and whether they can catch up', () => {
    const now = at(8 * 3600)
    expect(summarize(SHARD, [incomplete, ours], now)).toBe('1 complete · 1 not · newest 8h ago')
    expect(summarize(SHARD, [ours, ours], now, { primary: 'zone1-0000000100', able: 2 })).toBe(
      '2 complete · newest 8h ago · binary logs of zone1-0000000100: all can catch up',
    )
    expect(summarize(SHARD, [ours], now, { primary: 'p', able: 0 })).toContain('it cannot catch up: take a backup now')
    expect(summarize(SHARD, [], now)).toBe('no backups of commerce/0')
  })
})

describe('one backup', () => {
  it('is told a fact a line', () => {
    expect(renderBackup(ours, paint)).toEqual([
      '2026-11-24.023000.zone1-0000000101  complete',
      'taken     2026-11-24 02:30:00 to 02:31:58 UTC on db2.example.com, Ver 9.7.4 MySQL Community Server',
      'position  98880065-e813-11f1-976c-02fc00000001:1-1537',
      'data      41.2 → 13.8 GiB zstd, 1 file',
      'tablet    out of service for 19.9s, copied from a clone; no damaged page',
      'restores  MySQL 9.7.x; stock Vitess: yes',
      'not in it binary logs, keyring, my.cnf',
      'run       backup/commerce/0/zone1-0000000101/2026-11-24T02:30:00Z',
    ])
  })
  it('tells damaged pages, and nothing of what Vitess does not record', () => {
    const section = taken.manifest.Tabletkeeper
    if (section === undefined) throw new Error('it has no section')
    const PageCheck = { BadPages: 2, Pages: [{ File: 0, Page: 1 }] }
    const damaged = listed({ ...taken, manifest: { ...taken.manifest, Tabletkeeper: { ...section, PageCheck } } })
    expect(renderBackup(damaged, paint).join('\n')).toContain('; 2 damaged pages')
    expect(renderBackup(vitess, paint).join('\n')).not.toContain('tablet  ')
  })
  it('tells what the primary never had, in the list too', () => {
    const section = taken.manifest.Tabletkeeper
    if (section === undefined) throw new Error('it has no section')
    const Errant = positionOf(GtidSet.parse('98880065-e813-11f1-976c-02fc00000001:1537'))
    const errant = listed({ ...taken, manifest: { ...taken.manifest, Tabletkeeper: { ...section, Errant } } })
    expect(renderBackup(errant, paint)).toContain(
      'errant    98880065-e813-11f1-976c-02fc00000001:1537: the primary never had these, so no restore chooses it',
    )
    expect(backupRow(errant)[1]).toBe('errant')
    expect(backupDocument(errant)).toMatchObject({ state: 'complete', errant: Errant })
    expect(summarize(SHARD, [errant], STARTED)).toBe('0 complete · 1 not')
  })
  it('says why it is not sound', () => {
    expect(renderBackup(corrupt, paint).join('\n')).toContain('it is not JSON')
    expect(renderBackup(incomplete, paint).join('\n')).toContain('no MANIFEST')
  })
})

describe('a JSON document', () => {
  it('has a version, integers and RFC 3339 times in UTC', () => {
    expect(JSON.parse(jsonDocument({ backup: backupDocument(ours), at: STARTED }))).toMatchObject({
      schema: 1,
      at: '2026-11-24T02:30:00.000Z',
      backup: {
        name: BACKUP,
        dataBytes: whole(41.2),
        storedBytes: whole(13.8),
        seconds: 118,
        compression: 'zstd',
        snapshot: 'reflink',
        outOfServiceSeconds: 19.9,
        badPages: 0,
      },
    })
  })
  it('has the same keys whatever state a backup is in', () => {
    const keys = (entry: ListedBackup) => Object.keys(backupDocument(entry))
    expect(keys(incomplete)).toEqual(keys(ours))
    expect(keys(corrupt)).toEqual(keys(vitess))
  })
  it('tells the failure of a run that is on its way back as it tells one that is over', () => {
    const failure = { type: 'StorageFull', message: 'no space', step: 'copyFiles' } as const
    const view = aView({ progress: aProgress({ failure }) })
    const run = runDocument({ status: aStatus(), view, report: undefined })
    const unknown = { hint: null, returnedBy: null, suppressed: [], verification: null }
    expect(run.failure).toEqual({ ...failure, ...unknown, workflowId: RUN_ID, exitCode: 1 })
    const over = failureDocument(describeFailure(new TabletkeeperError('StorageFull', 'no space')))
    expect(Object.keys(run.failure ?? {}).sort()).toEqual(Object.keys(over).sort())
  })
})

describe('the outcome of a run', () => {
  const result: BackupResult = {
    backup: BACKUP,
    shard: SHARD,
    tablet: TABLET,
    position: 'MySQL56/',
    files: 214,
    dataBytes: 41.2 * GIB,
    storedBytes: 13.8 * GIB,
    snapshot: 'reflink',
    badPages: 0,
    firstBadPages: [],
    seconds: 118,
    outOfServiceSeconds: 19.9,
    type: 'REPLICA',
    lagSeconds: 0,
    warnings: [{ about: 'binary logs', message: 'kept for a day', hint: 'raise it' }],
  }
  it('is one line', () => {
    expect(renderOutcome(result, paint)).toBe(
      'done  2026-11-24.023000.zone1-0000000101  41.2 → 13.8 GiB, 1m58s, out of service 19.9s, 214 files checked',
    )
    expect(renderWarnings(result.warnings, paint)).toEqual(['warning binary logs: kept for a day', '  raise it'])
  })
  it('of a verification says that the backup is sound, and what was read', () => {
    const verified: VerifyResult = {
      shard: SHARD,
      backup: BACKUP,
      files: 214,
      dataBytes: 41.2 * GIB,
      storedBytes: 13.8 * GIB,
      damagedObjects: 0,
      firstDamagedObjects: [],
      damagedPages: 0,
      firstDamagedPages: [],
      warnings: [],
      seconds: 61,
    }
    expect(renderOutcome(verified, paint)).toBe(
      'done  2026-11-24.023000.zone1-0000000101 is sound  13.8 → 41.2 GiB, 1m01s, 214 files verified',
    )
  })
  it('says when a tablet started empty', () => {
    const { shard, tablet, dataBytes, seconds, outOfServiceSeconds, type, lagSeconds, warnings } = result
    const common = { shard, tablet, dataBytes, seconds, outOfServiceSeconds, type, lagSeconds, warnings }
    const empty: RestoreResult = { ...common, backup: null, position: null }
    expect(renderOutcome(empty, paint)).toBe(
      'done  zone1-0000000101 started empty: commerce/0 has no backup  1m58s, type REPLICA, lag 0s',
    )
  })
})

describe('the plan of a restore', () => {
  const config = parse(`storage: { kind: file, root: /mnt }
mysql: { defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }
shards: { commerce/0: { zone1-101: { host: db2 } } }
`)
  const tablet = findTablet(config, TABLET)

  it('says what is fetched, replaced, lost and replayed', () => {
    expect(renderRestorePlan(tablet, taken, aReport())).toEqual([
      'plan  2026-11-24.023000.zone1-0000000101, 13.8 GiB down, then replicate from zone1-0000000100',
      '      REPLACES 41.9 GiB of zone1-0000000101 on db2, kept aside until caught up (disk: needs 41.2 GiB, free 310 GiB)',
      '      loses nothing: zone1-0000000100 has every transaction of zone1-0000000101',
      '      replays whatever zone1-0000000100 did since 2026-11-24 02:30 UTC, mistakes included',
    ])
  })
  it('names the transactions that are lost', () => {
    const report = aReport({ wouldLose: '3eb11dad-e852-11f1-976c-02fc00000001:10' })
    expect(renderRestorePlan(tablet, taken, report).join('\n')).toContain(
      'LOSES 3eb11dad…:10, which zone1-0000000100 lacks: refused',
    )
  })
  it('does not claim that nothing is lost when nobody can tell', () => {
    expect(renderRestorePlan(tablet, taken, aReport({ primary: null })).join('\n')).toContain(
      'nobody can tell what is lost',
    )
  })
  it('shows a disk that is too small', () => {
    expect(renderRestorePlan(tablet, taken, aReport({ freeBytes: GIB })).join('\n')).toContain('NOT ENOUGH')
  })
  it('replaces nothing on an empty tablet', () => {
    const plan = renderRestorePlan(
      tablet,
      taken,
      aReport({ mysqld: 'empty', version: null, versionString: null }),
    ).join('\n')
    expect(plan).toContain('which is empty')
    expect(plan).not.toMatch(/REPLACES|lose/i)
  })
  it('leaves the choice to the agent where storage cannot be read', () => {
    expect(renderRestorePlan(tablet, { untold: 'no mount' }, aReport())[1]).toContain('no mount')
  })
})
