import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { Worker } from '@temporalio/worker'
import pino from 'pino'
import type { TabletActivities } from '../../activities/contract.ts'
import { loadConfiguration } from '../../client/configuration.ts'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { parseAlias } from '../../model/alias.ts'
import { agentQueue } from '../../model/runs.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { runControl } from '../../workers/control.ts'
import { linkToTemporal } from '../../workers/temporal.ts'
import { writeConfig } from '../client/command-line.ts'

export const SHARD = parseShardName('commerce/0')
export const TABLET = parseAlias('zone1-101')
export const SUBJECT = { shard: SHARD, tablet: TABLET }

/** A real Temporal with a real control that has keys; agents are played. */
export interface SealedWorld extends AsyncDisposable {
  readonly temporal: TemporalServer
  /** Those of control, the newer first. */
  readonly keyFiles: readonly string[]
  /** One that nobody else has. */
  readonly otherKeyFile: string
  /** A client with the keys of control. */
  readonly keeper: Tabletkeeper
  /** Anybody with access to the namespace, who has no key. */
  readonly stranger: Client
  /** The path of a configuration that names these keys. */
  configWith(keyFiles: readonly string[]): Promise<string>
  /** An agent whose activities are these, with the keys of control unless others are given. */
  playAgent(activities: Partial<TabletActivities>, keyFiles?: readonly string[]): Promise<AsyncDisposable>
}

const log = pino({ level: 'silent' })

export async function startSealedWorld(): Promise<SealedWorld> {
  await using started = new AsyncDisposableStack()
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-sealed-'))
  started.defer(() => rm(directory, { recursive: true, force: true }))
  const storage = join(directory, 'storage')
  await mkdir(storage)
  const [newer, older, otherKeyFile] = await Promise.all(
    ['newer', 'older', 'other'].map(async (name, at) => {
      const path = join(directory, `${name}.key`)
      const key = randomBytes(32)
      // Both ways to write one down.
      await writeFile(path, at === 0 ? key : `${key.toString('base64')}\n`, { mode: 0o600 })
      return path
    }),
  )
  if (newer === undefined || older === undefined || otherKeyFile === undefined) throw new Error('three were made')
  const keyFiles = [newer, older]
  const temporal = started.use(await startTemporal({ directory: join(directory, 'temporal') }))
  process.env['TEMPORAL_ADDRESS'] = temporal.address

  let configs = 0
  const configWith = async (files: readonly string[]): Promise<string> => {
    const folder = join(directory, `config-${configs++}`)
    await mkdir(folder)
    const path = await writeConfig(folder, storage)
    await writeFile(path, `temporal: { encryptionKeyFiles: [${files.join(', ')}] }\n`, { flag: 'a' })
    return path
  }
  const stopping = new AbortController()
  const ready = Promise.withResolvers<void>()
  const control = runControl({
    config: await loadConfiguration({ path: await configWith(keyFiles) }),
    signal: stopping.signal,
    log,
    onReady: ready.resolve,
  })
  started.defer(async () => {
    stopping.abort()
    await control
  })
  await Promise.race([ready.promise, control])
  const keeper = started.use(await Tabletkeeper.connect({ encryptionKeyFiles: keyFiles }))
  const connection = await Connection.connect({ address: temporal.address })
  started.defer(() => connection.close())

  const playAgent = async (activities: Partial<TabletActivities>, files = keyFiles): Promise<AsyncDisposable> => {
    const link = await linkToTemporal({ encryptionKeyFiles: files }, stopping.signal, log)
    const worker = await Worker.create({
      ...link.workerOptions(),
      taskQueue: agentQueue(TABLET),
      activities: { ...activities },
      maxHeartbeatThrottleInterval: '1s',
    })
    const running = worker.run()
    return {
      [Symbol.asyncDispose]: async () => {
        worker.shutdown()
        await running
        await link.connection.close()
      },
    }
  }
  const running = started.move()
  return {
    temporal,
    keyFiles,
    otherKeyFile,
    keeper,
    stranger: new Client({ connection }),
    configWith,
    playAgent,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
