import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judgeStorage, judgeView } from '../../client/checks/storage.ts'
import { loadConfiguration } from '../../client/configuration.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import type { Capabilities } from '../../storage/capabilities.ts'
import { FileStore } from '../../storage/file/file.ts'
import type { Repository } from '../../storage/object-store.ts'
import { runControl } from '../../workers/control.ts'
import { nameAt, storeBackup } from '../storage/sample-backup.ts'
import { runCli, writeConfig } from './command-line.ts'

const ALL: Capabilities = {
  conditionalCreate: 'enforced',
  rangedReads: true,
  listing: true,
  removal: 'allowed',
  unfinishedUploads: null,
}

describe('check, of a storage', () => {
  let directory: string
  let root: string
  let temporal: TemporalServer
  let env: NodeJS.ProcessEnv
  let previous: string | undefined
  const stopping = new AbortController()
  let control: Promise<void>

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
    root = join(directory, 'storage')
    await mkdir(root)
    temporal = await startTemporal({ directory: join(directory, 'temporal') })
    const path = await writeConfig(directory, root)
    env = { TABLETKEEPER_CONFIG: path, TEMPORAL_ADDRESS: temporal.address }
    previous = process.env['TEMPORAL_ADDRESS']
    process.env['TEMPORAL_ADDRESS'] = temporal.address
    const ready = Promise.withResolvers<void>()
    control = runControl({
      config: await loadConfiguration({ path }),
      signal: stopping.signal,
      log: pino({ level: 'silent' }),
      onReady: ready.resolve,
    })
    await Promise.race([ready.promise, control])
  })

  afterAll(async () => {
    stopping.abort()
    await control
    await temporal.stop()
    if (previous === undefined) delete process.env['TEMPORAL_ADDRESS']
    else process.env['TEMPORAL_ADDRESS'] = previous
    await rm(directory, { recursive: true, force: true })
  })

  it('says what control has seen, in a line and as JSON', async () => {
    const { stdout } = await runCli(['check'], env)
    expect(stdout).toContain(
      `OK     storage          file:${root}: conditional create, ranged reads, removal allowed\n`,
    )
    const { checks } = JSON.parse((await runCli(['check', '--json'], env)).stdout)
    expect(checks).toContainEqual({
      verdict: 'OK',
      subject: 'storage',
      message: `file:${root}: conditional create, ranged reads, removal allowed`,
      hint: null,
      capabilities: ALL,
    })
    expect(await readdir(root)).toEqual([])
  })

  it('is read from where it runs, and says when that is not what control sees', async () => {
    await storeBackup(new FileStore(root), parseShardName('commerce/0'), nameAt('010000'))
    const elsewhere = join(directory, 'elsewhere')
    await mkdir(join(elsewhere, 'mount'), { recursive: true })
    const there = { ...env, TABLETKEEPER_CONFIG: await writeConfig(elsewhere, join(elsewhere, 'mount')) }
    const { status, stdout } = await runCli(['check'], there)
    expect(status).toBe(1)
    expect(stdout).toContain('this host does not see the repository that control sees')
    expect(stdout).not.toContain('no complete backup')
  })
})

describe('what is said of a host that reads the storage itself', () => {
  const ready = { state: 'ready', id: '5f0c3e0a-54d7-4a0e-9d6b-0c7d1c8e6a11' } as const
  const empty = { state: 'new' } as const
  const told = (here: Repository, ofControl: Repository | undefined) =>
    judgeView('file:/mnt/backups', here, ofControl)?.message

  it('is that it does not see what control sees', () => {
    expect(told(empty, ready)).toContain('file:/mnt/backups is empty here')
    expect(told({ state: 'ready', id: '9d6b0000-54d7-4a0e-9d6b-0c7d1c8e6a11' }, ready)).toContain('another one')
  })

  it('is nothing where both see the same, or control does not tell', () => {
    expect(told(ready, ready)).toBeUndefined()
    expect(told({ state: 'ready', id: null }, ready)).toBeUndefined()
    expect(told(empty, empty)).toBeUndefined()
    expect(told(empty, undefined)).toBeUndefined()
  })
})

describe('what is said of a storage', () => {
  const judge = (seen: Partial<Capabilities>, kind: 's3' | 'file' = 's3') =>
    judgeStorage({ description: 's3://backups', capabilities: { ...ALL, ...seen } }, kind)

  it('that tells nothing is that it works', () => {
    expect(judgeStorage({ description: 'tape:1' }, 'module')).toEqual({
      verdict: 'OK',
      subject: 'storage',
      message: 'tape:1: written, read and listed by control',
    })
  })

  it('where objects may be removed is who need not be able to, unless it is a file system', () => {
    expect(judge({})).toMatchObject({
      verdict: 'OK',
      hint: expect.stringContaining('agents need only create and read'),
    })
    expect(judge({}, 'file').hint).toBeUndefined()
    expect(judge({ removal: 'denied' })).toMatchObject({
      verdict: 'OK',
      message: 's3://backups: conditional create, ranged reads, removal denied',
      hint: expect.stringContaining('stays until somebody removes it'),
    })
  })

  it('that replaces what it must not is a warning, which names the setting where there is one', () => {
    expect(judge({ conditionalCreate: 'ignored' })).toMatchObject({
      verdict: 'WARN',
      message: 's3://backups: conditional create ignored, ranged reads, removal allowed',
      hint: expect.stringContaining('two runs that make the same backup could both write its MANIFEST'),
    })
    expect(judge({ conditionalCreate: 'looked up' })).toMatchObject({
      verdict: 'WARN',
      message: expect.stringContaining('no conditional create'),
      hint: expect.stringContaining('storage.conditionalWrites: false'),
    })
  })

  it('where unfinished uploads cannot be found or removed is a warning, which names the rights', () => {
    expect(judge({ unfinishedUploads: { listing: 'denied', removal: 'allowed' } })).toMatchObject({
      verdict: 'WARN',
      message: expect.stringMatching(/removal allowed, listing of unfinished uploads denied$/),
      hint: expect.stringContaining('s3:ListBucketMultipartUploads'),
    })
    expect(judge({ unfinishedUploads: { listing: 'allowed', removal: 'allowed' } }).verdict).toBe('OK')
  })
})
