import { setTimeout as delay } from 'node:timers/promises'
import { Client } from '@temporalio/client'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import { NativeConnection } from '@temporalio/worker'
import type { Logger } from 'pino'
import { messageOf } from '../model/errors.ts'
import { installRuntime } from './telemetry.ts'

/** A worker's connection and its namespace. */
export interface TemporalLink {
  readonly connection: NativeConnection
  readonly namespace: string
  readonly client: Client
}

/** Connects to Temporal as its environment says (TEMPORAL_ADDRESS, profiles), waiting for a server that is not there yet, for ever. */
export async function linkToTemporal(signal: AbortSignal, log: Logger): Promise<TemporalLink> {
  // Not before: what is installed ends with the last connection, and keeps a process alive that never had one.
  installRuntime(log)
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig()
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      const connection = await NativeConnection.connect(connectionOptions)
      return { connection, namespace, client: new Client({ connection, namespace }) }
    } catch (error) {
      const pause = Math.min(1_000 * 2 ** Math.min(attempt, 4), 15_000)
      log.warn(
        { event: 'temporal', address: connectionOptions.address },
        `Temporal at ${connectionOptions.address ?? 'localhost:7233'} cannot be reached, next try in ${pause / 1000} s: ${messageOf(error)}`,
      )
      await delay(pause, undefined, { signal })
    }
  }
}
