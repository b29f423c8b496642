import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { BackupName } from '../../model/backup-name.ts'
import { formatManifest } from '../../model/manifest.ts'
import { parsePosition, positionOf } from '../../model/position.ts'
import { VERSION } from '../../model/version.ts'
import { freePort } from '../../sandbox/free-port.ts'
import { removeBackup } from '../../storage/catalogue/remove-backup.ts'
import { FileStore } from '../../storage/file/file.ts'
import { manifestOf, nameAt, SHARD, storeBackup, storeUnfinished } from '../storage/sample-backup.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { runCli, runUnread, writeConfig } from './command-line.ts'

/** A configuration and a storage folder with an incomplete, a corrupt and two complete backups. */
async function aShard() {
  const directory = await temporaryDirectory()
  const root = join(directory, 'storage')
  await mkdir(root)
  const store = new FileStore(root)
  await storeBackup(store, SHARD, nameAt('010000'))
  await storeUnfinished(store, SHARD, nameAt('020000'))
  await storeBackup(store, SHARD, nameAt('030000'), '{ broken')
  await storeBackup(store, SHARD, nameAt('040000'))
  return {
    directory,
    store,
    env: { TABLETKEEPER_CONFIG: await writeConfig(directory, root), TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}` },
  }
}

/** Of a backup that holds a transaction which its primary never had. */
function errantManifest(name: BackupName): string {
  const Tabletkeeper = {
    FormatVersion: 1,
    Engine: 'frames',
    FrameSize: 8 * 1024 * 1024,
    Files: [{ Size: 3, Stored: 3, Hash: 'a'.repeat(64) }],
    PageCheck: { BadPages: 0, Pages: [] },
    Snapshot: 'none',
    Version: VERSION,
    Workflow: 'backup/commerce/0/zone1-0000000101/2026-11-24T02:30:00Z',
    Run: '0198',
    Seconds: 1,
    OutOfServiceSeconds: 1,
    Errant: positionOf(parsePosition('98880065-e813-11f1-976c-02fc00000001:1537')),
  } as const
  return formatManifest(manifestOf(SHARD, name, { Tabletkeeper }))
}

describe('the command line', () => {
  it('tells its version and how it is used', async () => {
    expect(await runCli(['--version'])).toEqual({ status: 0, stdout: `${VERSION}\n`, stderr: '' })
    const { status, stdout } = await runCli(['backup', '--help'])
    expect(status).toBe(0)
    expect(stdout).toContain('keyspace/shard')
  })

  it.each([
    ['an unknown command', ['bakcup', 'zone1-101']],
    ['an unknown option', ['list', 'commerce/0', '--nope']],
    ['a missing argument', ['backup']],
    ['too many arguments', ['check', 'it']],
    ['a concurrency that is no number', ['backup', 'zone1-101', '--concurrency', 'many']],
  ])('ends with 2 for %s', async (_what, args) => {
    const { status, stdout, stderr } = await runCli(args)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('error:')
  })

  it('ends with 2 for an alias or a shard that is none', async () => {
    const { env } = await aShard()
    expect((await runCli(['backup', 'commerce'], env)).status).toBe(2)
    expect((await runCli(['list', 'commerce'], env)).status).toBe(2)
  })

  it('ends with 3 for a configuration with mistakes, and names each with its line', async () => {
    const directory = await temporaryDirectory()
    const config = join(directory, 'tabletkeeper.yaml')
    await writeFile(config, 'storage: { kind: file, root: /mnt }\nbackup:\n  maxLagg: 10s\nshards: {}\n')
    const { status, stderr } = await runCli(['list', 'commerce/0', '--config', config])
    expect(status).toBe(3)
    expect(stderr).toContain('tabletkeeper.yaml:3 backup.maxLagg')
    await writeFile(config, 'storage: [\n')
    expect((await runCli(['list', 'commerce/0', '--config', config])).status).toBe(3)
  })

  it('ends with 10 for a tablet, a shard or a backup that is not there', async () => {
    const { env } = await aShard()
    const tablet = await runCli(['backup', 'zone1-110'], env)
    expect(tablet.status).toBe(10)
    expect(tablet.stderr).toContain('zone1-0000000101')
    expect((await runCli(['backup', 'commerce/1'], env)).status).toBe(10)
    expect((await runCli(['list', 'comerce/0', '--offline'], env)).status).toBe(10)
    expect((await runCli(['show', 'commerce/0', nameAt('050000')], env)).status).toBe(10)
  })

  it('ends with 75 when Temporal does not answer, and says where it was looked for', async () => {
    const { env } = await aShard()
    const { status, stderr } = await runCli(['backup', 'zone1-101'], env)
    expect(status).toBe(75)
    expect(stderr).toContain(
      `error TemporalUnavailable: Temporal does not answer at ${env.TEMPORAL_ADDRESS} (from TEMPORAL_ADDRESS)`,
    )
  })

  it('ends with 75 when storage is not mounted', async () => {
    const directory = await temporaryDirectory()
    const root = join(directory, 'mount')
    await mkdir(root)
    const env = { TABLETKEEPER_CONFIG: await writeConfig(directory, root) }
    expect((await runCli(['list', 'commerce/0', '--offline'], env)).status).toBe(75)
  })

  it('writes an error as JSON too', async () => {
    const { env } = await aShard()
    const { status, stdout } = await runCli(['show', 'commerce/0', nameAt('050000'), '--json'], env)
    expect(status).toBe(10)
    expect(JSON.parse(stdout)).toMatchObject({ schema: 1, error: { type: 'NotFound', exitCode: 10 } })
  })
})

describe('wrong usage', () => {
  it.each([
    ['an unknown command', ['bakcup', 'zone1-101'], "unknown command 'bakcup'"],
    ['an unknown option', ['list', 'commerce/0', '--nope'], "unknown option '--nope'"],
    ['a missing argument', ['backup'], "missing required argument 'alias|keyspace/shard'"],
  ])('is told as JSON too: %s', async (_what, args, message) => {
    const { status, stdout } = await runCli([...args, '--json'])
    expect(status).toBe(2)
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      error: {
        type: 'InvalidInput',
        message: expect.stringContaining(message),
        hint: null,
        workflowId: null,
        step: null,
        returnedBy: null,
        suppressed: [],
        verification: null,
        exitCode: 2,
      },
    })
  })
})

describe('a reader that goes away', () => {
  it('changes neither what a command does nor how it ends', async () => {
    const { env } = await aShard()
    expect(await runUnread('stdout', ['--help'])).toEqual({ status: 0, other: '' })
    expect(await runUnread('stdout', ['config', 'print'], env)).toEqual({ status: 0, other: '' })
    const removal = ['remove', 'commerce/0', nameAt('040000'), '--offline', '--yes']
    expect(await runUnread('stderr', removal, env)).toEqual({ status: 0, other: `removed  ${nameAt('040000')}\n` })
    expect((await runUnread('stderr', ['show', 'commerce/0', nameAt('050000')], env)).status).toBe(10)
  })
})

describe('list and show', () => {
  it('need storage alone, oldest first, bare rows in a pipe', async () => {
    const { env } = await aShard()
    const { status, stdout, stderr } = await runCli(['ListBackups', 'commerce/0', '--offline'], env)
    expect(status).toBe(0)
    expect(stdout.split('\n').map((line) => line.split('\t').slice(0, 2))).toEqual([
      [nameAt('010000'), 'complete'],
      [nameAt('020000'), 'incomplete'],
      [nameAt('030000'), 'corrupt'],
      [nameAt('040000'), 'complete'],
      [''],
    ])
    expect(stderr).toContain('2 complete · 2 not · newest')
  })

  it('leave out what Temporal would tell when it is not there', async () => {
    const { env } = await aShard()
    const { status, stdout } = await runCli(['list', 'commerce/0', '--json'], env)
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      shard: SHARD,
      backups: [{ canCatchUp: null }, {}, {}, { state: 'complete' }],
    })
  })

  it('show the latest complete backup, and end with 30 for a corrupt one', async () => {
    const { env } = await aShard()
    const latest = await runCli(['show', 'commerce/0'], env)
    expect(latest).toMatchObject({ status: 0, stdout: expect.stringContaining(nameAt('040000')) })
    const corrupt = await runCli(['show', 'commerce/0', nameAt('030000')], env)
    expect(corrupt).toMatchObject({ status: 30, stdout: expect.stringContaining('corrupt') })
  })

  it('start without loading Temporal, as --version does', async () => {
    const { env } = await aShard()
    const hook = `import { registerHooks } from 'node:module'
      registerHooks({ load(url, context, next) {
        if (url.includes('@temporalio')) process.stderr.write('LOADED ' + url + '\\n')
        return next(url, context)
      } })`
    const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(hook)}`
    for (const args of [
      ['--version'],
      ['list', 'commerce/0', '--offline'],
      ['show', 'commerce/0'],
      ['verify', 'commerce/0', '--offline'],
    ]) {
      expect((await runCli(args, { ...env, NODE_OPTIONS })).stderr).not.toContain('LOADED')
    }
    expect((await runCli(['status'], { ...env, NODE_OPTIONS })).stderr).toContain('LOADED')
  })
})

describe('restore --offline', () => {
  it('says which backup it would be, and restores nothing', async () => {
    const { env } = await aShard()
    const latest = await runCli(['restore', 'zone1-101', '--offline'], env)
    expect(latest).toMatchObject({ status: 0, stdout: expect.stringContaining(nameAt('040000')) })
    const before = await runCli(
      ['restore', 'zone1-101', '--offline', '--before', '2026-11-24T03:30:00Z', '--json'],
      env,
    )
    expect(JSON.parse(before.stdout)).toMatchObject({ schema: 1, backup: { name: nameAt('010000') } })
    expect((await runCli(['restore', 'zone1-101', '--offline', '--before', '2026-11-24T00:30:00Z'], env)).status).toBe(
      10,
    )
    expect((await runCli(['restore', 'zone1-101', '--offline', '--backup', nameAt('030000')], env)).status).toBe(30)
    expect((await runCli(['restore', 'zone1-101', '--offline', '--before', '2026-11-24T00:30'], env)).status).toBe(2)
    const never = await runCli(['restore', 'zone1-101', '--offline', '--before', '2026-02-31T00:00:00Z'], env)
    expect(never).toMatchObject({ status: 2, stderr: expect.stringContaining('there is no "2026-02-31T00:00:00Z"') })
  })
})

describe('remove', () => {
  it('removes that backup and nothing else, once somebody says yes', async () => {
    const { env, store } = await aShard()
    const silent = await runCli(['remove', 'commerce/0', nameAt('040000'), '--offline'], env)
    expect(silent).toMatchObject({ status: 2, stderr: expect.stringContaining('--yes') })
    const dry = await runCli(['remove', 'commerce/0', nameAt('040000'), '--offline', '--dry-run'], env)
    expect(dry).toMatchObject({ status: 0, stdout: '', stderr: expect.stringContaining('REMOVES') })
    const plan = await runCli(['remove', 'commerce/0', nameAt('040000'), '--offline', '--dry-run', '--json'], env)
    expect(JSON.parse(plan.stdout)).toEqual({ schema: 1, shard: 'commerce/0', wouldRemove: nameAt('040000') })
    expect((await store.list(`${SHARD}/${nameAt('040000')}/`)).objects).toHaveLength(2)

    const removed = await runCli(['RemoveBackup', 'commerce/0', nameAt('040000'), '--offline', '--yes'], env)
    expect(removed).toMatchObject({ status: 0, stdout: `removed  ${nameAt('040000')}\n` })
    expect((await store.list(`${SHARD}/`, { delimiter: '/' })).prefixes).toHaveLength(3)
  })

  it('counts no errant backup as one that is left to restore from', async () => {
    const { env, store } = await aShard()
    const planOf = async (name: string) =>
      (await runCli(['remove', 'commerce/0', name, '--offline', '--dry-run'], env)).stderr
    expect(await planOf(nameAt('040000'))).toContain('      1 complete backup remains\n')

    await storeBackup(store, SHARD, nameAt('050000'), errantManifest(nameAt('050000')))
    await removeBackup(store, SHARD, nameAt('010000'))
    const aside = ' (1 errant, which no restore chooses)\n'
    expect(await planOf(nameAt('040000'))).toContain(`it is the ONLY complete backup of the shard${aside}`)
    expect(await planOf(nameAt('030000'))).toContain(`      1 complete backup remains${aside}`)
    expect(await planOf(nameAt('050000'))).toContain('(errant, ')
    expect(await planOf(nameAt('050000'))).toContain('      1 complete backup remains\n')
  })

  it('does not remove what may be in use when nobody can tell', async () => {
    const { env } = await aShard()
    expect((await runCli(['remove', 'commerce/0', nameAt('040000'), '--yes'], env)).status).toBe(75)
  })
})

describe('config print', () => {
  it('shows each setting with its origin: default, line, or flag', async () => {
    const { env } = await aShard()
    const { status, stdout } = await runCli(['config', 'print', '-restore_from_backup=false', '--json'], env)
    expect(status).toBe(0)
    const settings = new Map(JSON.parse(stdout).settings.map((one: { key: string }) => [one.key, one]))
    expect(settings.get('agent.restoreFromBackup')).toMatchObject({ value: false, origin: '--restore_from_backup' })
    expect(settings.get('storage.root')).toMatchObject({ origin: expect.stringMatching(/tabletkeeper\.yaml:1$/) })
    expect(settings.get('backup.level')).toMatchObject({ origin: 'default' })
  })
})

describe('status --follow', () => {
  it('is not taken without the run to follow', async () => {
    const { status, stderr } = await runCli(['status', '--follow'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'error InvalidInput: --follow needs the id of a run\n  tabletkeeper status lists them.\n',
    })
  })
})

describe('abandon', () => {
  it('is not done without saying that the host is lost', async () => {
    expect((await runCli(['abandon', 'backup/x'])).status).toBe(2)
  })
})
