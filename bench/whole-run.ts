import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client, Connection } from '@temporalio/client'
import { Tabletkeeper } from '../client/tabletkeeper.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { startInBackground } from '../sandbox/background-program.ts'
import { freePort } from '../sandbox/free-port.ts'
import { awaitReplicated, replicateFrom } from '../sandbox/replicate.ts'
import { type SampleShard, startShard } from '../sandbox/sample-shard.ts'
import type { SampleTablet } from '../sandbox/sample-tablet.ts'
import { startTemporal } from '../sandbox/temporal-server.ts'
import { provideCompiled } from './compiled.ts'
import { lastRestartGap } from './restart-gap.ts'
import { usageOf } from './usage.ts'

/** A real backup to be made: of a replica, by an agent, through Temporal. */
export interface WholeRun {
  readonly name: string
  /** A fresh one; everything but the tablet's data is in it. */
  readonly directory: string
  /** Default: below `directory`. It may be on a file system of its own. */
  readonly datadir?: string
  readonly snapshot: 'reflink' | 'none'
  readonly concurrency: number
  /** Gives the tablet its data, while its mysqld runs. */
  readonly fill: (tablet: SampleTablet) => Promise<void>
}

/** What it took. */
export interface WholeRunFigures {
  readonly name: string
  readonly snapshot: 'reflink' | 'none'
  readonly files: number
  readonly dataBytes: number
  readonly storedBytes: number
  readonly seconds: number
  readonly outOfServiceSeconds: number
  /** From the last line of the mysqld that ended to the first one of the next, by its log, less what that takes with nothing between. */
  readonly downtimeBeyondStopStartSeconds: number
  /** What it takes with nothing between: the end of a process after its last line, and the beginning of one before its first. */
  readonly bareRestartSeconds: number
  /** The most that the agent's process ever had. */
  readonly agentMaxRssBytes: number
  /** The same before the backup began. */
  readonly agentIdleRssBytes: number
  /** Events of the backup's history. */
  readonly historyEvents: number
}

const UID = 101

/** Starts a shard, Temporal, control and agent, the agent as compiled code in a process of its own; makes one backup; ends all. */
export async function measureWholeRun(run: WholeRun): Promise<WholeRunFigures> {
  await using started = new AsyncDisposableStack()
  const temporal = await startTemporal({ directory: join(run.directory, 'temporal') })
  started.defer(temporal.stop)
  const shard = await startShard({ directory: join(run.directory, 'shard'), replicas: 0, megabytes: 0 })
  started.defer(shard.stop)
  const tablet = await addReplica(shard, run.datadir)
  await run.fill(tablet)

  const port = await freePort()
  const configPath = await writeConfiguration(run, shard, port)
  const environment = { TEMPORAL_ADDRESS: temporal.address, LOG_LEVEL: 'warn' }
  const program = process.execPath
  const here = fileURLToPath(new URL('..', import.meta.url))
  const control = await startInBackground({
    program,
    arguments: [join(here, 'client', 'cli.ts'), 'control', '--config', configPath],
    environment,
    log: join(run.directory, 'control.log'),
    // A run waits until it is there.
    isReady: async () => true,
  })
  started.defer(control.stop)
  const agent = await startInBackground({
    program,
    arguments: [
      join(await provideCompiled(), 'client', 'cli.js'),
      ...['agent', '--config', configPath, '--tablet', tablet.alias],
    ],
    environment,
    log: join(run.directory, 'agent.log'),
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/tablets/${tablet.alias}/serving`)).ok,
  })
  started.defer(agent.stop)

  await using keeper = await Tabletkeeper.connect({ address: temporal.address })
  const idle = await usageOf(agent.pid)
  const backup = await keeper.backup({ shard: shard.shard, tablet: tablet.alias })
  const { files, dataBytes, storedBytes, seconds, outOfServiceSeconds, snapshot } = await backup.result()
  const agentMaxRssBytes = (await usageOf(agent.pid)).maxRssBytes
  const gap = lastRestartGap(await readFile(tablet.errorLog, 'utf8'))
  const bareRestartSeconds = await bareRestart(tablet)
  return {
    name: run.name,
    snapshot,
    files,
    dataBytes,
    storedBytes,
    seconds,
    outOfServiceSeconds,
    downtimeBeyondStopStartSeconds: gap - bareRestartSeconds,
    bareRestartSeconds,
    agentMaxRssBytes,
    agentIdleRssBytes: idle.maxRssBytes,
    historyEvents: await countEvents(temporal.address, backup.workflowId),
  }
}

/** Stops mysqld and starts it at once, and reads from its log what lay between. */
async function bareRestart(tablet: SampleTablet): Promise<number> {
  const pid = await tablet.pid()
  if (pid === undefined) throw new TabletkeeperError('MysqldFailed', `${tablet.alias} does not run after its backup`)
  process.kill(pid, 'SIGTERM')
  while (isAlive(pid)) await setTimeout(1)
  await tablet.start()
  return lastRestartGap(await readFile(tablet.errorLog, 'utf8'))
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function addReplica(shard: SampleShard, datadir: string | undefined): Promise<SampleTablet> {
  const tablet = await shard.addTablet(UID, datadir === undefined ? {} : { datadir })
  await mkdir(dirname(tablet.datadir), { recursive: true })
  await tablet.initialize()
  await tablet.start()
  await replicateFrom(tablet, shard.primary, shard.replicationAccount)
  await awaitReplicated(tablet, shard.primary)
  return tablet
}

async function writeConfiguration(
  { directory, snapshot, concurrency }: WholeRun,
  shard: SampleShard,
  listenPort: number,
): Promise<string> {
  const storageRoot = join(directory, 'storage')
  await mkdir(storageRoot)
  const path = join(directory, 'tabletkeeper.yaml')
  const backup = `{ snapshot: ${snapshot}, concurrency: ${concurrency}, drainTimeout: 1s, maxLag: 5s, catchUpTimeout: 1m }`
  await writeFile(path, `${shard.configText({ storageRoot, listenPort })}\nbackup: ${backup}\n`)
  return path
}

async function countEvents(address: string, workflowId: string): Promise<number> {
  const connection = await Connection.connect({ address })
  try {
    const { events } = await new Client({ connection }).workflow.getHandle(workflowId).fetchHistory()
    return events?.length ?? 0
  } finally {
    await connection.close()
  }
}
