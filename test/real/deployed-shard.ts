import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import type { z } from 'zod'
import { parseConfig } from '../../model/config.ts'
import { startInBackground } from '../../sandbox/background-program.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import type { Place } from '../../scripts/real/places.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { runCli } from '../client/command-line.ts'

const CLI = join(import.meta.dirname, '../../client/cli.ts')

/** A small shard and a Temporal; both know nothing of where backups are kept. */
export interface SampleSite extends AsyncDisposable {
  readonly shard: SampleShard
  /** The replica that is backed up and restored. */
  readonly tablet: SampleTablet
  /** Starts control and the agents as users do, with backups in `place`; they end when it is disposed of. */
  deploy(place: Place): Promise<Deployment>
}

export interface Deployment extends AsyncDisposable {
  /** What the processes are configured to keep backups in, asked from here. It takes credentials from the environment. */
  readonly store: ObjectStore
  /** Runs a command to its end, and returns what it tells. @throws Error with what it says on stderr, unless it exits 0 */
  tell<T>(schema: z.ZodType<T>, ...command: readonly string[]): Promise<T>
}

export async function startSite(): Promise<SampleSite> {
  await using started = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'tk-'))
  if (process.env['KEEP'] === undefined) started.defer(() => rm(directory, { recursive: true, force: true }))
  const [temporal, shard] = await Promise.all([
    startTemporal({ directory: join(directory, 'temporal') }),
    startShard({ directory: join(directory, 'shard'), replicas: 1, megabytes: 5 }),
  ])
  started.use(temporal)
  started.use(shard)
  const [tablet] = shard.replicas
  if (tablet === undefined) throw new Error('the shard has no replica')
  const running = started.move()
  return {
    shard,
    tablet,
    deploy: (place) => deploy({ directory, shard, tablet, address: temporal.address }, place),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

interface Site {
  readonly directory: string
  readonly shard: SampleShard
  readonly tablet: SampleTablet
  /** Of Temporal. */
  readonly address: string
}

async function deploy({ directory, shard, tablet, address }: Site, place: Place): Promise<Deployment> {
  await using started = new AsyncDisposableStack()
  // As its agent says when it meets a repository that it does not know: this one moved on purpose.
  await rm(join(tablet.datadir, '.tabletkeeper', 'repository'), { force: true })
  const port = await freePort()
  const text = configText(shard, place, port)
  const configPath = join(directory, `tabletkeeper-${port}.yaml`)
  await writeFile(configPath, text)
  const environment = { ...place.exports, TABLETKEEPER_CONFIG: configPath, TEMPORAL_ADDRESS: address }
  const run = async (role: 'control' | 'agent', isReady: () => Promise<boolean>) => {
    const log = join(directory, `${role}-${port}.log`)
    const server = await startInBackground({
      program: process.execPath,
      arguments: [CLI, role],
      environment,
      log,
      isReady,
    })
    started.defer(server.stop)
  }
  // What is asked for waits until it is there.
  await run('control', async () => true)
  await run('agent', async () => (await fetch(`http://127.0.0.1:${port}/tablets/${tablet.alias}/serving`)).ok)
  const store = await openStore(parseConfig(text, configPath).storage)
  const running = started.move()
  return {
    store,
    tell: async (schema, ...command) => {
      const { status, stdout, stderr } = await runCli([...command, '--json'], environment)
      if (status === 0) return schema.parse(JSON.parse(stdout))
      throw new Error(`tabletkeeper ${command.join(' ')} ended with ${status}:\n${stderr}`)
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** The configuration of the shard, with what a place says of its storage as `npm run real:<place>` shows it. */
function configText(shard: SampleShard, { storage }: Place, listenPort: number): string {
  const own: Record<string, unknown> = parse(shard.configText({ storageRoot: '/nowhere', listenPort }))
  const backup = { drainTimeout: '1s', maxLag: '5s', catchUpTimeout: '1m' }
  const settings = Object.entries(storage).map(([key, value]) => `  ${key}: ${value}`)
  return `${stringify({ ...own, storage: undefined, backup })}storage:\n${settings.join('\n')}\n`
}
