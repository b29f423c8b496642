import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import pino, { type Logger } from 'pino'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import type { TabletAlias } from '../../model/alias.ts'
import { type Config, parseConfig } from '../../model/config.ts'
import type { BackupInput } from '../../model/runs.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { type SampleShard, type ShardOptions, startShard } from '../../sandbox/sample-shard.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import { type AgentOptions, runAgent } from '../../workers/agent.ts'
import { runControl } from '../../workers/control.ts'

/** A real shard, a real Temporal, and the two processes of tabletkeeper, which run in this one. */
export interface World extends AsyncDisposable {
  readonly directory: string
  readonly storageRoot: string
  readonly configPath: string
  readonly shard: SampleShard
  readonly temporal: Awaited<ReturnType<typeof startTemporal>>
  readonly keeper: Tabletkeeper
  readonly client: Client
  /** URL of a tablet's health endpoint, while an agent of it runs. */
  health(alias: TabletAlias): string
  readonly log: Logger
  config(): Config
  input(alias: TabletAlias): BackupInput
  /** Runs an agent until it is stopped; ready when it polls. */
  startAgent(alias: TabletAlias, options?: Partial<AgentOptions>): Promise<Running>
  startControl(): Promise<Running>
  /** Names under `<storage>/<shard>/`, and whether each has a MANIFEST. */
  stored(): Promise<{ readonly name: string; readonly complete: boolean }[]>
}

export interface Running {
  stop(): Promise<void>
}

export interface WorldOptions extends Partial<ShardOptions> {
  /** Lines that are added to tabletkeeper.yaml. */
  readonly yaml?: string
  readonly storageRoot?: string
}

export const QUICK = 'backup: { drainTimeout: 1s, maxLag: 5s, catchUpTimeout: 1m }'

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'tk-'))
  const storageRoot = options.storageRoot ?? join(directory, 'storage')
  await mkdir(storageRoot, { recursive: true })
  const { yaml = QUICK, storageRoot: _storage, ...shardOptions } = options
  const [temporal, shard] = await Promise.all([
    startTemporal({ directory: join(directory, 'temporal') }),
    startShard({ directory: join(directory, 'shard'), replicas: 1, megabytes: 2, ...shardOptions }),
  ])
  process.env['TEMPORAL_ADDRESS'] = temporal.address
  const configPath = join(directory, 'tabletkeeper.yaml')
  const log = pino({ level: process.env['LOG_LEVEL'] ?? 'silent' }, pino.destination(join(directory, 'log')))
  const running = new Set<Running>()
  const text = (): string => `${shard.configText({ storageRoot })}\n${yaml}\n`
  const config = (): Config => parseConfig(text(), configPath)
  const keep = async (start: (signal: AbortSignal, ready: () => void) => Promise<void>): Promise<Running> => {
    const stopping = new AbortController()
    const ready = Promise.withResolvers<void>()
    const ended = start(stopping.signal, ready.resolve)
    ended.catch(ready.reject)
    const handle: Running = {
      stop: async () => {
        stopping.abort()
        running.delete(handle)
        await ended
      },
    }
    running.add(handle)
    await ready.promise
    return handle
  }
  await writeFile(configPath, text())
  const keeper = await Tabletkeeper.connect()
  const connection = await Connection.connect({ address: temporal.address })
  const ports = new Map<TabletAlias, number>()
  return {
    directory,
    storageRoot,
    configPath,
    shard,
    temporal,
    keeper,
    client: new Client({ connection }),
    log,
    config,
    input: (tablet) => ({ shard: shard.shard, tablet, agentTimeout: '60s' }),
    health: (alias) => `http://127.0.0.1:${ports.get(alias)}/tablets/${alias}/serving`,
    startAgent: async (alias, agent = {}) => {
      const port = await freePort()
      ports.set(alias, port)
      const given = agent.config ?? config()
      const own = { ...given, agent: { ...given.agent, listen: { host: '127.0.0.1', port } } }
      return await keep((signal, onReady) =>
        runAgent({ tablets: [alias], signal, log, onReady, ...agent, config: own }),
      )
    },
    startControl: () => keep((signal, onReady) => runControl({ config: config(), signal, log, onReady })),
    stored: async () => {
      const names = await readdir(join(storageRoot, shard.shard)).catch(() => [])
      return await Promise.all(
        names.sort().map(async (name) => ({
          name,
          complete: (await readdir(join(storageRoot, shard.shard, name))).includes('MANIFEST'),
        })),
      )
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled([...running].map((one) => one.stop()))
      await keeper[Symbol.asyncDispose]()
      await connection.close()
      await shard.stop()
      await temporal.stop()
      if (process.env['KEEP'] === undefined) await rm(directory, { recursive: true, force: true })
    },
  }
}
