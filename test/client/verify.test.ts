import { mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Client, Connection, isGrpcServiceError } from '@temporalio/client'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfiguration } from '../../client/configuration.ts'
import { RunFailed, Tabletkeeper, type VerifyResult } from '../../client/tabletkeeper.ts'
import { formatManifest, type TabletkeeperSection } from '../../model/manifest.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { FileStore } from '../../storage/file/file.ts'
import { runControl } from '../../workers/control.ts'
import { copyRecord, DIRECTORY, manifestFor, NAME } from '../engine/sample-backup.ts'
import { sampleFiles } from '../engine/sample-files.ts'
import { nameAt, SHARD, storeBackup, storeUnfinished } from '../storage/sample-backup.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { runCli, startCli, writeConfig } from './command-line.ts'

/** gRPC's. */
const NOT_FOUND = 5

interface Storage {
  readonly root: string
  readonly store: FileStore
  readonly env: NodeJS.ProcessEnv
}

async function aStorage(directory: string): Promise<Storage> {
  const root = join(directory, 'storage')
  await mkdir(root, { recursive: true })
  return { root, store: new FileStore(root), env: { TABLETKEEPER_CONFIG: await writeConfig(directory, root) } }
}

/** Stores a backup of some files as the agent makes it, none of them a tablespace. */
async function storeSample(store: FileStore, pages?: TabletkeeperSection['PageCheck']): Promise<void> {
  const source = await temporaryDirectory()
  const files = (await sampleFiles(source)).filter(({ name }) => !/\.ibd$|^ibdata/.test(name))
  const { files: copied } = await copyRecord(files, { store })
  const manifest = manifestFor(copied, 'tabletkeeper')
  const section = manifest.Tabletkeeper
  if (section === undefined) throw new Error('it has no section')
  const Tabletkeeper = { ...section, PageCheck: pages ?? { BadPages: 0, Pages: [] } }
  await store.put(`${DIRECTORY}MANIFEST`, Buffer.from(formatManifest({ ...manifest, Tabletkeeper })))
}

/** A configuration whose storage holds the same, and whose objects never end: a verification of it lasts until it is interrupted. */
async function writeEndless(directory: string, root: string): Promise<NodeJS.ProcessEnv> {
  const files = pathToFileURL(join(import.meta.dirname, '../../storage/file/file.ts')).href
  await writeFile(
    join(directory, 'endless.mjs'),
    `import { Readable } from 'node:stream'
     import { FileStore } from '${files}'
     class Endless extends FileStore {
       async get(key, range) {
         return key.endsWith('MANIFEST') ? await super.get(key, range) : new Readable({ read() {} })
       }
     }
     export default () => new Endless('${root}')`,
  )
  const path = await writeConfig(directory, root)
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace(/^storage: .*$/m, `storage: { kind: module, path: ${directory}/endless.mjs }`))
  return { TABLETKEEPER_CONFIG: path }
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20)
  await writeFile(path, bytes)
}

describe('verify --offline', () => {
  it('says that a backup is sound', async () => {
    const { store, env } = await aStorage(await temporaryDirectory())
    await storeSample(store)
    const text = await runCli(['verify', 'commerce/0', '--offline'], env)
    expect(text).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(`^done  ${NAME} is sound  .*, \\d+ files verified\n$`),
    })
    const { status, stdout } = await runCli(['verify', 'commerce/0', NAME, '--offline', '--json'], env)
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      kind: 'verifyBackup',
      result: { shard: SHARD, backup: NAME, damagedObjects: 0, damagedPages: 0 },
    })
  })

  it('ends with 30 for damage, and names every object of it', async () => {
    const { root, store, env } = await aStorage(await temporaryDirectory())
    await storeSample(store)
    await flip(join(root, DIRECTORY, '0'))
    await truncate(join(root, DIRECTORY, '1'), 10)
    const text = await runCli(['verify', 'commerce/0', '--offline'], env)
    expect(text).toMatchObject({ status: 30, stdout: '' })
    expect(text.stderr).toContain(`error CorruptBackup: the backup ${NAME} is not sound: 2 of its`)
    expect(text.stderr).toContain(`${DIRECTORY}1 has 10 bytes in storage instead of`)
    const { stdout } = await runCli(['verify', 'commerce/0', '--offline', '--json'], env)
    expect(JSON.parse(stdout)).toMatchObject({
      error: {
        type: 'CorruptBackup',
        exitCode: 30,
        verification: { backup: NAME, damagedObjects: 2, firstDamagedObjects: [{ object: `${DIRECTORY}0` }, {}] },
      },
    })
  })

  it('ends with 30 for pages that were damaged on the tablet already, and says so', async () => {
    const { store, env } = await aStorage(await temporaryDirectory())
    await storeSample(store, { BadPages: 1, Pages: [{ File: 0, Page: 7 }] })
    const { status, stderr } = await runCli(['verify', 'commerce/0', '--offline'], env)
    expect(status).toBe(30)
    expect(stderr).toContain("page 7: stored as it was read: the tablet's own page was damaged")
    expect(stderr).toContain('Everything is as it was stored.')
  })

  it('tells a backup that is not whole from one that is not there, and takes no older one for the latest', async () => {
    const { store, env } = await aStorage(await temporaryDirectory())
    const verify = (...args: string[]) => runCli(['verify', 'commerce/0', ...args, '--offline'], env)
    await storeSample(store)
    expect((await verify(nameAt('050000'))).status).toBe(10)
    await storeUnfinished(store, SHARD, nameAt('230000'))
    expect(await verify(nameAt('230000'))).toMatchObject({
      status: 30,
      stderr: expect.stringContaining('it has no MANIFEST'),
    })
    // The one that is being made is none yet; the one whose MANIFEST broke was one.
    expect((await verify()).status).toBe(0)
    await storeBackup(store, SHARD, nameAt('220000'), '{ broken')
    expect(await verify()).toMatchObject({ status: 30, stderr: expect.stringContaining(nameAt('220000')) })
    expect((await runCli(['verify', 'commerce/1', '--offline'], env)).status).toBe(10)
    expect((await runCli(['verify', 'commerce/0', 'yesterday', '--offline'], env)).status).toBe(2)
  })

  it('ends with 130 when it is interrupted', async () => {
    const directory = await temporaryDirectory()
    const { store, root } = await aStorage(directory)
    await storeSample(store)
    const env = await writeEndless(directory, root)
    const verifying = startCli(['verify', 'commerce/0', '--offline', '--concurrency', '1'], env)
    await waitUntil('it has begun', () => verifying.stderr().includes(NAME))
    verifying.child.kill('SIGINT')
    expect(await verifying.ended).toMatchObject({ status: 130, stdout: '' })
  })
})

describe('verify', () => {
  let directory: string
  let storage: Storage
  let env: NodeJS.ProcessEnv
  let temporal: TemporalServer
  let keeper: Tabletkeeper
  let connection: Connection
  let control: Promise<void>
  const stopping = new AbortController()

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
    temporal = await startTemporal({ directory: join(directory, 'temporal') })
    storage = await aStorage(directory)
    env = { ...storage.env, TEMPORAL_ADDRESS: temporal.address }
    process.env['TEMPORAL_ADDRESS'] = temporal.address
    const ready = Promise.withResolvers<void>()
    control = runControl({
      config: await loadConfiguration({ path: env['TABLETKEEPER_CONFIG'] }),
      signal: stopping.signal,
      log: pino({ level: 'silent' }),
      onReady: ready.resolve,
    })
    keeper = await Tabletkeeper.connect()
    connection = await Connection.connect({ address: temporal.address })
    await Promise.race([ready.promise, control])
  })

  afterAll(async () => {
    stopping.abort()
    await control
    await keeper[Symbol.asyncDispose]()
    await connection.close()
    await temporal.stop()
    await rm(directory, { recursive: true, force: true })
  })

  it('lets control read the latest backup, and shows its run as any other', async () => {
    await storeSample(storage.store)
    const { status, stdout, stderr } = await runCli(['verify', 'commerce/0'], env)
    expect(status).toBe(0)
    expect(stdout).toMatch(`done  ${NAME} is sound`)
    expect(stderr).toContain(' ✓ backup found')
    expect(stderr).toContain(' ✓ objects verified')

    const run = await keeper.verify({ shard: SHARD, backup: NAME, concurrency: 1 })
    const result = await run.result()
    expect(run.workflowId).toMatch(/^verifyBackup\/commerce\/0\/\d{4}-\d\d-\d\dT[\d:]+Z$/)
    expect(result).toMatchObject({ backup: NAME, shard: SHARD, damagedObjects: 0, firstDamagedPages: [] })
    expect(await run.progress()).toMatchObject({ kind: 'verifyBackup', shard: SHARD, tablet: null, backup: NAME })
    const shown = await runCli(['status', run.workflowId], env)
    expect(shown.stdout).toMatch(/^verifyBackup of commerce\/0, completed/)
    const { events } = await new Client({ connection }).workflow.getHandle(run.workflowId).fetchHistory()
    expect(events?.length).toBeLessThan(20)
    await waitUntil('it is found by its attributes', async () => {
      const query = `TabletkeeperKind = 'verifyBackup' AND TabletkeeperShard = '${SHARD}' AND TabletkeeperBackup = '${NAME}'`
      return (await new Client({ connection }).workflow.count(query)).count === 1
    })
  })

  it('fails with everything that is damaged, for people and for programs', async () => {
    const object = join(storage.root, DIRECTORY, '0')
    const whole = await readFile(object)
    await flip(object)
    const run = await keeper.verify({ shard: SHARD, backup: NAME })
    const failed = await run.result().catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(RunFailed)
    expect(failed).toMatchObject({
      type: 'CorruptBackup',
      step: 'verifyObjects',
      verification: { damagedObjects: 1, firstDamagedObjects: [{ object: `${DIRECTORY}0` }] },
    })
    const shown = await runCli(['status', run.workflowId], env)
    expect(shown.stdout).toContain(`${DIRECTORY}0 `)
    const typed = await runCli(['verify', 'commerce/0', NAME, '--json'], env)
    expect(typed.status).toBe(30)
    expect(JSON.parse(typed.stdout)).toMatchObject({
      error: { type: 'CorruptBackup', exitCode: 30, verification: { damagedObjects: 1 } },
    })
    await writeFile(object, whole)
  })

  it('fails as --offline does when the backup is not there or not whole', async () => {
    expect((await runCli(['verify', 'commerce/0', nameAt('050000')], env)).status).toBe(10)
    await storeUnfinished(storage.store, SHARD, nameAt('230000'))
    const { status, stderr } = await runCli(['verify', 'commerce/0', nameAt('230000')], env)
    expect(status).toBe(30)
    expect(stderr).toContain('it has no MANIFEST')
  })

  it('waits for storage that is away, is listed meanwhile, and can be left and cancelled', async () => {
    const away = `${storage.root}.away`
    await rename(storage.root, away)
    await mkdir(storage.root)
    const detached = await runCli(['verify', 'commerce/0', NAME, '--detach'], env)
    const workflowId = detached.stdout.trim()
    expect(workflowId).toMatch(/^verifyBackup\//)
    await waitUntil('it waits to try again', async () => {
      const { stdout } = await runCli(['status'], env)
      return /^commerce\/0\tverifyBackup\tobjects verified\t\S+\tWAITING: attempt \d+ at/m.test(stdout)
    })
    const following = startCli(['status', workflowId, '--follow'], env)
    await waitUntil('it is followed', () => following.stderr().length > 0)
    following.child.kill('SIGINT')
    expect((await following.ended).status).toBe(130)
    await expect(
      runCli(['remove', 'commerce/0', NAME, '--yes'], { ...env, TABLETKEEPER_CONFIG: await writeConfigOf(away) }),
    ).resolves.toMatchObject({ status: 11, stderr: expect.stringContaining(`${workflowId} uses ${NAME}`) })

    await rm(storage.root, { recursive: true })
    await rename(away, storage.root)
    // The next attempt may be half a minute away: it is asked for now.
    const { activity } = await keeper.handle(workflowId).status()
    if (activity !== undefined) {
      const which = { namespace: 'default', execution: { workflowId }, id: activity.id }
      await connection.workflowService.resetActivity(which).catch((error: unknown) => {
        // It has ended meanwhile.
        if (!isGrpcServiceError(error) || error.code !== NOT_FOUND) throw error
      })
    }
    expect(await keeper.handle<VerifyResult>(workflowId).result()).toMatchObject({ damagedObjects: 0 })
  })

  it('ends at once when it is cancelled', async () => {
    const away = `${storage.root}.away`
    await rename(storage.root, away)
    await mkdir(storage.root)
    const run = await keeper.verify({ shard: SHARD, backup: NAME })
    expect(await runCli(['cancel', run.workflowId], env)).toMatchObject({
      status: 0,
      stdout: `cancelled  ${run.workflowId}\n`,
      stderr: expect.not.stringContaining('back into service'),
    })
    await rm(storage.root, { recursive: true })
    await rename(away, storage.root)
  })

  async function writeConfigOf(root: string): Promise<string> {
    const own = join(directory, 'away')
    await mkdir(own, { recursive: true })
    return await writeConfig(own, root)
  }
})
