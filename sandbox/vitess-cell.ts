import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAlias } from '../model/alias.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { partsOf, type ShardName } from '../model/shard-name.ts'
import { startInBackground } from './background-program.ts'
import { findProgram, runCommand } from './command.ts'
import { freePort } from './free-port.ts'
import { provideMysql } from './provide-mysql.ts'
import { provideVitess } from './provide-vitess.ts'
import { giveToUnprivileged, unprivileged } from './unprivileged.ts'
import { createVitessTablet, type VitessTablet } from './vitess-tablet.ts'

export interface VitessOptions {
  /** Holds everything of it; made when it is not there. Everybody must be able to pass through the directories above. */
  readonly directory: string
  /** Of backups, in Vitess's file storage. */
  readonly storageRoot: string
  readonly shard: ShardName
  readonly cell: string
}

/** A real Vitess on this machine: etcd, vtctld, and the tablets that are added to it. */
export interface VitessCell extends AsyncDisposable {
  /** One more tablet: an empty mysqld that runs, without vttablet yet. */
  addTablet(uid: number): Promise<VitessTablet>
  /** Runs `vtctldclient` with these arguments, and returns what it printed. */
  vtctl(...commandArguments: readonly string[]): Promise<string>
  /** Ends every process of it. Nothing is removed. */
  stop(): Promise<void>
}

/**
 * Starts a Vitess with one empty keyspace. Its programs run as an unprivileged user when we are root, which they refuse
 * to be.
 * @throws NotFound when etcd or Vitess cannot be had or does not start; what was started is stopped before
 */
export async function startVitessCell(options: VitessOptions): Promise<VitessCell> {
  const { directory, cell } = options
  const { keyspace } = partsOf(options.shard)
  const [programs, etcd, { mysqld }] = await Promise.all([provideVitess(), findEtcd(), provideMysql()])
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await giveToUnprivileged(directory)
  await using started = new AsyncDisposableStack()

  const topology = await startEtcd(etcd, directory)
  started.defer(topology.stop)
  const flags = [
    ...['--topo-implementation', 'etcd2', '--topo-global-server-address', topology.address],
    ...['--topo-global-root', '/vitess/global'],
    ...['--backup-storage-implementation', 'file', '--file-backup-storage-root', options.storageRoot],
  ]
  const [web, grpc] = [await freePort(), await freePort()]
  const vtctl = (...commandArguments: readonly string[]): Promise<string> =>
    runCommand(join(programs, 'vtctldclient'), [
      '--server',
      `127.0.0.1:${grpc}`,
      ...ACTION_TIMEOUT,
      ...commandArguments,
    ])
  const [program, programArguments] = unprivileged(join(programs, 'vtctld'), [
    ...flags,
    ...['--cell', cell, '--service-map', 'grpc-vtctl,grpc-vtctld', '--bind-address', '127.0.0.1'],
    ...['--port', String(web), '--grpc-port', String(grpc)],
  ])
  const vtctld = await startInBackground({
    program,
    arguments: programArguments,
    environment: { VTDATAROOT: directory, HOME: directory, TMPDIR: directory },
    log: join(directory, 'vtctld.log'),
    isReady: () => vtctl('GetCellInfoNames').then(() => true),
  })
  started.defer(vtctld.stop)
  await vtctl('AddCellInfo', '--root', `/vitess/${cell}`, '--server-address', topology.address, cell)
  await vtctl('CreateKeyspace', '--durability-policy', 'none', keyspace)

  const running = started.move()
  const stop = () => running.disposeAsync()
  return {
    addTablet: async (uid) => {
      const alias = parseAlias(`${cell}-${uid}`)
      const { shard } = options
      const tablet = await createVitessTablet({ alias, shard, dataRoot: directory, programs, mysqld, flags })
      running.defer(tablet.stop)
      return tablet
    },
    vtctl,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Backups and restores of a sample take seconds; a machine at work, longer. */
const ACTION_TIMEOUT = ['--action-timeout', '5m']

async function findEtcd(): Promise<string> {
  const etcd = await findProgram('etcd')
  if (etcd !== undefined) return etcd
  throw new TabletkeeperError('NotFound', "etcd, which keeps Vitess's topology, is not on PATH", {
    hint: 'apt-get install etcd-server etcd-client',
  })
}

async function startEtcd(program: string, directory: string) {
  const [clients, peers] = [await freePort(), await freePort()].map((port) => `127.0.0.1:${port}`)
  const data = join(directory, 'etcd')
  const { stop } = await startInBackground({
    program,
    arguments: [
      ...['--name', 'default', '--data-dir', data, '--initial-cluster', `default=http://${peers}`],
      ...['--listen-client-urls', `http://${clients}`, '--advertise-client-urls', `http://${clients}`],
      ...['--listen-peer-urls', `http://${peers}`, '--initial-advertise-peer-urls', `http://${peers}`],
    ],
    log: join(directory, 'etcd.log'),
    isReady: async () => (await fetch(`http://${clients}/health`)).ok,
  })
  return { address: `${clients}`, stop }
}
