import { access, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { freePort, isFree } from '../../sandbox/free-port.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'
import { startTemporal } from '../../sandbox/temporal-server.ts'
import { startCommand } from '../child-process.ts'
import { EXIT } from '../output/failure.ts'
import type { Terminal } from '../output/terminal.ts'
import { stopSignal } from '../stop-signal.ts'
import type { CommandContext } from './command.ts'

export interface DevOptions {
  readonly directory: string
}

/** Where Temporal's dev server and its UI listen as a rule. */
const TEMPORAL_PORT = 7233
const UI_PORT = 8233

/**
 * `tabletkeeper dev`: everything that a backup needs, on this machine, until Ctrl-C. What it keeps is in one directory, from which
 * it starts again.
 */
export async function dev({ terminal }: CommandContext, options: DevOptions): Promise<number> {
  const stop = stopSignal()
  const directory = resolve(options.directory)
  await mkdir(join(directory, 'storage'), { recursive: true, mode: 0o700 })
  await using parts = new AsyncDisposableStack()
  parts.defer(() => terminal.note('stopped: everything is kept, tabletkeeper dev starts it again.'))

  terminal.note('starting Temporal and a sample shard: one primary, one replica …')
  const temporal = parts.use(
    await startTemporal({
      directory: join(directory, 'temporal'),
      port: await preferably(TEMPORAL_PORT),
      uiPort: await preferably(UI_PORT),
    }),
  )
  const shard = parts.use(await startShard({ directory: join(directory, 'shard'), replicas: 1 }))
  const configPath = await writeConfiguration(directory, shard)

  const environment = { TABLETKEEPER_CONFIG: configPath, TEMPORAL_ADDRESS: temporal.address }
  const start = (role: string) =>
    parts.use(
      startCommand({
        args: [role],
        environment,
        logFile: join(directory, `${role}.log`),
        onMessage: (message) => terminal.note(terminal.notePaint.faint(`${role.padEnd(8)}${message}`)),
      }),
    )
  const children = [start('control'), start('agent')]
  const stopped = new Promise<void>((done) => {
    if (stop.aborted) done()
    else stop.addEventListener('abort', () => done(), { once: true })
  })
  const over = Promise.race([...children.map((child) => child.ended), stopped]).then(() => 'over' as const)
  const first = await Promise.race([Promise.all(children.map((child) => child.ready)), over])
  if (first !== 'over') introduce(terminal, shard, environment, temporal.uiAddress)
  await over
  terminal.note('stopping …')
  return stop.aborted ? EXIT.done : EXIT.failed
}

/** The usual port where it is free. */
async function preferably(port: number): Promise<number> {
  return (await isFree(port)) ? port : await freePort()
}

/** What somebody has changed in it stays. */
async function writeConfiguration(directory: string, shard: SampleShard): Promise<string> {
  const path = join(directory, 'tabletkeeper.yaml')
  const isThere = await access(path).then(
    () => true,
    () => false,
  )
  if (isThere) return path
  const listenPort = await freePort()
  await writeFile(path, shard.configText({ storageRoot: join(directory, 'storage'), listenPort }), { mode: 0o600 })
  return path
}

function introduce(
  terminal: Terminal,
  { shard, primary, replicas }: SampleShard,
  environment: Readonly<Record<string, string>>,
  uiAddress: string | undefined,
): void {
  const command = process.argv[1]?.endsWith('.ts') ? 'npm run -s tabletkeeper --' : 'tabletkeeper'
  const [replica] = replicas
  const { strong } = terminal.notePaint
  const lines = [
    '',
    `${strong('ready')}  ${shard}: primary ${primary.alias}, replica ${replica?.alias}`,
    ...(uiAddress === undefined ? [] : [`Temporal's UI  ${uiAddress}`]),
    '',
    'In a second terminal:',
    `  export ${Object.entries(environment)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}`,
    `  ${command} check`,
    `  ${command} backup ${replica?.alias}`,
    `  ${command} list ${shard}`,
    `  ${command} restore ${replica?.alias}`,
    '',
    'Ctrl-C stops all of it.',
  ]
  for (const line of lines) terminal.note(line)
}
