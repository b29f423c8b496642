import { setTimeout as delay } from 'node:timers/promises'
import { Client } from '@temporalio/client'
import { NativeConnection, type WorkerInterceptors, type WorkerOptions } from '@temporalio/worker'
import type { Logger } from 'pino'
import type { TemporalConfig } from '../model/config-temporal.ts'
import { messageOf } from '../model/errors.ts'
import { payloadConversion } from './payload-conversion.ts'
import { refuseForeignInput } from './refuse-foreign-input.ts'
import { installRuntime } from './telemetry.ts'
import { tlsProblem } from './temporal-handshake.ts'
import { temporalSettings } from './temporal-target.ts'

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
}

/**
 * Connects to Temporal as its environment says (TEMPORAL_ADDRESS, profiles), waiting for a server that is not there yet, or that we do not
 * trust, for ever.
 * @throws InvalidConfig when the environment or a key is wrong
 */
export async function linkToTemporal(
  temporal: TemporalConfig,
  signal: AbortSignal,
  log: Logger,
): Promise<TemporalLink> {
  // Not before: what is installed ends with the last connection, and keeps a process alive that never had one.
  installRuntime(log)
  const { dataConverter, isEncrypted } = await payloadConversion(temporal)
  const settings = temporalSettings()
  const { address, namespace } = settings.target
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      const connection = await NativeConnection.connect(settings.connection)
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
      }
    } catch (error) {
      const pause = Math.min(1_000 * 2 ** Math.min(attempt, 4), 15_000)
      const { type, message, hint } = (await tlsProblem(settings)) ?? { message: messageOf(error) }
      log.warn(
        { event: 'temporal', address, type, hint },
        `Temporal at ${address} cannot be reached, next try in ${pause / 1000} s: ${message}`,
      )
      await delay(pause, undefined, { signal })
    }
  }
}
