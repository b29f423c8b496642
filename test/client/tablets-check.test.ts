import { describe, expect, it } from 'vitest'
import { judgeLateness } from '../../client/answer.ts'
import { checkTablet, judgeSilence } from '../../client/checks/tablets.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { CONTROL_QUEUE } from '../../model/runs.ts'
import { aReport } from './a-report.ts'
import { anActivity, TABLET } from './run-views.ts'

const tablet = { alias: TABLET, host: 'db2' }
const START_AGENT = 'Start tabletkeeper agent on db2.'

describe('what is said of a tablet that nothing was heard of', () => {
  it('to start its agent, when nobody took the task of its queue', () => {
    const error = judgeLateness({ activity: anActivity() }, 13_000)
    expect(judgeSilence(tablet, error, ' (last seen 07:49:40 UTC: 4711@db2)')).toEqual({
      verdict: 'FAILED',
      subject: TABLET,
      message: `nobody answered on the queue tabletkeeper.${TABLET} within 13 s (last seen 07:49:40 UTC: 4711@db2)`,
      hint: START_AGENT,
    })
    const unpolled = new TabletkeeperError('NoAgent', `no agent polls the queue of ${TABLET}`, { hint: 'Start it.' })
    expect(judgeSilence(tablet, unpolled, '').hint).toBe(START_AGENT)
  })

  it('to start control, when that is silent', () => {
    for (const activity of [undefined, anActivity({ queue: CONTROL_QUEUE })]) {
      const { hint } = judgeSilence(tablet, judgeLateness({ activity }, 13_000), '')
      expect(hint).toBe('Start tabletkeeper control on any host.')
    }
  })

  it('what its agent says, and its hint', () => {
    const lastFailure = { type: 'InvalidConfig', message: 'no key of that id', hint: 'Give it the keys of the others.' }
    const error = judgeLateness({ activity: anActivity({ lastFailure }) }, 13_000)
    expect(error.type).toBe('InvalidConfig')
    expect(judgeSilence(tablet, error, '')).toMatchObject({ message: lastFailure.message, hint: lastFailure.hint })
  })
})

describe('what stands against backing a tablet up', () => {
  it('is nothing, as a rule', () => {
    expect(checkTablet(aReport(), 'tabletkeeper')).toMatchObject([{ verdict: 'OK' }])
  })

  it('is each missing grant: with statements, one for each level, to be typed on the primary', () => {
    const missingGrants = ['SHUTDOWN ON *.*', 'REPLICATION CLIENT ON *.*', 'SELECT ON performance_schema.*']
    expect(checkTablet(aReport({ missingGrants }), "keeper's")).toEqual([
      {
        verdict: 'FAILED',
        subject: TABLET,
        message: `the agent's account lacks ${missingGrants.join(', ')}`,
        hint: "On the primary (replicas get it from there): GRANT SHUTDOWN, REPLICATION CLIENT ON *.* TO 'keeper\\'s'@'localhost'; GRANT SELECT ON performance_schema.* TO 'keeper\\'s'@'localhost';",
      },
    ])
  })

  it('is that it does not serve, with what to do', () => {
    const report = aReport({ serving: false, reason: 'mysqld is down', hint: 'Start it.' })
    expect(checkTablet(report, 'tabletkeeper')).toMatchObject([
      { verdict: 'FAILED', message: 'does not serve: mysqld is down', hint: 'Start it.' },
    ])
  })
})
