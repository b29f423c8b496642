import { WorkflowFailedError } from '@temporalio/client'
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  RetryState,
  TerminatedFailure,
} from '@temporalio/common'
import { describe, expect, it } from 'vitest'
import { TemporalUnavailable } from '../../client/connection.ts'
import { describeFailure, failureDocument, renderFailure } from '../../client/output/failure.ts'
import { RunFailed } from '../../client/run-failure.ts'
import { ERROR_TYPES, EXIT_CODES, TabletkeeperError } from '../../model/errors.ts'
import { recordedTerminal } from './recorded-terminal.ts'
import { RUN_ID } from './run-views.ts'

const { paint } = recordedTerminal({ isRead: true })
const run = { workflowId: RUN_ID, runId: '0198' }
const failed = (cause: Error) =>
  new RunFailed(run, new WorkflowFailedError('Workflow execution failed', cause, RetryState.NON_RETRYABLE_FAILURE))
const details = {
  step: 'copyFiles',
  hint: 'Free some space.',
  returnedBy: 'workflow',
  suppressed: ['incomplete backup removed: too'],
}
const full = ApplicationFailure.nonRetryable('no space on /mnt/backups', 'StorageFull', details)

describe('the end of a run that failed', () => {
  it('tells the type, step, hint, who returned the tablet, and what failed after', () => {
    const { type, message, hint, step, returnedBy, suppressed } = failed(full)
    expect({ type, message, hint, step, returnedBy, suppressed }).toEqual({
      ...details,
      type: 'StorageFull',
      message: full.message,
    })
  })

  it('is read through the wrapping of activities', () => {
    const wrapped = new ActivityFailure(
      'Activity task failed',
      'copyFiles',
      '1',
      RetryState.NON_RETRYABLE_FAILURE,
      'me',
      full,
    )
    expect(failed(wrapped).type).toBe('StorageFull')
  })

  it('tells cancelled and terminated from failed, and takes what nobody foresaw as Error', () => {
    expect(failed(new CancelledFailure('Workflow canceled')).type).toBe('Cancelled')
    expect(failed(new TerminatedFailure('by hand')).message).toContain('by hand')
    expect(failed(ApplicationFailure.nonRetryable('boom', 'TypeError')).type).toBe('Error')
  })

  it('does not trust details that are not ours', () => {
    for (const odd of [null, 'text', { step: 'nope', returnedBy: 7, suppressed: 'x', hint: {}, verification: {} }]) {
      const { step, returnedBy, suppressed, hint, verification } = failed(
        ApplicationFailure.nonRetryable('m', 'Refused', odd),
      )
      expect({ step, returnedBy, suppressed, hint, verification }).toEqual({ suppressed: [] })
    }
  })

  it('is shown with its step, what was done about it, and what to do next', () => {
    expect(renderFailure(describeFailure(failed(full)), paint)).toEqual([
      'error StorageFull at files copied: no space on /mnt/backups',
      '  then incomplete backup removed: too',
      '  The tablet was given back by the run.',
      '  Free some space.',
      `  run ${RUN_ID}`,
    ])
  })
})

describe('a failure as --json shows it', () => {
  it('has every key, null for what is not known, and no place in the code', () => {
    const nothing = { hint: null, workflowId: null, step: null, returnedBy: null, suppressed: [], verification: null }
    const refused = new TabletkeeperError('Refused', 'm')
    expect(failureDocument(describeFailure(refused))).toEqual({
      ...nothing,
      type: 'Refused',
      message: 'm',
      exitCode: 20,
    })
    expect(failureDocument(describeFailure(new TypeError('x')))).toEqual({
      ...nothing,
      type: 'Error',
      message: 'x',
      exitCode: 1,
    })
    expect(failureDocument(describeFailure(failed(full)))).toEqual({
      ...nothing,
      ...details,
      type: 'StorageFull',
      message: full.message,
      workflowId: RUN_ID,
      exitCode: 1,
    })
  })
})

describe('exit codes', () => {
  it.each(ERROR_TYPES.map((type) => [type, EXIT_CODES[type]] as const))(
    '%s is %i, from a command and from a run',
    (type, code) => {
      expect(describeFailure(new TabletkeeperError(type, 'm')).exitCode).toBe(code)
      expect(describeFailure(failed(ApplicationFailure.nonRetryable('m', type))).exitCode).toBe(code)
    },
  )

  it('is 75 when Temporal does not answer', () => {
    const failure = describeFailure(
      new TemporalUnavailable({ address: 'a:1', origin: 'TEMPORAL_ADDRESS', namespace: 'default' }, undefined),
    )
    expect(failure).toMatchObject({ exitCode: 75, message: 'Temporal does not answer at a:1 (from TEMPORAL_ADDRESS)' })
    // An empty server in the place of the real one would be worse than none.
    expect(failure.hint).not.toContain('start-dev')
    expect(failure.hint).toContain('sudo tabletkeeper agent return <alias>')
  })

  it('is 1 for what nobody foresaw, with its place in the code', () => {
    const failure = describeFailure(new TypeError('x is undefined'))
    expect(failure.exitCode).toBe(1)
    expect(failure.trace[0]).toContain('failure.test.ts')
  })
})
