import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { parseManifest } from '../../model/manifest.ts'
import type { BackupResult } from '../../model/runs.ts'
import { privateFolder } from '../../mysql/data/private-folder.ts'
import { mountFull } from '../../sandbox/full-file-system.ts'
import type { AddedTabletOptions } from '../../sandbox/sample-shard.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { lockAsAgent } from '../../tablets/agent-lock.ts'
import { LeaseFile } from '../../tablets/lease-file.ts'
import { occupiedBytes } from '../../tablets/restore-room.ts'
import { lastReturn } from '../../tablets/return-record.ts'
import { runCli, startCli } from '../client/command-line.ts'
import { readPage } from '../docs/pages.ts'
import { NO_MOUNTS } from '../storage/mounts.ts'
import { LEASE } from '../tablets/sample-lease.ts'
import { eventually } from './assertions.ts'
import { startWorld, type World } from './world.ts'

let world: World
let backup: BackupResult
let checksums: unknown

/** One backup; then Temporal, the agent and every server of the shard are gone. */
beforeAll(async () => {
  world = await startWorld()
  await world.startControl()
  const [replica] = world.shard.replicas
  if (replica === undefined) throw new Error('the shard has no replica')
  const agent = await world.startAgent(replica.alias)
  backup = await (await world.keeper.backup(world.input(replica.alias))).result()
  checksums = await world.shard.checksums(replica)
  await agent.stop()
  await world.temporal.stop()
  await world.shard.stop()
}, 120_000)
afterAll(async () => {
  await world?.[Symbol.asyncDispose]()
})

/** A tablet that has a configuration and an empty data directory. */
async function emptyTablet(uid: number, options?: AddedTabletOptions): Promise<SampleTablet> {
  const tablet = await world.shard.addTablet(uid, options)
  await mkdir(tablet.datadir, { recursive: true })
  await writeFile(world.configPath, world.shard.configText({ storageRoot: world.storageRoot }))
  return tablet
}

/** A configuration whose storage never gives the smallest object of the backup, which is among those read last: no restore by it ends. */
async function endlessConfig(): Promise<string> {
  const { shard, backup: name } = backup
  const manifest = parseManifest(await readFile(join(world.storageRoot, shard, name, 'MANIFEST'), 'utf8'), {
    shard,
    backup: name,
  })
  const sizes = manifest.Tabletkeeper?.Files.map(({ Stored }) => Stored) ?? []
  const options = { root: world.storageRoot, waitsFor: `${shard}/${name}/${sizes.indexOf(Math.min(...sizes))}` }
  const storage = { kind: 'module', path: join(import.meta.dirname, 'waiting-store.ts'), options }
  const path = join(world.directory, 'endless.yaml')
  await writeFile(path, stringify({ ...parse(await readFile(world.configPath, 'utf8')), storage }))
  return path
}

function restoreOf({ alias, datadir }: SampleTablet, config = world.configPath): string[] {
  return ['restore', alias, '--offline', '--data-dir', datadir, '--config', config]
}

test('restores from storage alone, and the statements of the documentation make it a primary', async () => {
  const tablet = await emptyTablet(120)
  const { status, stdout, stderr } = await runCli(restoreOf(tablet))
  expect({ status, stderr }).toMatchObject({ status: 0 })
  expect(stdout).toMatch(new RegExp(`^done  ${backup.backup}  .*MiB, `))
  await tablet.start()
  try {
    const [server] = await tablet.query(
      'SELECT @@global.super_read_only AS readOnly, @@global.gtid_executed AS gtids, @@global.skip_replica_start AS quiet',
    )
    expect(server).toEqual({ readOnly: 1, quiet: 1, gtids: expect.stringContaining(':') })
    expect(`MySQL56/${String(Reflect.get(server ?? {}, 'gtids')).replaceAll('\n', '')}`).toBe(backup.position)
    expect(await world.shard.checksums(tablet)).toEqual(checksums)

    const { blocks } = await readPage('docs/operations.md')
    const statements = blocks.find(({ section, language }) => /Break glass/.test(section) && language === 'sql')?.text
    await using connection = await tablet.connect()
    for (const statement of (statements ?? '').split(';').filter((text) => text.trim() !== ''))
      await connection.query(statement)
    await tablet.query('CREATE TABLE commerce.after_the_fire (id INT PRIMARY KEY)')
    const persisted = await tablet.query(
      'SELECT variable_name AS name FROM performance_schema.persisted_variables ORDER BY 1',
    )
    expect(persisted).toEqual([{ name: 'server_id' }])
  } finally {
    await tablet.stop()
  }
  expect(await readdir(join(tablet.datadir, '.tabletkeeper'))).not.toContainEqual(expect.stringMatching(/offline/))
}, 120_000)

test('replaces nothing, and restores to no other directory than mysqld will run on', async () => {
  const tablet = await emptyTablet(121)
  await writeFile(join(tablet.datadir, 'precious'), 'x')
  const refused = await runCli(restoreOf(tablet))
  expect(refused).toMatchObject({ status: 20, stderr: expect.stringContaining('is not empty') })
  expect(await readdir(tablet.datadir)).toEqual(['precious'])
  const elsewhere = await runCli(restoreOf({ ...tablet, datadir: world.directory }))
  expect(elsewhere).toMatchObject({ status: 3, stderr: expect.stringContaining(`not in ${world.directory}`) })
  expect((await runCli(['restore', tablet.alias, '--data-dir', '/tmp', '--config', world.configPath])).status).toBe(2)
})

test('is refused beside an agent, and ends the lease of a run that died with the data', async () => {
  const tablet = await emptyTablet(126)
  const folder = await privateFolder(tablet.datadir)
  const file = new LeaseFile(folder)
  await file.create(LEASE)
  await mkdir(join(folder, `staging-${LEASE.token}`))
  const agent = await lockAsAgent(folder, tablet.alias)
  const refused = await runCli(restoreOf(tablet))
  expect(refused.status).toBe(20)
  expect(refused.stderr).toContain(`an agent (pid ${process.pid}) looks after ${tablet.datadir}`)
  expect(refused.stderr).toContain('systemctl stop tabletkeeper-agent')
  expect(await file.read()).toEqual(LEASE)
  await agent?.release()

  expect(await runCli(restoreOf(tablet))).toMatchObject({
    status: 0,
    stderr: expect.stringContaining(`${LEASE.workflowId} held the tablet whose data were there`),
  })
  expect((await readdir(folder)).sort()).toEqual(['agent.lock', 'last-return.json'])
  expect(await lastReturn(file.path)).toMatchObject({ token: LEASE.token, by: 'person' })
})

test('leaves alone what a restore that died half-way has put aside', async () => {
  const tablet = await emptyTablet(125)
  const folder = await privateFolder(tablet.datadir)
  const { datadir: directory } = tablet
  const roots = [{ directory, takes: { kind: 'all', keep: [], keepDirectories: [] }, out: [], in: [] }]
  const journal = { format: 1, run: LEASE.token, phase: 'swapping', systemTablespace: 'ibdata1', roots }
  await writeFile(join(folder, 'swap-journal.json'), JSON.stringify(journal))
  expect(await runCli(restoreOf(tablet))).toMatchObject({
    status: 20,
    stderr: expect.stringContaining(`Move ${folder} to where you moved the data`),
  })
  expect(await readdir(folder)).toContain('swap-journal.json')
})

test.each([
  ['killed', 'SIGKILL', 122],
  ['interrupted by Ctrl-C', 'SIGINT', 124],
] as const)(
  'goes on where it was when it is %s',
  async (_how, signal, uid) => {
    const tablet = await emptyTablet(uid)
    const kept = join(tablet.datadir, '.tabletkeeper')
    const staged = async () => (await readdir(kept).catch(() => [])).find((entry) => entry.endsWith('.ledger'))
    const first = startCli([...restoreOf(tablet, await endlessConfig()), '--concurrency', '1'])
    await eventually(staged, (ledger) => ledger !== undefined || first.child.exitCode !== null)
    expect(first.child.exitCode).toBeNull()
    first.child.kill(signal)
    const ended = await first.ended
    if (signal === 'SIGINT') {
      expect(ended).toMatchObject({ status: 130, stdout: '' })
      expect(ended.stderr).toContain(`Interrupted: the data directory is as it was; what is staged stays in ${kept}\n`)
      expect(ended.stderr).toContain('  The same command goes on from there.\n')
      expect(await staged()).toBeDefined()
    }
    expect(await readdir(tablet.datadir)).toEqual(['.tabletkeeper'])
    expect((await runCli(restoreOf(tablet))).status).toBe(0)
    await tablet.start()
    expect(await world.shard.checksums(tablet)).toEqual(checksums)
    await tablet.stop()
    await rm(tablet.datadir, { recursive: true })
  },
  120_000,
)

test.skipIf(NO_MOUNTS !== undefined)(
  'asks, when it goes on, for no more room than what is not staged yet needs',
  async () => {
    const MIB = 1024 ** 2
    const staged = 16 * MIB
    // For all of it and what a restore wants beyond, but not for what is staged once more.
    await using disk = await mountFull(Math.ceil(backup.dataBytes / MIB) + 64 + 8)
    const tablet = await emptyTablet(123, { datadir: join(disk.path, 'data') })
    const first = startCli([...restoreOf(tablet, await endlessConfig()), '--concurrency', '1'])
    await eventually(
      () => occupiedBytes(join(tablet.datadir, '.tabletkeeper')),
      (bytes) => bytes >= staged || first.child.exitCode !== null,
    )
    first.child.kill('SIGKILL')
    await first.ended
    expect(await occupiedBytes(join(tablet.datadir, '.tabletkeeper'))).toBeGreaterThanOrEqual(staged)
    expect(await runCli(restoreOf(tablet))).toMatchObject({ status: 0 })
  },
  120_000,
)
