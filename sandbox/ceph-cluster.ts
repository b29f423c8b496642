import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BackgroundProgram, startInBackground } from './background-program.ts'
import { runCommand } from './command.ts'
import { freePort } from './free-port.ts'
import { cephPlugins } from './install-ceph.ts'
import { provideCeph } from './provide-ceph.ts'
import type { S3Keys } from './versitygw.ts'

export interface CephOptions {
  /** Default: a free one. */
  readonly port?: number
  /** What its objects may take together; they are in memory. Default: 2 GiB. */
  readonly bytes?: number
}

/** Ceph on 127.0.0.1 with its RADOS Gateway, which speaks Amazon S3's protocol. It has no bucket yet. All of it is in memory. */
export interface CephCluster extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` of the gateway. */
  readonly endpoint: string
  /** Of a user who may make buckets. */
  readonly keys: S3Keys
  /** Holds configuration and logs; it goes with the cluster. */
  readonly directory: string
  /** Adds another user, who has no bucket. */
  addUser(): Promise<S3Keys>
  /** Ends the gateway as a crash does; what was stored stays. */
  killGateway(): Promise<void>
  /** Starts it again, at the same address. */
  startGateway(): Promise<void>
}

/** Much smaller than Ceph's: a decision of the one monitor waits for nobody. */
const AT_ONCE = '0.02'

/**
 * Starts the smallest cluster: one monitor, one OSD that keeps everything in memory, one gateway; and waits until it answers. It has no
 * manager: nothing that a gateway does needs one.
 * @throws NotFound when Ceph cannot be had (as `provideCeph`) or does not start, with the end of its log
 */
export async function startCeph(options: CephOptions = {}): Promise<CephCluster> {
  const bin = await provideCeph()
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-ceph-'))
  const started: BackgroundProgram[] = []
  // Nothing of it outlives the memory that it is in; asked to end, the gateway takes half a minute.
  const dispose = async () => {
    for (const program of started.splice(0).reverse()) await program.kill()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const [monitor, gateway] = [await freePort(), options.port ?? (await freePort())]
    const cluster = await configure({ bin, directory, monitor, gateway, bytes: options.bytes ?? 2 ** 31 })
    await makeMonitor(cluster)
    started.push(await start(cluster, 'ceph-mon', ['-i', 'a'], async () => true))
    await runCommand(join(bin, 'ceph-osd'), ['-i', '0', '-c', cluster.config, '--mkfs'])
    started.push(await start(cluster, 'ceph-osd', ['-i', '0'], async () => true))
    const keys = await addUser(cluster, 'owner')
    const endpoint = `http://127.0.0.1:${gateway}`
    const startGateway = async () => {
      const isReady = async () => (await fetch(endpoint)).ok
      started.push(await start(cluster, 'radosgw', ['-n', 'client.rgw'], isReady))
    }
    await startGateway()
    return {
      endpoint,
      keys,
      directory,
      addUser: () => addUser(cluster),
      killGateway: async () => started.pop()?.kill(),
      startGateway,
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

interface Cluster {
  readonly bin: string
  readonly directory: string
  readonly config: string
  readonly fsid: string
  readonly monitor: number
}

async function configure(options: {
  readonly bin: string
  readonly directory: string
  readonly monitor: number
  readonly gateway: number
  readonly bytes: number
}): Promise<Cluster> {
  const { bin, directory, monitor, gateway, bytes } = options
  const fsid = randomUUID()
  for (const name of ['mon', 'osd', 'rgw']) await mkdir(join(directory, name))
  const plugins = await cephPlugins(bin)
  const sections = {
    global: {
      fsid,
      'mon initial members': 'a',
      'mon host': `v1:127.0.0.1:${monitor}`,
      'public addr': '127.0.0.1',
      'ms bind msgr2': false,
      'auth cluster required': 'none',
      'auth service required': 'none',
      'auth client required': 'none',
      'run dir': directory,
      'admin socket': '',
      'log file': join(directory, '$name.log'),
      'osd pool default size': 1,
      'osd pool default min size': 1,
      'osd pool default pg num': 8,
      'osd pool default pgp num': 8,
      'osd pool default pg autoscale mode': 'off',
      'osd crush chooseleaf type': 0,
      // The first map has it at its place. An OSD that asks for it at its start waits for ever now and then (three of eleven starts, three at once).
      'osd crush update on start': false,
      'osd class update on start': false,
      'mon allow pool size one': true,
      'mon max pg per osd': 10_000,
      // A disk that is nearly full is no reason not to start.
      'mon data avail warn': 1,
      'mon data avail crit': 0,
      'paxos propose interval': AT_ONCE,
      'paxos min wait': AT_ONCE,
      ...(plugins && {
        'plugin dir': join(plugins, 'ceph'),
        'erasure code dir': join(plugins, 'ceph', 'erasure-code'),
        'osd class dir': join(plugins, 'rados-classes'),
      }),
    },
    'mon.a': { 'mon data': join(directory, 'mon'), 'public addr': `v1:127.0.0.1:${monitor}` },
    osd: { 'osd data': join(directory, 'osd'), 'osd objectstore': 'memstore', 'memstore device bytes': bytes },
    'client.rgw': { 'rgw data': join(directory, 'rgw'), 'rgw frontends': `beast endpoint=127.0.0.1:${gateway}` },
  }
  const config = join(directory, 'ceph.conf')
  const text = Object.entries(sections).map(([name, keys]) =>
    [`[${name}]`, ...Object.entries(keys).map(([key, value]) => `${key} = ${value}`), ''].join('\n'),
  )
  await writeFile(config, text.join('\n'))
  return { bin, directory, config, fsid, monitor }
}

/** A monitor whose first map has one OSD already, so that nobody has to ask for it with Ceph's command line, which is Python. */
async function makeMonitor({ bin, directory, config, fsid, monitor }: Cluster): Promise<void> {
  const [monitors, osds] = [join(directory, 'monmap'), join(directory, 'osdmap')]
  const address = `[v1:127.0.0.1:${monitor}]`
  await runCommand(join(bin, 'monmaptool'), ['--create', '--fsid', fsid, '--addv', 'a', address, monitors])
  await runCommand(join(bin, 'osdmaptool'), ['-c', config, '--createsimple', '1', osds])
  const maps = ['--monmap', monitors, '--osdmap', osds]
  await runCommand(join(bin, 'ceph-mon'), ['-i', 'a', '-c', config, '--mkfs', ...maps])
}

async function start(
  { bin, config, directory }: Cluster,
  program: string,
  programArguments: readonly string[],
  isReady: () => Promise<boolean>,
): Promise<BackgroundProgram> {
  return await startInBackground({
    program: join(bin, program),
    arguments: [...programArguments, '-c', config, '-f'],
    log: join(directory, `${program}.out`),
    isReady,
  })
}

/** The first call makes the gateway's pools, and waits until monitor and OSD are there. */
/** @param called by default as their access key: so policies name them on other servers, too */
async function addUser({ bin, config }: Cluster, called?: string): Promise<S3Keys> {
  const keys = { accessKeyId: randomBytes(8).toString('hex'), secretAccessKey: randomBytes(20).toString('hex') }
  const name = called ?? keys.accessKeyId
  await runCommand(join(bin, 'radosgw-admin'), [
    ...['-n', 'client.rgw', '-c', config, 'user', 'create', '--uid', name, '--display-name', name],
    ...['--access-key', keys.accessKeyId, '--secret-key', keys.secretAccessKey],
  ])
  return keys
}
