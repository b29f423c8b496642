import { describe, expect, it } from 'vitest'
import { outOfServiceSince, runCounters, runNotes, runRow, statusAsListed } from '../../client/output/open-runs.ts'
import { shortenPosition } from '../../client/output/position.ts'
import { renderCurrent } from '../../client/output/progress.ts'
import { RunDisplay } from '../../client/output/run-view.ts'
import { renderStep, shownSteps } from '../../client/output/steps.ts'
import { waitingOf } from '../../client/output/waiting.ts'
import type { StepName } from '../../model/runs.ts'
import { aReport } from './a-report.ts'
import { recordedTerminal } from './recorded-terminal.ts'
import { anActivity, aProgress, aStatus, at, aView, RUN_ID } from './run-views.ts'

const GIB = 1024 ** 3
const copying = {
  bytesDone: 25.9 * GIB,
  bytesTotal: 41.2 * GIB,
  filesDone: 100,
  filesTotal: 214,
  bytesPerSecond: 412 * 1024 ** 2,
  secondsLeft: 38,
}
const preflight = { step: 'preflight', seconds: 0.4, detail: 'lag 0s · 41.2 GiB · 2 others keep serving' } as const
const out = { step: 'takeOutOfService', seconds: 10.1, detail: 'no client left' } as const
const position = {
  step: 'stopReplication',
  seconds: 0.1,
  detail: 'MySQL56/3eb11dad-e852-11f1-976c-02fc00000001:1-918273',
} as const
const stopped = { step: 'stopMysqld', seconds: 3.2, detail: 'clean' } as const

const lines = (progress: ReturnType<typeof aProgress>) =>
  shownSteps(progress).map((step) => renderStep(step, recordedTerminal({ isRead: false }).paint))

describe('the list of steps', () => {
  it('has a line for each step that is over, with its number, time and outcome', () => {
    const taken = { step: 'takeTablet', seconds: 0.1, detail: '' } as const
    expect(lines(aProgress({ done: [preflight, taken, out, position, stopped] }))).toEqual([
      ' ✓ preflight           0.4s  lag 0s · 41.2 GiB · 2 others keep serving',
      ' ✓ 1 out of service   10.1s  no client left',
      ' ✓ 2 position          0.1s  3eb11dad…:1-918273',
      ' ✓ 3 mysqld stopped    3.2s  clean',
    ])
  })

  it('shows a failed copy before the steps that put the tablet back', () => {
    const done = [
      preflight,
      stopped,
      { step: 'startMysqld', seconds: 2, detail: '' },
      { step: 'rejoin', seconds: 4, detail: 'type REPLICA, lag 0s' },
      { step: 'discardBackup', seconds: 1, detail: '' },
    ] as const
    const failure = { type: 'StorageFull', message: 'no space\nmore', step: 'copyFiles' } as const
    expect(shownSteps(aProgress({ done, failure })).map(({ title, outcome }) => `${outcome} ${title}`)).toEqual([
      'done preflight',
      'done 3 mysqld stopped',
      'failed 4 files copied',
      'done 5 mysqld started',
      'done 6 in service',
      'done incomplete backup removed',
    ])
  })

  it('shows a failed clone before the steps that put the tablet back, a failed copy from a clone after them', () => {
    const back = [
      { step: 'startMysqld', seconds: 2, detail: '' },
      { step: 'rejoin', seconds: 4, detail: '' },
    ] as const
    const dropped = { step: 'dropClone', seconds: 1, detail: '' } as const
    const titles = (step: StepName) => {
      const failure = { type: 'StorageFull', message: 'no space', step } as const
      return shownSteps(aProgress({ done: [stopped, ...back, dropped], failure })).map(({ title }) => title)
    }
    expect(titles('cloneFiles').indexOf('4 files cloned')).toBe(1)
    expect(titles('uploadFiles').indexOf('4b files copied')).toBe(3)
    expect(titles('uploadFiles').at(-1)).toBe('clone dropped')
  })

  it('only ever grows at its end while a run fails and returns', () => {
    const failure = { type: 'MysqldFailed', message: 'it did not stop', step: 'stopMysqld' } as const
    const stages = [
      aProgress({ done: [preflight, out, position] }),
      aProgress({ done: [preflight, out, position], failure }),
      aProgress({
        done: [preflight, out, position, { step: 'returnToService', seconds: 9, detail: 'by workflow' }],
        failure,
      }),
    ].map(shownSteps)
    for (const [index, stage] of stages.slice(1).entries()) {
      const before = stages[index] ?? []
      expect(stage.slice(0, before.length)).toEqual(before)
    }
  })
})

describe('the step under way', () => {
  it('has percent, bytes, files, rate and time left while files are copied', () => {
    const view = aView({
      progress: aProgress({ current: { step: 'copyFiles', since: at(20).toISOString() } }),
      status: aStatus({ activity: anActivity({ progress: copying }) }),
    })
    expect(renderCurrent(view)).toBe('4 files copied       62%  25.9/41.2 GiB  100/214 files  412 MiB/s  38s left')
  })

  it('says for how long it goes on when it has no counters', () => {
    const progress = aProgress({ current: { step: 'stopMysqld', since: at(18).toISOString() } })
    expect(renderCurrent(aView({ progress }))).toBe('3 mysqld stopped     12s')
  })

  it('says what the step itself waits for', () => {
    const view = aView({
      progress: aProgress({ current: { step: 'rejoin', since: at(20).toISOString() } }),
      status: aStatus({ activity: anActivity({ step: 'rejoin', waitingFor: 'lag 12s to fall to 10s' }) }),
    })
    expect(renderCurrent(view)).toBe('6 in service         10s  waiting 10s for lag 12s to fall to 10s')
  })

  it('is nothing once the run is over', () => {
    expect(renderCurrent(aView({ status: aStatus({ state: 'completed', closedAt: at(29) }) }))).toBeUndefined()
  })
})

describe('a run that waits', () => {
  const silent = anActivity({ step: 'startMysqld', state: 'waiting for a worker', since: at(-2000) })

  it('says that no agent takes its step, and what to type for a host that is gone', () => {
    const waiting = waitingOf(aView({ status: aStatus({ activity: silent }) }))
    expect(waiting?.for).toBe('an agent: nobody takes tasks from tabletkeeper.zone1-0000000101')
    expect(waiting?.hint).toContain(`tabletkeeper abandon ${RUN_ID} --host-lost`)
  })

  it('does not cry wolf in the first seconds', () => {
    const status = aStatus({ activity: anActivity({ state: 'waiting for a worker', since: at(27) }) })
    expect(waitingOf(aView({ status }))).toBeUndefined()
  })

  it('says that control is missing', () => {
    const waiting = waitingOf(aView({ progress: undefined, status: aStatus({ controlAwaitedSince: at(0) }) }))
    expect(waiting?.for).toBe('tabletkeeper control, which does not answer')
  })

  it('says when a failed step is tried again, and why it failed', () => {
    const activity = anActivity({
      state: 'waiting to try again',
      attempt: 3,
      nextAttemptAt: at(38),
      lastFailure: { type: 'StorageUnavailable', message: 'the mount is gone' },
    })
    expect(waitingOf(aView({ status: aStatus({ activity }) }))?.for).toBe(
      'attempt 3 at 02:30:38 (in 8.0s): the mount is gone',
    )
  })

  it('says that Temporal is away, and that the run is not lost', () => {
    expect(waitingOf(aView({ status: undefined, progress: undefined }))?.hint).toContain('goes on')
  })

  it('is WAITING in the list of runs', () => {
    const view = aView({
      progress: aProgress({ current: { step: 'startMysqld', since: at(-2430).toISOString() } }),
      status: aStatus({ activity: silent }),
    })
    expect(runRow({ status: aStatus({ activity: silent }), view, report: undefined })).toEqual([
      'zone1-0000000101',
      'backup',
      '5 mysqld started',
      '41m00s',
      'WAITING: an agent: nobody takes tasks from tabletkeeper.zone1-0000000101',
    ])
  })
})

describe('a run that Temporal has listed, and does not answer for', () => {
  it('is shown as it was listed', () => {
    const listed = statusAsListed({ workflowId: RUN_ID, runId: '0198', kind: 'backup', startedAt: at(-60) })
    const run = { status: listed, view: aView({ status: undefined, progress: undefined }), report: undefined }
    expect(runRow(run)).toEqual([RUN_ID, 'backup', '-', expect.any(String), 'WAITING: Temporal, which does not answer'])
    expect(runNotes(run)).toEqual([expect.stringContaining('goes on')])
  })
})

describe('the state of a run in the list', () => {
  const state = (report: ReturnType<typeof aReport> | undefined, view = aView()) =>
    runRow({ status: aStatus(), view, report }).at(-1)
  const held = { kind: 'backup', workflowId: RUN_ID, runId: '0198', since: '', step: null, state: 'held' } as const
  const lease = { ...held, foreign: null }

  it('tells whether the tablet serves, as its agent sees it', () => {
    expect(state(undefined)).toBe('running')
    expect(state(aReport())).toBe('running, serving')
    expect(state(aReport({ serving: false, reason: 'held by itself', lease }))).toBe('running, out of service')
    expect(state(aReport({ serving: false, reason: 'lags 20 s' }))).toBe('running, not serving: lags 20 s')
  })

  it('does not cry WAITING for a step that takes its time', () => {
    const status = aStatus({ activity: anActivity({ step: 'rejoin', waitingFor: 'replication to run' }) })
    expect(state(undefined, aView({ status }))).toBe('running, waits for replication to run')
  })
})

describe('what is said below a run in the list', () => {
  it('has the counters of a copy', () => {
    expect(runCounters({ status: aStatus({ activity: anActivity({ progress: copying }) }) })).toEqual([
      '  25.9/41.2 GiB  100/214 files  412 MiB/s  38s left',
    ])
    expect(runCounters({ status: aStatus({ activity: anActivity() }) })).toEqual([])
  })

  it('names the run, so that somebody can stop it', () => {
    expect(runNotes({ status: aStatus(), view: aView() })).toEqual([`  To stop it: tabletkeeper cancel ${RUN_ID}`])
  })

  it('names it once where the hint does already', () => {
    const activity = anActivity({ state: 'waiting for a worker', queue: 'tabletkeeper.zone1-0000000101', since: at(0) })
    const status = aStatus({ activity })
    const [note] = runNotes({ status, view: aView({ at: at(60), status }) })
    expect(note).toContain(`Host gone: tabletkeeper abandon ${RUN_ID} --host-lost`)
    expect(note).not.toContain('To stop it')
  })
})

describe('time out of service', () => {
  it('counts from step 1 until the tablet is released', () => {
    const current = { step: 'copyFiles', since: at(60).toISOString() } as const
    expect(outOfServiceSince(aProgress({ done: [preflight, out, position, stopped], current }), at(90))).toEqual(
      at(60 - 13.4),
    )
    const released = { step: 'releaseTablet', seconds: 0.1, detail: '' } as const
    expect(outOfServiceSince(aProgress({ done: [preflight, out, released], current }), at(90))).toBeUndefined()
    expect(outOfServiceSince(aProgress({ done: [preflight] }), at(90))).toBeUndefined()
  })
})

describe('a run that is watched', () => {
  const first = aView({
    progress: aProgress({ done: [preflight], current: { step: 'takeOutOfService', since: at(29).toISOString() } }),
  })
  const second = aView({
    at: at(70),
    progress: aProgress({
      done: [preflight, out, position],
      current: { step: 'stopMysqld', since: at(41).toISOString() },
    }),
  })

  it('writes each step once, and keeps one line alive for a person', () => {
    const terminal = recordedTerminal({ isRead: true })
    const display = new RunDisplay(terminal)
    for (const view of [first, first, second]) display.show(view)
    expect(terminal.written.notes).toHaveLength(3)
    expect(terminal.written.live.at(-1)).toContain('3 mysqld stopped')
    expect(terminal.written.data).toEqual([])
  })

  it('writes plain lines into a pipe, and the step under way twice a minute at most', () => {
    const terminal = recordedTerminal({ isRead: false })
    const display = new RunDisplay(terminal)
    for (const view of [first, first, second, second]) display.show(view)
    expect(terminal.written.live).toEqual([])
    expect(terminal.written.notes.filter((line) => line.startsWith(' …'))).toEqual([' … 3 mysqld stopped     29s'])
  })
})

describe('positions', () => {
  it('are shortened: nobody reads them', () => {
    expect(
      shortenPosition('MySQL56/3eb11dad-e852-11f1-976c-02fc00000001:1-5,4eb11dad-e852-11f1-976c-02fc00000001:1-2:7'),
    ).toBe('3eb11dad…:1-5 + 1 more')
    expect(shortenPosition('MySQL56/')).toBe('')
  })
})
