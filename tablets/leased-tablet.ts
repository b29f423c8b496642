import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { isError, TabletkeeperError } from '../model/errors.ts'
import { assertClaim, type Claim, foreignLease, foreignTo, type Here, type Lease } from '../model/lease.ts'
import type { RunKind, StepName } from '../model/runs.ts'
import type { ServiceType, TabletType } from '../model/tablet-type.ts'
import { isDiskFull } from '../mysql/system/system-error.ts'
import type { TabletDriver } from './driver.ts'
import type { LeaseFile } from './lease-file.ts'
import { SoleWork, type Work } from './sole-work.ts'
import { discardStaged } from './staging.ts'

/** Which run wants the tablet, and what it must be given back as. */
export interface TakeRequest {
  readonly namespace: string
  readonly workflowId: string
  readonly runId: string
  readonly kind: RunKind
  readonly returnTo: ServiceType | null
  readonly mysqldRan: boolean
  readonly serverUuid: string | null
  readonly captured: unknown
}

/** What a step may do with the lease while it acts. */
export interface StepContext {
  /** Aborted when the run is cancelled, when a later attempt takes over, or when the tablet is returned to service. */
  readonly signal: AbortSignal
  readonly lease: Lease
  /** Changes the lease, durably, before the act that it announces. */
  update(change: Partial<Lease>): Promise<Lease>
}

/** The lease of a tablet as it is on disk. */
export interface Held {
  readonly lease: Lease
  /** Why it is not this tablet's own (`foreignTo`): nobody acts by it then, before a person has said so. */
  readonly foreign: string | undefined
}

/** A step of a run, which may hold what nobody else can have meanwhile. */
export interface HoldingStep extends StepContext, Work {}

/** How often a running step touches the lease, so that its age tells how long no step has been at work, also after a crash. */
const SIGN_OF_LIFE = 10_000

/**
 * The one tablet that an agent process looks after, and the only way to act on it. Steps and returns to service are serialised here:
 * when one begins, whatever ran before has been aborted and has stopped.
 */
export class LeasedTablet {
  readonly driver: TabletDriver
  readonly log: Logger
  readonly #file: LeaseFile
  readonly #here: () => Promise<Here>
  readonly #work: SoleWork
  #isReturning = false
  #rewriting: Promise<unknown> = Promise.resolve()

  /**
   * @param here which tablet this is, of which server and on which machine
   * @param stopLimit how long a step that was told to stop may take, in milliseconds
   */
  constructor(driver: TabletDriver, file: LeaseFile, here: () => Promise<Here>, log: Logger, stopLimit?: number) {
    this.driver = driver
    this.#file = file
    this.#here = here
    this.log = log
    this.#work = new SoleWork(stopLimit)
  }

  get leasePath(): string {
    return this.#file.path
  }

  /** The lease as it is on disk. */
  lease(): Promise<Lease | undefined> {
    return this.#file.read()
  }

  /** The same, and whether it is this tablet's own. */
  async held(): Promise<Held | undefined> {
    const lease = await this.#file.read()
    return lease && { lease, foreign: foreignTo(lease, await this.#here()) }
  }

  /** Whether a step or a return acts on the tablet in this process right now. */
  get busy(): boolean {
    return this.#work.isRunning || this.#isReturning
  }

  /**
   * Takes the tablet for a run. Taking it again by the same run returns the lease that it has.
   * @throws TabletBusy when another run holds it, or it has a lease that is not its own
   */
  take(request: TakeRequest): Promise<Lease> {
    return this.#work.exclusively(async () => {
      const now = new Date().toISOString()
      const { tablet, machine } = await this.#here()
      const lease: Lease = {
        version: 1,
        tablet,
        machineId: machine.id,
        host: machine.host,
        token: randomBytes(16).toString('hex'),
        since: now,
        state: 'held',
        type: null,
        step: null,
        touched: now,
        outOfServiceSince: null,
        reading: null,
        overridden: {},
        proven: false,
        stoppedAt: null,
        ...request,
      }
      if (await this.#file.create(lease)) return lease
      const held = await this.held()
      const holder = held?.lease
      if (holder === undefined) throw this.#busy('a run that has just ended', true)
      if (held?.foreign !== undefined)
        throw foreignLease(holder, held.foreign, tablet, { type: 'TabletBusy', retryable: false })
      if (holder.runId === request.runId && holder.state === 'held') return holder
      throw this.#busy(
        `${holder.workflowId} (run ${holder.runId}) since ${holder.since}`,
        // An earlier run of the same workflow, reset: the reconciler is about to return the tablet.
        holder.workflowId === request.workflowId,
      )
    })
  }

  /**
   * Runs one step of the run that holds the lease: aborts and awaits what still runs for this tablet, writes the step's name into
   * the lease, acts.
   * @throws FenceBroken when the lease is gone, another's, not the tablet's own, or being returned; nothing was done then
   */
  async step<T>(
    claim: Claim,
    name: StepName,
    activityId: string,
    signal: AbortSignal,
    act: (context: HoldingStep) => Promise<T>,
  ): Promise<T> {
    const result = await this.#work.exclusively(async () => {
      assertClaim(await this.#own({ retryable: false }), claim, this.driver.alias)
      await this.#stopRunning()
      signal.throwIfAborted()
      const since = new Date().toISOString()
      let lease = await this.#change(claim, { step: { name, activityId, since } })
      const sign = setInterval(() => void this.#change(claim, {}).catch(() => undefined), SIGN_OF_LIFE)
      const ended = () => {
        clearInterval(sign)
        return this.#rewrite((lease) => (lease?.token === claim.token ? { ...lease, step: null } : undefined))
      }
      return this.#work.begin({ name: `step ${name} of ${this.driver.alias}`, signal, ended }, (work) =>
        act({
          ...work,
          get lease() {
            return lease
          },
          update: async (change) => {
            lease = await this.#change(claim, change)
            return lease
          },
        }),
      )
    })
    return await result.ended
  }

  /** Sets the type that the tablet shows while it is held. */
  async setType(context: StepContext, type: TabletType): Promise<void> {
    const serving = type !== 'BACKUP' && type !== 'RESTORE'
    const since = serving ? null : (context.lease.outOfServiceSince ?? new Date().toISOString())
    // The endpoint goes by the lease: out of service first here, into service last.
    if (!serving) await context.update({ type, outOfServiceSince: since })
    await this.driver.setType(type)
    if (serving) await context.update({ type, outOfServiceSince: since })
  }

  /** Gives the tablet up after a run that left nothing to undo. Without a lease there is nothing to do. */
  release(claim: Claim): Promise<void> {
    return this.#work.exclusively(async () => {
      const lease = await this.#own({ retryable: false })
      if (lease === undefined || lease.token !== claim.token) return
      assertClaim(lease, claim, this.driver.alias)
      await this.#stopRunning()
      await this.#file.remove()
    })
  }

  /**
   * Marks the lease `returning`, so that no step begins from here, stops what runs, and lets `act` bring the tablet back; then the
   * lease is gone. Without a lease, or with one that is not `meant`, there is nothing to do and the answer is undefined.
   * @throws FenceBroken when the lease is not the tablet's own
   */
  returning<T>(
    meant: (lease: Lease) => boolean,
    signal: AbortSignal,
    act: (context: StepContext) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#work.exclusively(async () => {
      signal.throwIfAborted()
      // Its machine may poll again, or a person say that the tablet moved here: until then its run waits.
      const found = await this.#own({ retryable: true })
      if (found === undefined || !meant(found)) return undefined
      const change = async (what: Partial<Lease>) =>
        (await this.#rewrite((present = found) => ({ ...present, ...what, state: 'returning' }))) ?? found
      await change({}).catch(async (error: unknown) => {
        if (!isDiskFull(error)) throw error
        await this.#makeRoom(found, error)
        await change({})
      })
      await this.#stopRunning()
      let lease = await change({ step: null })
      const context: StepContext = {
        signal,
        get lease() {
          return lease
        },
        update: async (what) => {
          lease = await change(what)
          return lease
        },
      }
      this.#isReturning = true
      const result = await act(context).finally(() => {
        this.#isReturning = false
      })
      await this.#file.remove()
      return result
    })
  }

  /** Ends what runs in this process and waits for it; the lease stays. For the agent's own shutdown. */
  async stop(): Promise<void> {
    await this.#stopRunning()
    await this.#work.settled()
  }

  /** What a restore staged and could not discard, since it was killed, may be what fills the disk. @throws `full` when it has to stay */
  async #makeRoom({ token }: Lease, full: unknown): Promise<void> {
    await this.#stopRunning()
    try {
      await discardStaged(await this.driver.layout(), token)
    } catch (error) {
      throw isError(error, 'Refused') ? full : error
    }
  }

  async #stopRunning(): Promise<void> {
    await this.#work.stop(
      new TabletkeeperError('FenceBroken', `a later attempt or a return to service took over ${this.driver.alias}`),
    )
  }

  async #own({ retryable }: { readonly retryable: boolean }): Promise<Lease | undefined> {
    const held = await this.held()
    if (held?.foreign === undefined) return held?.lease
    throw foreignLease(held.lease, held.foreign, this.driver.alias, { type: 'FenceBroken', retryable })
  }

  async #change(claim: Claim, change: Partial<Lease>): Promise<Lease> {
    const lease = await this.#rewrite((present) => {
      assertClaim(present, claim, this.driver.alias)
      return { ...present, ...change }
    })
    assertClaim(lease, claim, this.driver.alias)
    return lease
  }

  /** The only way in which a lease changes: one change at a time, each on top of what is on disk; undefined changes nothing. */
  #rewrite(change: (present: Lease | undefined) => Lease | undefined): Promise<Lease | undefined> {
    const result = this.#rewriting.then(async () => {
      const changed = change(await this.#file.read())
      if (changed === undefined) return undefined
      const lease = { ...changed, touched: new Date().toISOString() }
      await this.#file.replace(lease)
      return lease
    })
    this.#rewriting = result.catch(() => undefined)
    return result
  }

  #busy(holder: string, retryable: boolean): TabletkeeperError {
    return new TabletkeeperError('TabletBusy', `${this.driver.alias} is held by ${holder}`, {
      retryable,
      hint: 'Nothing was changed. Wait for that run, or cancel it: tabletkeeper status.',
    })
  }
}
