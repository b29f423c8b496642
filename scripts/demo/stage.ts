import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startCommand } from '../../client/child-process.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { freePort, isFree } from '../../sandbox/free-port.ts'
import { provideTemporal } from '../../sandbox/provide-temporal.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { heading, say } from './narrator.ts'

const run = promisify(execFile)
const CLI = fileURLToPath(new URL('../../client/cli.ts', import.meta.url))
const STORAGE_MEGABYTES = 256
const UI_PORT = 8233

/** A shard, Temporal and tabletkeeper's own processes, all real, all on this machine. */
export interface Stage extends AsyncDisposable {
  readonly directory: string
  readonly configPath: string
  readonly storage: string
  /** Whether storage is a small file system of its own, which can be filled. */
  readonly storageCanBeFilled: boolean
  readonly temporal: TemporalServer
  readonly shard: SampleShard
  readonly replica: SampleTablet
  /** Configured, empty, not started. */
  readonly added: SampleTablet
  readonly keeper: Tabletkeeper
  readonly health: (tablet: SampleTablet) => string
  /** Runs a command of tabletkeeper as a person would; its exit status. */
  readonly type: (...args: string[]) => Promise<number>
  /** Runs Temporal's own command line. */
  readonly temporalCli: (...args: string[]) => Promise<void>
  /** Ends the agent and starts one whose configuration has these lines besides. */
  readonly restartAgent: (yaml: string) => Promise<void>
}

export async function setTheStage(): Promise<Stage> {
  heading('Setting up: MySQL, Temporal, a shard with a primary and a replica')
  const parts = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-demo-'))
  parts.defer(() => rm(directory, { recursive: true, force: true }))
  try {
    return await setUp(directory, parts)
  } catch (error) {
    await parts.disposeAsync()
    throw error
  }
}

async function setUp(directory: string, parts: AsyncDisposableStack): Promise<Stage> {
  const storage = join(directory, 'storage')
  const storageCanBeFilled = await mountSmall(storage, parts)
  const uiPort = (await isFree(UI_PORT)) ? UI_PORT : await freePort()
  const temporal = parts.use(await startTemporal({ directory: join(directory, 'temporal'), uiPort }))
  const shard = parts.use(await startShard({ directory: join(directory, 'shard'), replicas: 1, megabytes: 40 }))
  const [replica] = shard.replicas
  if (replica === undefined) throw new Error('the sample shard has no replica')
  const added = await shard.addTablet(102)
  const listenPort = await freePort()
  const configPath = join(directory, 'tabletkeeper.yaml')
  const configText = shard.configText({ storageRoot: storage, listenPort })
  const writeConfig = (yaml: string): Promise<void> => writeFile(configPath, `${configText}${yaml}\n`)
  // The acts name the steps as they are where files cannot be cloned.
  await writeConfig('backup: { drainTimeout: 2s, snapshot: none }')

  const environment = { TABLETKEEPER_CONFIG: configPath, TEMPORAL_ADDRESS: temporal.address }
  Object.assign(process.env, environment)
  const start = async (role: string, ...flags: string[]) => {
    const logFile = join(directory, `${role}.log`)
    const child = startCommand({ cli: CLI, args: [role, ...flags], environment, logFile, onMessage: () => {} })
    await Promise.race([
      child.ready,
      child.ended.then(() => Promise.reject(new Error(`${role} ended while it started: see ${logFile}`))),
    ])
    return child
  }
  parts.use(await start('control'))
  // The new tablet waits for the bootstrap that is typed below.
  const startAgent = () => start('agent', '--restore_from_backup=false')
  let agent = await startAgent()
  parts.defer(() => agent[Symbol.asyncDispose]())
  const keeper = parts.use(await Tabletkeeper.connect())
  say(`${shard.shard}: primary ${shard.primary.alias}, replica ${replica.alias}; Temporal's UI: ${temporal.uiAddress}`)
  return {
    directory,
    configPath,
    storage,
    storageCanBeFilled,
    temporal,
    shard,
    replica,
    added,
    keeper,
    health: (tablet) => `http://127.0.0.1:${listenPort}/tablets/${tablet.alias}/serving`,
    type: async (...args) => {
      say(`\n$ tabletkeeper ${args.join(' ')}`)
      const command = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'inherit', 'inherit'] })
      const [code] = await once(command, 'exit')
      return typeof code === 'number' ? code : 1
    },
    temporalCli: async (...args) => {
      say(`\n$ temporal ${args.join(' ')}`)
      await run(await provideTemporal(), [...args, '--address', temporal.address])
    },
    restartAgent: async (yaml) => {
      await agent[Symbol.asyncDispose]()
      await writeConfig(yaml)
      agent = await startAgent()
    },
    [Symbol.asyncDispose]: async () => {
      say('\nstopping everything …')
      // The last tablet was started by its agent and not by the shard.
      await added.stop()
      await parts.disposeAsync()
    },
  }
}

async function mountSmall(path: string, parts: AsyncDisposableStack): Promise<boolean> {
  await mkdir(path)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${STORAGE_MEGABYTES}m`, 'tmpfs', path])
  } catch {
    return false
  }
  parts.defer(async () => {
    await run('umount', [path])
  })
  return true
}
