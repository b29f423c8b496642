import { Client, Connection, NamespaceNotFoundError } from '@temporalio/client'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { payloadConversion } from '../workers/payload-conversion.ts'
import { tlsProblem } from '../workers/temporal-handshake.ts'
import { type TargetOptions, type TemporalTarget, temporalSettings } from '../workers/temporal-target.ts'

export type { TemporalTarget } from '../workers/temporal-target.ts'

/** How to reach Temporal, beside what the environment and Temporal's profiles say, and how to read what passes through it. */
export interface ConnectOptions extends TargetOptions {
  /** How long to wait for the server, in milliseconds; default 5000. */
  readonly timeout?: number
  /** `temporal.encryptionKeyFiles` of the configuration; default: nothing is encrypted, and what is encrypted is refused. */
  readonly encryptionKeyFiles?: readonly string[]
}

/** An open connection; whoever opened it closes it. */
export interface TemporalConnection {
  readonly client: Client
  readonly target: TemporalTarget
}

/** Temporal could not be reached, or is too busy to answer: nothing is known about any run, and trying later may help. */
export class TemporalUnavailable extends Error {
  override readonly name = 'TemporalUnavailable'
  readonly hint: string

  constructor(target: TemporalTarget, cause: unknown) {
    const at = `at ${target.address} (from ${target.origin})`
    const isBusy = isTooBusy(grpcAnswerOf(cause))
    super(isBusy ? `Temporal ${at} is too busy: ${reasonOf(cause)}` : `Temporal does not answer ${at}`, { cause })
    // Not `temporal server start-dev`: an empty server in the place of the real one has agents take open runs for closed.
    this.hint = isBusy
      ? 'No run is lost: those that are open go on. Try again in a while; where it happens often, raise what the server allows this namespace.'
      : 'No run is lost. Start Temporal where it ran, or set TEMPORAL_ADDRESS or TEMPORAL_PROFILE. A tablet is returned without it, on its host: sudo tabletkeeper agent return <alias>. To try things out: tabletkeeper dev'
  }
}

const CONNECT_TIMEOUT = 5_000

/**
 * Connects as Temporal's own tools do: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_…` and the
 * profiles of its configuration file.
 * @throws TemporalUnavailable when no server answers in time; InvalidConfig when the environment, the profile or a key is wrong, or the
 * two sides do not trust each other
 */
export async function connectTemporal(options: ConnectOptions = {}): Promise<TemporalConnection> {
  const { encryptionKeyFiles = [], timeout: connectTimeout = CONNECT_TIMEOUT } = options
  const settings = temporalSettings(options)
  const { target } = settings
  const { dataConverter } = await payloadConversion({ encryptionKeyFiles })
  try {
    const connection = Connection.lazy({ ...settings.connection, connectTimeout })
    try {
      await connection.ensureConnected()
    } catch (error) {
      await connection.close()
      throw error
    }
    return { client: new Client({ connection, namespace: target.namespace, dataConverter }), target }
  } catch (error) {
    throw (await tlsProblem(settings)) ?? explainTemporal(error, target)
  }
}

/** The error to show for one that the Temporal client threw: about the server, its namespace or our credentials. */
export function explainTemporal(error: unknown, target: TemporalTarget): unknown {
  // Explained already, though what it comes from is one of Temporal's.
  if (isError(error)) return error
  if (error instanceof NamespaceNotFoundError) {
    return new TabletkeeperError(
      'InvalidConfig',
      `Temporal at ${target.address} has no namespace ${target.namespace}`,
      {
        cause: error,
        hint: `Set TEMPORAL_NAMESPACE, or create it: temporal operator namespace create ${target.namespace}`,
      },
    )
  }
  const answer = grpcAnswerOf(error)
  if (answer !== undefined && isOutage(answer)) return new TemporalUnavailable(target, error)
  switch (answer?.code) {
    case GRPC.permissionDenied:
    case GRPC.unauthenticated:
      return new TabletkeeperError('InvalidConfig', `Temporal at ${target.address} refuses us: ${reasonOf(error)}`, {
        cause: error,
        hint: 'Look at TEMPORAL_API_KEY, TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_NAMESPACE, or at the profile that sets them.',
      })
    default:
      // A connection that was never ready rejects with a plain Error of grpc-js, which has no status code.
      return error instanceof Error && /failed to connect before the deadline/i.test(error.message)
        ? new TemporalUnavailable(target, error)
        : error
  }
}

/** Whether Temporal may answer if asked again: an outage, or too much to do, not a refusal. */
export function isTemporalOutage(error: unknown): boolean {
  const answer = isError(error) ? undefined : grpcAnswerOf(error)
  return error instanceof TemporalUnavailable || (answer !== undefined && isOutage(answer))
}

const GRPC = {
  cancelled: 1,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  aborted: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** How a call ended that did not succeed. */
interface GrpcAnswer {
  readonly code: number
  readonly details: string
}

/** A server that dies in the midst of a call may leave it cancelled, by nobody here, or without an end. */
function isOutage(answer: GrpcAnswer): boolean {
  const { code, details } = answer
  if (isTooBusy(answer)) return true
  switch (code) {
    case GRPC.unavailable:
    case GRPC.deadlineExceeded:
      return true
    case GRPC.cancelled:
      return details !== CANCELLED_HERE
    case GRPC.internal:
      return /RST_STREAM with code [02]\b/.test(details) && !/SSL alert/i.test(details)
    default:
      return false
  }
}

/** How a server, and Temporal Cloud, say that it has too much to do, for this namespace or in all. */
function isTooBusy(answer: GrpcAnswer | undefined): boolean {
  // The same status says that a message is larger than allowed, and it will not be smaller later.
  if (answer?.code === GRPC.resourceExhausted) return !/larger than/i.test(answer.details)
  return answer?.code === GRPC.aborted
}

/** What grpc-js says of a call that this process gave up. */
const CANCELLED_HERE = 'Cancelled on client'

function grpcAnswerOf(error: unknown): GrpcAnswer | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'number') {
      return { code: at.code, details: 'details' in at ? String(at.details) : '' }
    }
  }
  return undefined
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error && 'details' in cause && typeof cause.details === 'string'
    ? cause.details
    : messageOf(cause)
}
