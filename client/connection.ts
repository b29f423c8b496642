import { Client, Connection, NamespaceNotFoundError } from '@temporalio/client'
import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig'
import { messageOf, TabletkeeperError } from '../model/errors.ts'

/** Which Temporal server is meant, and who said so. */
export interface TemporalTarget {
  readonly address: string
  /** Where the address comes from, for people: `TEMPORAL_ADDRESS`, a profile, or the default. */
  readonly origin: string
  readonly namespace: string
}

/** Overrides what the environment and Temporal's profiles say. */
export interface ConnectOptions {
  /** `host:port` */
  readonly address?: string
  readonly namespace?: string
  /** How long to wait for the server, in milliseconds; default 5000. */
  readonly timeout?: number
}

/** An open connection; whoever opened it closes it. */
export interface TemporalConnection {
  readonly client: Client
  readonly target: TemporalTarget
}

/** Temporal could not be reached: nothing is known about any run, and trying later may help. */
export class TemporalUnavailable extends Error {
  override readonly name = 'TemporalUnavailable'
  readonly hint: string

  constructor(target: TemporalTarget, cause: unknown) {
    super(`Temporal does not answer at ${target.address} (from ${target.origin})`, { cause })
    this.hint = 'Start it (temporal server start-dev), or set TEMPORAL_ADDRESS or TEMPORAL_PROFILE to where it runs.'
  }
}

const CONNECT_TIMEOUT = 5_000

/**
 * Connects as Temporal's own tools do: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_…` and the
 * profiles of its configuration file.
 * @throws TemporalUnavailable when no server answers in time; InvalidConfig when the environment or the profile is wrong
 */
export async function connectTemporal(options: ConnectOptions = {}): Promise<TemporalConnection> {
  const { connectionOptions, target } = readTarget(options)
  const connection = Connection.lazy({
    ...connectionOptions,
    address: target.address,
    connectTimeout: options.timeout ?? CONNECT_TIMEOUT,
  })
  try {
    await connection.ensureConnected()
  } catch (error) {
    await connection.close()
    throw explainTemporal(error, target)
  }
  return { client: new Client({ connection, namespace: target.namespace }), target }
}

/** What the environment and the profile say, without connecting. */
export function temporalTarget(options: ConnectOptions = {}): TemporalTarget {
  return readTarget(options).target
}

/** The error to show for one that the Temporal client threw: about the server, its namespace or our credentials. */
export function explainTemporal(error: unknown, target: TemporalTarget): unknown {
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
  switch (grpcCodeOf(error)) {
    case GRPC.unavailable:
    case GRPC.deadlineExceeded:
      return new TemporalUnavailable(target, error)
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

/** Whether Temporal may answer if asked again: an outage, not a refusal. */
export function isTemporalOutage(error: unknown): boolean {
  const code = grpcCodeOf(error)
  return error instanceof TemporalUnavailable || code === GRPC.unavailable || code === GRPC.deadlineExceeded
}

const GRPC = { deadlineExceeded: 4, permissionDenied: 7, unavailable: 14, unauthenticated: 16 } as const

function grpcCodeOf(error: unknown): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'number') return at.code
  }
  return undefined
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error && 'details' in cause && typeof cause.details === 'string'
    ? cause.details
    : messageOf(cause)
}

function readTarget(options: ConnectOptions) {
  try {
    const profile = loadClientConfigProfile()
    const { connectionOptions, namespace } = toClientOptions(profile)
    const target: TemporalTarget = {
      address: options.address ?? profile.address ?? 'localhost:7233',
      origin: originOf(options, profile.address),
      namespace: options.namespace ?? namespace ?? 'default',
    }
    return { connectionOptions, target }
  } catch (cause) {
    throw new TabletkeeperError('InvalidConfig', `the settings for Temporal cannot be read: ${messageOf(cause)}`, {
      cause,
      hint: 'Look at TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the TEMPORAL_TLS_… variables.',
    })
  }
}

function originOf(options: ConnectOptions, profileAddress: string | undefined): string {
  if (options.address !== undefined) return 'the caller'
  if (process.env['TEMPORAL_ADDRESS'] !== undefined) return 'TEMPORAL_ADDRESS'
  if (profileAddress !== undefined) return `the Temporal profile ${process.env['TEMPORAL_PROFILE'] ?? 'default'}`
  return 'the default'
}
