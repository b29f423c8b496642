import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, Connection } from '@temporalio/client'
import { Tabletkeeper } from '../../client/tabletkeeper.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { openStore } from '../../storage/kinds.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { Load } from './load.ts'
import { MysqldSupervisor } from './mysqld-supervisor.ts'
import { mountData, mountStorage, type Place, plainPlace, type StoragePlace } from './places.ts'
import { Service } from './service.ts'
import { addVictim, type Mode, victimConfig, writeRefusingMysqld } from './victim.ts'

export interface ChaosWorldOptions {
  readonly directory: string
  /** The command line's file. */
  readonly cli: string
  /** Whether file systems can be mounted. */
  readonly canMount: boolean
}

/** A primary under load, a replica that is the victim, and everything that looks after it: all real, in processes of their own. */
export interface Scenery {
  readonly directory: string
  readonly storage: StoragePlace
  readonly store: ObjectStore
  readonly data: Place
  readonly shard: SampleShard
  readonly victim: SampleTablet
  readonly supervisor: MysqldSupervisor
  readonly load: Load
  readonly control: Service
  readonly keeper: Tabletkeeper
  readonly client: Client
  /** URL of the victim's health endpoint. */
  readonly health: string
  /** A file: while it is there, the next start of the victim's mysqld takes it away and fails. */
  readonly refusal: string
}

/** Scenery with what is replaced while cases are run. */
export class ChaosWorld implements AsyncDisposable {
  readonly scenery: Scenery
  readonly #startAgent: (mode: Mode) => Promise<Service>
  readonly #dispose: () => Promise<void>
  readonly #temporal: { server: TemporalServer }
  #agent: { readonly service: Service; readonly mode: Mode } | undefined

  private constructor(
    scenery: Scenery,
    temporal: { server: TemporalServer },
    startAgent: (mode: Mode) => Promise<Service>,
    dispose: () => Promise<void>,
  ) {
    this.scenery = scenery
    this.#temporal = temporal
    this.#startAgent = startAgent
    this.#dispose = dispose
  }

  static async start({ directory, cli, canMount }: ChaosWorldOptions): Promise<ChaosWorld> {
    await using parts = new AsyncDisposableStack()
    await mkdir(directory, { recursive: true })
    const storagePath = join(directory, 'storage')
    const storage = parts.use(await (canMount ? mountStorage(storagePath) : plainPlace(storagePath)))
    const data = parts.use(await (canMount ? mountData() : plainPlace(join(directory, 'data'))))
    const temporal = { server: await startTemporal({ directory: join(directory, 'temporal') }) }
    parts.defer(() => temporal.server.stop())
    const { address } = temporal.server

    const shard = parts.use(await startShard({ directory: join(directory, 'shard'), replicas: 0, megabytes: 3 }))
    const victim = await addVictim(shard, join(data.path, 'data'))
    const supervisor = parts.use(new MysqldSupervisor(victim))
    const load = parts.use(new Load(shard.primary))
    load.resume()

    const refusal = join(directory, 'refuse-to-start')
    const mysqld = join(directory, 'mysqld')
    await writeRefusingMysqld(mysqld, victim.mysqld, refusal)
    const listenPort = await freePort()
    const start = async (role: 'agent' | 'control', mode: Mode, ...flags: string[]) => {
      const config = join(directory, `${mode}.yaml`)
      await writeFile(config, victimConfig({ shard, storageRoot: storage.path, mysqld, listenPort, mode }))
      const args = [role, '--config', config, ...flags]
      const environment = { TEMPORAL_ADDRESS: address, LOG_LEVEL: 'info' }
      return await Service.start({ cli, args, environment, log: join(directory, `${role}.log`) })
    }
    const control = parts.use(await start('control', 'none'))
    const keeper = parts.use(await Tabletkeeper.connect({ address }))
    const connection = await Connection.connect({ address })
    parts.defer(() => connection.close())
    const scenery: Scenery = {
      ...{ directory, storage, data, shard, victim, supervisor, load, control, keeper, refusal },
      store: await openStore({ kind: 'file', root: storage.path }),
      client: new Client({ connection }),
      health: `http://127.0.0.1:${listenPort}/tablets/${victim.alias}/serving`,
    }
    const running = parts.move()
    return new ChaosWorld(
      scenery,
      temporal,
      (mode) => start('agent', mode, '--tablet', victim.alias),
      () => running.disposeAsync(),
    )
  }

  /** @throws when `useMode` was never called */
  get agent(): Service {
    if (this.#agent === undefined) throw new Error('no agent was started yet')
    return this.#agent.service
  }

  /** Has an agent that copies in that way, another process if need be; resolves when it and control are ready. */
  async useMode(mode: Mode): Promise<void> {
    if (this.#agent?.mode !== mode) {
      await this.#agent?.service.stop()
      this.#agent = undefined
      this.#agent = { service: await this.#startAgent(mode), mode }
    }
    await Promise.all([this.agent.ready(), this.scenery.control.ready()])
  }

  get temporalPid(): number {
    return this.#temporal.server.pid
  }

  /** Ends Temporal's server as a crash does. */
  async killTemporal(): Promise<void> {
    await this.#temporal.server.kill()
  }

  /** Starts it again, at the same address and on the same database. */
  async startTemporal(): Promise<void> {
    const port = Number(this.#temporal.server.address.split(':')[1])
    this.#temporal.server = await startTemporal({ directory: join(this.scenery.directory, 'temporal'), port })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.service.stop()
    await this.#dispose()
  }
}
