import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig'
import type { NativeConnectionOptions } from '@temporalio/worker'
import { messageOf, TabletkeeperError } from '../model/errors.ts'

/** Which Temporal server is meant, and who said so. */
export interface TemporalTarget {
  readonly address: string
  /** Where the address comes from, for people: `TEMPORAL_ADDRESS`, a profile, or the default. */
  readonly origin: string
  readonly namespace: string
}

/** Overrides what the environment and Temporal's profiles say. */
export interface TargetOptions {
  /** `host:port` */
  readonly address?: string
  readonly namespace?: string
}

/** A server, and how to connect to it: certificates and API key, of which nothing may be shown. */
export interface TemporalSettings {
  readonly target: TemporalTarget
  readonly connection: NativeConnectionOptions
}

/**
 * What the environment and the profile say, as for Temporal's own tools: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
 * `TEMPORAL_TLS_…` and the profiles of its configuration file. Nothing is connected to.
 * @throws InvalidConfig when they cannot be read
 */
export function temporalSettings(options: TargetOptions = {}): TemporalSettings {
  try {
    const profile = loadClientConfigProfile()
    const { connectionOptions, namespace } = toClientOptions(profile)
    const address = options.address ?? profile.address ?? 'localhost:7233'
    const origin = originOf(options, profile.address)
    return {
      target: { address, origin, namespace: options.namespace ?? namespace ?? 'default' },
      connection: { ...connectionOptions, address },
    }
  } catch (cause) {
    throw new TabletkeeperError('InvalidConfig', `the settings for Temporal cannot be read: ${messageOf(cause)}`, {
      cause,
      hint: 'Look at TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE and the TEMPORAL_TLS_… variables.',
    })
  }
}

function originOf(options: TargetOptions, profileAddress: string | undefined): string {
  if (options.address !== undefined) return 'the caller'
  if (process.env['TEMPORAL_ADDRESS'] !== undefined) return 'TEMPORAL_ADDRESS'
  if (profileAddress !== undefined) return `the Temporal profile ${process.env['TEMPORAL_PROFILE'] ?? 'default'}`
  return 'the default'
}
