import { type Ended, type Started, startCli } from '../client/command-line.ts'
import type { World } from './world.ts'

/** Starts a command as people type it, with the world's configuration and Temporal. */
export function startKeeper(world: World, ...args: readonly string[]): Started {
  const { configPath, temporal } = world
  return startCli(args, { TABLETKEEPER_CONFIG: configPath, TEMPORAL_ADDRESS: temporal.address, NO_COLOR: '1' })
}

/** Runs a command to its end. */
export function runKeeper(world: World, ...args: readonly string[]): Promise<Ended> {
  return startKeeper(world, ...args).ended
}
