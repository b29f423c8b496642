import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  type ScheduleHandle,
  ScheduleNotFoundError,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
  type ScheduleSpec,
} from '@temporalio/client'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { type BackupInput, type RunSubject, SUBJECT_MEMO } from '../model/runs.ts'
import { type Milliseconds, parseDuration } from '../model/units.ts'
import { forAll } from '../storage/for-all.ts'
import { describeStart, runIdPrefix } from '../workers/run-start.ts'
import type { SearchAttributeName } from '../workers/search-attributes.ts'
import { explainTemporal, type TemporalTarget } from './connection.ts'
import {
  readSchedule,
  type ScheduleReport,
  type ScheduleWords,
  scheduleSubject,
  WORDS_MEMO,
} from './schedule-report.ts'

/** A periodic backup of one tablet: `cron` or `every`, not both. */
export interface NewSchedule extends RunSubject, ScheduleWords {
  /** Files copied at once; default: the agent's configuration. */
  readonly concurrency?: number
  /** As for a backup; default: the agent's configuration. */
  readonly allowPrimary?: boolean
}

/** How late a start that an outage of Temporal prevented is still made up for; a run that was started waits for control however long. */
const CATCH_UP = '1h'

/** Schedules that are asked for at once, where all of them are listed. */
const DESCRIBED_AT_ONCE = 16

/**
 * Periodic backups by Temporal Schedules, one per tablet. A backup is skipped while the one before it still runs. A run that fails
 * does not pause its schedule: one refused backup must not end all that come later.
 */
export class Schedules {
  readonly #client: Client
  readonly #target: TemporalTarget
  readonly #registered: () => Promise<ReadonlySet<SearchAttributeName>>

  constructor(client: Client, target: TemporalTarget, registered: () => Promise<ReadonlySet<SearchAttributeName>>) {
    this.#client = client
    this.#target = target
    this.#registered = registered
  }

  /**
   * Creates the schedule of a tablet.
   * @throws InvalidInput for a bad cron expression or duration; Refused when the tablet has a schedule; TemporalUnavailable
   */
  async create(schedule: NewSchedule): Promise<ScheduleReport> {
    const { shard, tablet, concurrency, allowPrimary, cron, every, timezone } = schedule
    if ((cron === undefined) === (every === undefined)) {
      throw new TabletkeeperError('InvalidInput', 'a schedule needs a cron expression or an interval, and not both')
    }
    const words: ScheduleWords = {
      cron,
      every,
      jitter: schedule.jitter,
      catchUp: schedule.catchUp ?? CATCH_UP,
      timezone,
    }
    const input: BackupInput = {
      shard,
      tablet,
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(allowPrimary === undefined ? {} : { allowPrimary }),
      ...(every === undefined ? {} : { interval: longestInterval(every, schedule.jitter) }),
    }
    const id = scheduleIdOf(schedule)
    const options: ScheduleOptions = {
      scheduleId: id,
      spec: specOf(words),
      action: {
        type: 'startWorkflow',
        workflowType: 'backup',
        workflowId: id,
        args: [input],
        ...describeStart('backup', input, await this.#registered()),
      },
      policies: {
        overlap: ScheduleOverlapPolicy.SKIP,
        catchupWindow: positive(words.catchUp ?? CATCH_UP),
        pauseOnFailure: false,
      },
      memo: { [SUBJECT_MEMO]: { shard, tablet }, [WORDS_MEMO]: words },
    }
    return this.#call(schedule, async () => {
      const handle = await withSpecChecked(() => this.#client.schedule.create(options))
      if (every === undefined) await this.#tellInterval(handle, input)
      return readSchedule(await handle.describe())
    })
  }

  /**
   * All schedules, by tablet; of one shard when it is given. Temporal's lists may lag a second behind: one that was just created may be
   * missing, one that was deleted is not in it.
   * @throws TemporalUnavailable
   */
  async list(shard?: string): Promise<ScheduleReport[]> {
    const subjects: RunSubject[] = []
    await this.#call(undefined, async () => {
      for await (const { memo, action, scheduleId } of this.#client.schedule.list()) {
        const subject = action?.workflowType === 'backup' ? scheduleSubject(memo, scheduleId) : undefined
        if (subject === undefined) continue
        if (shard === undefined || subject.shard === shard) subjects.push(subject)
      }
    })
    subjects.sort((a, b) => (scheduleIdOf(a) < scheduleIdOf(b) ? -1 : 1))
    const described = await forAll(subjects, DESCRIBED_AT_ONCE, (subject) => this.#describeListed(subject))
    return described.filter((report) => report !== undefined)
  }

  /** @throws NotFound when the tablet has no schedule; TemporalUnavailable */
  async describe(subject: RunSubject): Promise<ScheduleReport> {
    return this.#with(subject, async (handle) => readSchedule(await handle.describe()))
  }

  /** @throws NotFound when the tablet has no schedule; TemporalUnavailable */
  async pause(subject: RunSubject, note: string): Promise<void> {
    await this.#with(subject, (handle) => handle.pause(note))
  }

  /** @throws NotFound when the tablet has no schedule; TemporalUnavailable */
  async resume(subject: RunSubject, note: string): Promise<void> {
    await this.#with(subject, (handle) => handle.unpause(note))
  }

  /**
   * Starts a backup of the schedule now.
   * @throws TabletBusy when one of it still runs; NotFound when the tablet has no schedule; TemporalUnavailable
   */
  async trigger(subject: RunSubject): Promise<void> {
    await this.#with(subject, async (handle) => {
      const [running] = (await handle.describe()).info.runningActions
      if (running !== undefined) {
        throw new TabletkeeperError(
          'TabletBusy',
          `the schedule's last backup still runs: ${running.workflow.workflowId}`,
          {
            hint: `tabletkeeper status ${running.workflow.workflowId}`,
          },
        )
      }
      await handle.trigger(ScheduleOverlapPolicy.SKIP)
    })
  }

  /**
   * Removes the schedule; a backup that runs goes on.
   * @throws NotFound when the tablet has no schedule; TemporalUnavailable
   */
  async delete(subject: RunSubject): Promise<void> {
    await this.#with(subject, (handle) => handle.delete())
  }

  /** Undefined for one that was deleted meanwhile, or so lately that the list has it still. */
  async #describeListed(subject: RunSubject): Promise<ScheduleReport | undefined> {
    try {
      return await this.describe(subject)
    } catch (error) {
      if (isError(error, 'NotFound')) return undefined
      throw error
    }
  }

  /** Lets the backups of a cron schedule know their longest interval, which only the server can compute. */
  async #tellInterval(handle: ScheduleHandle, input: BackupInput): Promise<void> {
    const interval = longestGap(await handle.describe())
    if (interval === undefined) return
    await handle.update((previous) => ({
      ...previous,
      action: { ...previous.action, args: [{ ...input, interval: `${Math.round(interval / 1000)}s` }] },
    }))
  }

  async #with<T>(subject: RunSubject, act: (handle: ScheduleHandle) => Promise<T>): Promise<T> {
    return this.#call(subject, () => act(this.#client.schedule.getHandle(scheduleIdOf(subject))))
  }

  async #call<T>(subject: RunSubject | undefined, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      throw explainSchedule(error, subject) ?? explainTemporal(error, this.#target)
    }
  }
}

/** The id of a tablet's schedule, and where the ids of its runs begin. */
function scheduleIdOf(subject: RunSubject): string {
  return runIdPrefix('backup', subject)
}

function specOf({ cron, every, jitter, timezone }: ScheduleWords): ScheduleSpec {
  return {
    ...(cron === undefined ? {} : { cronExpressions: [cron] }),
    ...(every === undefined ? {} : { intervals: [{ every: positive(every) }] }),
    ...(jitter === undefined ? {} : { jitter: positive(jitter) }),
    ...(timezone === undefined ? {} : { timezone }),
  }
}

function positive(duration: string): Milliseconds {
  const parsed = parseDuration(duration)
  if (parsed < 1000)
    throw new TabletkeeperError('InvalidInput', `a schedule counts in whole seconds: ${duration} is too short`)
  return parsed
}

/** From a backup that starts at once to the next one, late by all of the jitter. */
function longestInterval(every: string, jitter: string | undefined): string {
  return jitter === undefined ? every : `${(parseDuration(every) + parseDuration(jitter)) / 1000}s`
}

function longestGap({ info }: ScheduleDescription): number | undefined {
  const times = info.nextActionTimes.map((time) => time.getTime())
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? time))
  return gaps.length === 0 ? undefined : Math.max(...gaps)
}

function explainSchedule(error: unknown, subject: RunSubject | undefined): TabletkeeperError | undefined {
  const tablet = subject?.tablet ?? 'the tablet'
  if (error instanceof ScheduleAlreadyRunning) {
    return new TabletkeeperError('Refused', `${tablet} has a schedule already`, {
      cause: error,
      hint: `tabletkeeper schedule show ${tablet}; delete it first to change it.`,
    })
  }
  if (error instanceof ScheduleNotFoundError) {
    return new TabletkeeperError('NotFound', `${tablet} has no schedule`, {
      cause: error,
      hint: `tabletkeeper schedule create ${tablet} --cron '0 2 * * *'`,
    })
  }
  return undefined
}

/** The SDK throws a TypeError for a cron expression, a time zone or an interval that the server does not accept. */
async function withSpecChecked<T>(create: () => Promise<T>): Promise<T> {
  try {
    return await create()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new TabletkeeperError('InvalidInput', `Temporal does not accept this schedule: ${error.message}`, {
      cause: error,
      hint: "A cron expression has five fields: minute hour day month weekday, such as '0 2 * * *' for 02:00 each day.",
    })
  }
}
