import { writeFile } from 'node:fs/promises'
import { WorkflowNotFoundError } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAlias, type TabletAlias } from '../../model/alias.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { eventually } from '../integration/assertions.ts'
import { startWorld, type World } from '../integration/world.ts'
import { CopyHold } from './copy-hold.ts'
import { at, keyDifference } from './json-shape.ts'
import { type Block, type Exchange, exchangesOf, readPage } from './pages.ts'
import { Typist } from './typist.ts'

// Every console block, in its order, as one story on real servers.
const pages = await Promise.all(['README.md', 'docs/client.md'].map(readPage))
const blocks = pages.flatMap((page) => page.blocks).filter(({ language }) => language === 'console')
const documents = (await readPage('docs/cli.md')).blocks.filter(({ language }) => language === 'json')
const TABLET = parseAlias('zone1-101')
/** Steps as they are where files cannot be cloned, wherever this runs. */
const YAML = 'backup: { drainTimeout: 1s, maxLag: 5s, catchUpTimeout: 1m, snapshot: none }'
const hold = new CopyHold()
/** Those that have an agent. */
const tablets: TabletAlias[] = []
let world: World
let typist: Typist
/** What follows a block that failed tells nothing. */
let isSound = true

beforeAll(async () => {
  world = await startWorld({ replicas: 2, yaml: YAML })
  const { primary, replicas } = world.shard
  await world.startControl()
  for (const { alias } of [primary, ...replicas]) {
    const own = alias === parseAlias('zone1-102') ? ({ initTabletType: 'RDONLY' } as const) : {}
    await world.startAgent(alias, { ...own, interceptors: hold.interceptors })
    tablets.push(alias)
  }
  typist = await Typist.at(world)
})

afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

/** What happens before a block, by the words of its comment. */
const directions: Readonly<Record<string, () => Promise<void>>> = {
  'add zone1-103': async () => {
    await addTablet(103, true)
    // Its agent starts it, once it knows that the data directory is empty.
    const run = world.client.workflow.getHandle(`bootstrap/${world.shard.shard}/${parseAlias('zone1-103')}`)
    await waitUntil('it is bootstrapped', () =>
      run.describe().then(
        () => true,
        (error: unknown) => {
          if (error instanceof WorkflowNotFoundError) return false
          throw error
        },
      ),
    )
  },
  'copies go on until they are stopped': async () => hold.close(),
  'add zone1-104, left empty by its agent': () => addTablet(104, false),
}

async function addTablet(uid: number, restoreFromBackup: boolean): Promise<void> {
  const { alias } = await world.shard.addTablet(uid)
  await writeFile(world.configPath, `${world.shard.configText({ storageRoot: world.storageRoot })}\n${YAML}\n`)
  const config = world.config()
  await world.startAgent(alias, { config: { ...config, agent: { ...config.agent, restoreFromBackup } } })
  tablets.push(alias)
}

describe('what the pages show is what happens', { timeout: 120_000 }, () => {
  for (const block of blocks) {
    it(`${block.page}, ${block.section}, line ${block.line}`, async ({ skip }) => {
      skip(!isSound, 'a block before it failed')
      isSound = false
      await tell(block)
      isSound = true
    })
  }

  it('and client/restore.ts restores a tablet', async ({ skip }) => {
    skip(!isSound, 'a block before it failed')
    const output = await typist.run(`'${process.execPath}' client/restore.ts ${TABLET}`)
    expect(output).toMatch(/^started restore\/commerce\/0\/zone1-0000000101\//)
    expect(output).toMatch(/^restored \S+ in \d+ s: REPLICA, lag \S+ s$/m)
  })
})

describe('what --json prints is what docs/cli.md shows', () => {
  for (const { direction, line, text } of documents) {
    it(`line ${line}: ${direction}`, async ({ skip }) => {
      skip(!isSound, 'a block before it failed')
      const [, command = '', path = ''] = /^(.*?)(?: \| (\.\S+))?$/.exec(direction ?? '') ?? []
      const printed: unknown = JSON.parse(await typist.run(`{ ${command}; } 2> /dev/null`))
      expect(keyDifference(JSON.parse(text), at(printed, path))).toBeUndefined()
      await settled()
    })
  }
})

async function tell(block: Block): Promise<void> {
  const { direction, page, line } = block
  const prepare = direction === undefined ? async () => undefined : directions[direction]
  if (prepare === undefined) throw new Error(`${page}:${line}: nobody knows how to ${direction}`)
  await prepare()
  const exchanges = exchangesOf(block)
  for (const [at, exchange] of exchanges.entries()) {
    const printed = await typist.type(exchange, exchanges[at + 1])
    if (exchange.command.includes(' --detach')) await listed(printed.trim())
  }
  hold.open()
  if (exchanges.some(({ command }) => command.startsWith('tabletkeeper schedule create'))) await pauseSchedule()
  await Promise.all(startedBy(exchanges).map((id) => world.client.workflow.getHandle(id).result()))
  await settled()
}

/** Lists lag behind what was started; a person takes longer to type. */
async function listed(workflowId: string): Promise<void> {
  await eventually(
    () => world.keeper.runs(),
    (runs) => runs.some((run) => run.workflowId === workflowId),
  )
}

/** Else a backup begins in the midst of the story when that is told at two in the morning. */
async function pauseSchedule(): Promise<void> {
  await world.keeper.schedules.pause({ shard: world.shard.shard, tablet: TABLET }, 'not in this story')
}

/** Runs that a block starts by Temporal's own CLI and leaves alone: they have to succeed. */
function startedBy(exchanges: readonly Exchange[]): string[] {
  return exchanges.flatMap(({ command }, at) => {
    const [, id] = /^temporal workflow start .*--workflow-id (\S+)/s.exec(command) ?? []
    return id === undefined || exchanges[at + 1]?.command.includes(id) ? [] : [id]
  })
}

/** Whatever was started has ended, what was terminated too, and the tablet serves again. */
async function settled(): Promise<void> {
  for (const tablet of tablets) {
    await eventually(
      () => world.keeper.inspect({ shard: world.shard.shard, tablet }),
      ({ lease, serving }) => lease === null && (serving || tablet !== TABLET),
    )
  }
}
