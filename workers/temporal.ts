import { setTimeout as delay } from 'node:timers/promises'
import { Client, isGrpcServiceError } from '@temporalio/client'
import { NativeConnection, type WorkerInterceptors, type WorkerOptions } from '@temporalio/worker'
import type { Logger } from 'pino'
import type { TemporalConfig } from '../model/config-temporal.ts'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { type PayloadConversion, payloadConversion } from './payload-conversion.ts'
import { refuseForeignInput } from './refuse-foreign-input.ts'
import { installRuntime } from './telemetry.ts'
import { tlsProblem } from './temporal-handshake.ts'
import { type TemporalSettings, temporalSettings } from './temporal-target.ts'

/** A worker's connection and its namespace. */
export interface TemporalLink {
  readonly connection: NativeConnection
  readonly namespace: string
  readonly client: Client
  /** Whether everything that passes through Temporal is encrypted. */
  readonly isEncrypted: boolean
  /** What every worker is created with, around interceptors of its own. */
  workerOptions(
    given?: WorkerInterceptors,
  ): Pick<WorkerOptions, 'connection' | 'namespace' | 'dataConverter' | 'interceptors'>
  /** Ends the connection once its workers have ended; never rejects. */
  close(): Promise<void>
}

/** Waits for Temporal until `signal` is aborted, and connects to it. */
export type TemporalLinking = (signal: AbortSignal) => Promise<TemporalLink>

/** How long Temporal may take to tell of our namespace, in milliseconds. */
const ANSWER_LIMIT = 10_000

/** `NOT_FOUND` of gRPC. */
const NOT_FOUND = 5

/**
 * Connects to Temporal as its environment says (TEMPORAL_ADDRESS, profiles), waiting for a server that is not there yet, that we do not
 * trust, or that does not serve our namespace, for ever.
 * @throws InvalidConfig when the environment or a key is wrong
 */
export async function linkToTemporal(
  temporal: TemporalConfig,
  signal: AbortSignal,
  log: Logger,
): Promise<TemporalLink> {
  return await (await temporalLinking(temporal, log))(signal)
}

/**
 * As `linkToTemporal`, for who connects again and again. The environment's files are read at each try: certificates and keys are renewed
 * while this waits.
 * @throws InvalidConfig when the environment or a key is wrong
 */
export async function temporalLinking(temporal: TemporalConfig, log: Logger): Promise<TemporalLinking> {
  // Not before: what is installed ends with the last connection, and keeps a process alive that never had one.
  installRuntime(log)
  const conversion = await payloadConversion(temporal)
  let settings = temporalSettings()
  return async (signal) => {
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      settings = readAgain(settings, log)
      try {
        return linkOver(await connectTo(settings), settings.target.namespace, conversion, log)
      } catch (error) {
        const pause = Math.min(1_000 * 2 ** Math.min(attempt, 4), 15_000)
        const { type, message, hint } = (await tlsProblem(settings)) ?? told(error)
        const { address } = settings.target
        log.warn(
          { event: 'temporal', address, type, hint },
          `Temporal at ${address} cannot be reached, next try in ${pause / 1000} s: ${message}`,
        )
        await delay(pause, undefined, { signal })
      }
    }
  }
}

/** The settings of before where they cannot be read now, as in the middle of a renewal. */
function readAgain(before: TemporalSettings, log: Logger): TemporalSettings {
  try {
    return temporalSettings()
  } catch (error) {
    log.warn({ event: 'temporal' }, `${messageOf(error)}: those of before are tried again`)
    return before
  }
}

function told(error: unknown): Pick<TabletkeeperError, 'message' | 'hint'> & { readonly type?: string } {
  return isError(error) ? error : { message: messageOf(error), hint: undefined }
}

/** Connects, and sees to it that the namespace is there for us: each worker needs it, and would end where it is not. */
async function connectTo({ connection: options, target }: TemporalSettings): Promise<NativeConnection> {
  const connection = await NativeConnection.connect(options)
  try {
    const { namespace } = target
    await connection.withDeadline(Date.now() + ANSWER_LIMIT, () =>
      connection.workflowService.describeNamespace({ namespace }),
    )
    return connection
  } catch (error) {
    await connection.close()
    if (!isGrpcServiceError(error) || error.code !== NOT_FOUND) throw error
    throw new TabletkeeperError('InvalidConfig', `it has no namespace ${target.namespace}`, {
      cause: error,
      hint: `Look at TEMPORAL_NAMESPACE; or make it: temporal operator namespace create --namespace ${target.namespace}`,
    })
  }
}

function linkOver(
  connection: NativeConnection,
  namespace: string,
  { dataConverter, isEncrypted }: PayloadConversion,
  log: Logger,
): TemporalLink {
  return {
    connection,
    namespace,
    client: new Client({ connection, namespace, dataConverter }),
    isEncrypted,
    workerOptions: (given = {}) => ({
      connection,
      namespace,
      dataConverter,
      interceptors: { ...given, activity: [refuseForeignInput, ...(given.activity ?? [])] },
    }),
    close: () =>
      connection.close().catch((error: unknown) => {
        // Where a worker does not end: why it should is what has to be told.
        log.warn({ event: 'temporal', err: error }, `the connection to Temporal stays open: ${messageOf(error)}`)
      }),
  }
}
