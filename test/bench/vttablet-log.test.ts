import { describe, expect, test } from 'vitest'
import { lastCopyPhase } from '../../bench/vttablet-log.ts'

/** As vttablet 24.0.4 writes it. */
function line(time: string, message: string): string {
  const source = { function: 'vitess.io/vitess/go/vt/mysqlctl.(*BuiltinBackupEngine).backupFiles', line: 621 }
  return JSON.stringify({ time: `2026-11-25T15:40:${time}Z`, level: 'INFO', source, msg: message })
}

const BACKUP = [
  line(
    '08.100000000',
    'Executing Backup at 2026-11-25 for keyspace/shard commerce/0 on tablet zone1-101, concurrency: 2',
  ),
  line('12.323501944', 'found 187 files to backup'),
  line('12.323600000', 'Backing up file: ibdata1 (attempt 1/2)'),
  line('13.500000000', 'Completed backing up "bench/sbtest1.ibd" (attempt 1/2)'),
  line('13.518000354', 'Backing up file MANIFEST (attempt 1/2)'),
  line('13.519000000', 'Completed backing up MANIFEST (attempt 1/2)'),
]
const RESTORE = [
  line('17.779526665', 'Restore: copying 187 files'),
  line('17.780000000', 'Copying file 0: ibdata1 (attempt 1/2)'),
  line('18.823813580', 'Restore: returning replication position 98874b4e-e813-11ef-9cd2-0242ac120002:1-10'),
  line('18.900000000', 'Restore: starting mysqld for mysql_upgrade'),
]

describe("the copy phase in vttablet's log", () => {
  test('of a backup begins with the list of files and ends before MANIFEST', () => {
    const { begin, end } = lastCopyPhase('backup', BACKUP.join('\n'))
    expect(begin).toBeCloseTo(Date.parse('2026-11-25T15:40:12.323Z') + 0.501944, 3)
    expect((end - begin) / 1000).toBeCloseTo(1.19449841, 6)
  })

  test('of a restore ends before mysqld is started', () => {
    const { begin, end } = lastCopyPhase('restore', [...BACKUP, ...RESTORE].join('\n'))
    expect((end - begin) / 1000).toBeCloseTo(1.044286915, 6)
  })

  test('is the last whole one: one that failed does not count, nor does its beginning', () => {
    const failed = [line('20.000000000', 'found 187 files to backup'), line('21.000000000', 'Failed backing up')]
    const later = [
      line('30.000000000', 'found 187 files to backup'),
      line('32.000000000', 'Backing up file MANIFEST (attempt 1/2)'),
    ]
    const log = [...BACKUP, ...failed, ...later].join('\n')
    const { begin, end } = lastCopyPhase('backup', log)
    expect(end - begin).toBe(2000)
    expect(lastCopyPhase('backup', [...BACKUP, ...failed].join('\n'))).toEqual(
      lastCopyPhase('backup', BACKUP.join('\n')),
    )
  })

  test('is read from lines of glog too, beside what else is printed', () => {
    const log = [
      'ERROR: something that is no line of a log',
      '{"half a line',
      'I1125 15:40:12.323501   12345 builtinbackupengine.go:621] found 187 files to backup',
      'I1125 15:40:13.823502   12345 builtinbackupengine.go:998] Backing up file MANIFEST (attempt 1/2)',
    ].join('\n')
    const { begin, end } = lastCopyPhase('backup', log, 2026)
    expect(new Date(begin).getFullYear()).toBe(2026)
    expect(end - begin).toBeCloseTo(1500.001, 3)
  })

  test('is not made up where there is none', () => {
    expect(() => lastCopyPhase('backup', RESTORE.join('\n'))).toThrow(/no backup that copied all its files/)
    expect(() => lastCopyPhase('restore', '')).toThrow(/no restore/)
  })
})
