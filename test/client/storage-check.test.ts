import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judgeStorage } from '../../client/checks/storage.ts'
import { loadConfiguration } from '../../client/configuration.ts'
import { startTemporal, type TemporalServer } from '../../sandbox/temporal-server.ts'
import type { Capabilities } from '../../storage/capabilities.ts'
import { runControl } from '../../workers/control.ts'
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
      capabilities: ALL,
    })
    expect(await readdir(root)).toEqual([])
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
