import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../sandbox/free-port.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { eventually } from './assertions.ts'
import { QUICK, type World } from './world.ts'

const CLI = fileURLToPath(new URL('../../client/cli.ts', import.meta.url))

/** `tabletkeeper agent` as people run it: a process of its own, which can be killed. */
export interface CrashingAgent {
  /** URL of the tablet's health endpoint. */
  readonly health: string
  /** Its log up to now. */
  said(): Promise<string>
  /** Ends it as a crash does. */
  kill(): Promise<void>
  /** Ends it as systemd does. @returns its exit status; null when it was killed */
  stop(): Promise<number | null>
}

/** An agent that needs eight seconds at least to copy a sample of 80 MiB, on any machine. */
export const SLOW = QUICK.replace('{', '{ maxRate: 10MiB/s,')

/** Starts the agent of one tablet, `yaml` added to its configuration; ready when it polls. */
export async function startCrashingAgent(world: World, tablet: SampleTablet, yaml = QUICK): Promise<CrashingAgent> {
  const port = await freePort()
  const config = join(world.directory, `agent-${port}.yaml`)
  const log = join(world.directory, `agent-${port}.log`)
  await writeFile(config, `${world.shard.configText({ storageRoot: world.storageRoot, listenPort: port })}\n${yaml}\n`)
  const child = await spawned(['agent', '--tablet', tablet.alias, '--config', config], world, log)
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      await once(child, 'exit')
    }
    return child.exitCode
  }
  try {
    await eventually(
      async () => ({ ended: child.exitCode, said: await readFile(log, 'utf8') }),
      ({ ended, said }) => {
        if (ended !== null) throw new Error(`the agent ended with ${ended}: ${said}`)
        return said.includes('"event":"ready"')
      },
    )
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
  return {
    said: () => readFile(log, 'utf8'),
    health: `http://127.0.0.1:${port}/tablets/${tablet.alias}/serving`,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  }
}

async function spawned(argv: readonly string[], world: World, log: string): Promise<ChildProcess> {
  await using output = await open(log, 'a')
  const child = spawn(process.execPath, [CLI, ...argv], {
    env: { ...process.env, TEMPORAL_ADDRESS: world.temporal.address, LOG_LEVEL: 'info' },
    stdio: ['ignore', output.fd, output.fd],
  })
  await once(child, 'spawn')
  return child
}
