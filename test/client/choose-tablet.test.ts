import { describe, expect, it } from 'vitest'
import { chooseForBackup } from '../../client/choose-tablet.ts'
import { parseAlias } from '../../model/alias.ts'
import { aReport } from './a-report.ts'
import { SHARD } from './run-views.ts'

const alias = (uid: number) => parseAlias(`zone1-${uid}`)
const primary = aReport({ alias: alias(100), type: 'PRIMARY', replication: 'none', lagSeconds: null })

describe('the tablet of a shard to back up', () => {
  it('is the one with the least lag', () => {
    const reports = [
      primary,
      aReport({ alias: alias(101), lagSeconds: 5 }),
      aReport({ alias: alias(102), lagSeconds: 1 }),
    ]
    expect(chooseForBackup(SHARD, reports).alias).toBe(alias(102))
  })

  it('is rdonly before replica where lag is equal', () => {
    const reports = [aReport({ alias: alias(101) }), aReport({ alias: alias(103), type: 'RDONLY' })]
    expect(chooseForBackup(SHARD, reports).alias).toBe(alias(103))
  })

  it('is the primary where that is allowed and no other is fit', () => {
    const lone = aReport({ alias: alias(100), type: 'PRIMARY', replication: 'none' })
    expect(() => chooseForBackup(SHARD, [lone])).toThrow('its type is PRIMARY')
    expect(chooseForBackup(SHARD, [lone], true).alias).toBe(alias(100))
    const late = aReport({ alias: alias(101), lagSeconds: 9 })
    expect(chooseForBackup(SHARD, [lone, late], true).alias).toBe(alias(101))
    expect(chooseForBackup(SHARD, [lone, { ...late, replication: 'broken' }], true).alias).toBe(alias(100))
  })

  it('is none that two agents look after', () => {
    const reports = [aReport({ alias: alias(101), agentsElsewhere: ['4711@db9#eeeeeeeeeeee'] })]
    expect(() => chooseForBackup(SHARD, reports)).toThrow('another agent takes its tasks: 4711@db9#eeeeeeeeeeee')
  })

  it('is never one that is held, broken, down, hazardous or silent: each is refused with its reason', () => {
    const held = { kind: 'backup', workflowId: 'backup/x', runId: '1', since: '', step: null, state: 'held' } as const
    const lease = { ...held, foreign: null }
    const reports = [
      primary,
      aReport({ alias: alias(101), lease }),
      aReport({ alias: alias(102), replication: 'broken' }),
      aReport({ alias: alias(103), mysqld: 'down', reason: "mysqld cannot be observed: it does not let 'x' in" }),
      aReport({ alias: alias(104), hazards: [{ what: 'memory', message: 'has MEMORY tables', hint: '' }] }),
      aReport({ alias: alias(105), missingGrants: ['SHUTDOWN ON *.*'] }),
      { alias: alias(106), silence: 'nobody answers' },
    ]
    expect(() => chooseForBackup(SHARD, reports)).toThrow(
      [
        'no tablet of commerce/0 can be backed up now',
        'zone1-0000000100: its type is PRIMARY',
        'zone1-0000000101: held by backup/x',
        'zone1-0000000102: replication is broken',
        "zone1-0000000103: mysqld cannot be observed: it does not let 'x' in",
        'zone1-0000000104: has MEMORY tables',
        "zone1-0000000105: the agent's account lacks SHUTDOWN ON *.*",
        'zone1-0000000106: nobody answers',
      ].join('\n'),
    )
  })

  it('is to be asked for again later when no agent answers', () => {
    const silent = [100, 101].map((uid) => ({ alias: alias(uid), silence: 'nobody answers' }))
    expect(() => chooseForBackup(SHARD, silent)).toThrow(expect.objectContaining({ type: 'NoAgent' }))
  })
})
