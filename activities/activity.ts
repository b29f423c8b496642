import { ApplicationFailure, Context } from '@temporalio/activity'
import { ApplicationFailureCategory } from '@temporalio/common'
import type { Logger } from 'pino'
import { isError, type TabletkeeperError } from '../model/errors.ts'
import type { Progress } from '../model/runs.ts'
import { progressSignals } from './progress-signals.ts'

const BEAT = 1_000

/** What a running activity says of itself, seen from outside in its heartbeat. */
export type Sign = Progress | { readonly waitingFor: string }

/** One attempt of an activity: who calls, how it is cancelled, how it shows signs of life. */
export interface Attempt {
  readonly namespace: string
  readonly workflowId: string
  readonly runId: string
  readonly activityId: string
  /** From 1. */
  readonly number: number
  readonly signal: AbortSignal
  sign(sign: Sign): void
}

/** What every activity of a process has in common. */
export interface ActivityHost {
  readonly log: Logger
  /** Called when the server answers that the workflow of an activity does not exist any more. */
  readonly workflowGone?: () => void
  /** When a copy tells its run how far it is, instead of `SIGNAL_AFTER`. */
  readonly signalAfter?: readonly number[] | undefined
}

/**
 * Makes an activity of a function: heartbeats each second with its latest sign, tells the run itself of its progress now and then
 * (`progressSignals`), and turns foreseen errors into failures that carry the taxonomy's type.
 */
export function activity<Input, Output>(
  { log, workflowGone, signalAfter }: ActivityHost,
  act: (attempt: Attempt, input: Input) => Promise<Output>,
): (input: Input) => Promise<Output> {
  return async (input) => {
    const context = Context.current()
    const { info, cancellationSignal } = context
    const { workflowId, runId } = info.workflowExecution ?? { workflowId: '', runId: '' }
    let latest: Sign | undefined
    const beating = setInterval(() => context.heartbeat(latest), BEAT)
    cancellationSignal.addEventListener('abort', () => {
      if (String(cancellationSignal.reason).includes('NOT_FOUND')) workflowGone?.()
    })
    const signal = progressSignals({
      step: info.activityType,
      age: info.currentAttemptScheduledTimestampMs - info.scheduledTimestampMs,
      after: signalAfter,
      send: (report) => context.client.workflow.getHandle(workflowId, runId).signal('progress', report),
      failed: (error) => log.debug({ event: 'progress', workflowId, runId, err: error }, 'the run was not told of it'),
    })
    const began = Date.now()
    const line = { event: 'step', step: info.activityType, workflowId, runId, attempt: info.attempt }
    try {
      context.heartbeat(latest)
      const attempt: Attempt = {
        namespace: info.namespace ?? 'default',
        workflowId,
        runId,
        activityId: info.activityId,
        number: info.attempt,
        signal: cancellationSignal,
        sign: (sign) => {
          latest = sign
          if (!('waitingFor' in sign)) signal(sign)
        },
      }
      const output = await act(attempt, input)
      log.info({ ...line, milliseconds: Date.now() - began }, `${info.activityType} done`)
      return output
    } catch (error) {
      log.warn({ ...line, milliseconds: Date.now() - began, err: error }, `${info.activityType} failed`)
      if (cancellationSignal.aborted) throw cancellationSignal.reason
      throw isError(error) ? asFailure(error) : error
    } finally {
      clearInterval(beating)
    }
  }
}

const EXPECTED = new Set(['Refused', 'TabletBusy', 'NotFound', 'InvalidInput', 'FenceBroken'])

/** A foreseen error as Temporal carries it: `type`, message, and the hint in `details[0]`. */
export function asFailure(error: TabletkeeperError): ApplicationFailure {
  return ApplicationFailure.create({
    message: error.message,
    type: error.type,
    nonRetryable: !error.retryable,
    details: [error.hint === undefined ? {} : { hint: error.hint }],
    ...(EXPECTED.has(error.type) ? { category: ApplicationFailureCategory.BENIGN } : {}),
    ...(error.cause instanceof Error ? { cause: error.cause } : {}),
  })
}
