import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cached } from '../../sandbox/cache.ts'
import { provideMysql } from '../../sandbox/provide-mysql.ts'
import { provideTemporal } from '../../sandbox/provide-temporal.ts'

const MARIADB = 'mysqld  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64 (Debian 12)'
const TOO_OLD = '/usr/sbin/mysqld  Ver 8.0.44-0ubuntu0.24.04.1 for Linux on x86_64 ((Ubuntu))'
const GOOD = '/usr/sbin/mysqld  Ver 8.4.7 for Linux on x86_64 (MySQL Community Server - GPL)'

describe('programs are looked for before they are installed', () => {
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'programs '))
    vi.stubEnv('XDG_CACHE_HOME', join(directory, 'cache'))
    vi.stubEnv('MYSQLD', '')
  })

  afterEach(async () => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
    await rm(directory, { recursive: true })
  })

  /** A program that prints `text`, whatever it is asked. */
  async function place(folder: string, name: string, text: string): Promise<string> {
    const path = join(directory, folder, name)
    await mkdir(join(directory, folder), { recursive: true })
    await writeFile(path, `#!/bin/sh\necho '${text}'\n`)
    await chmod(path, 0o755)
    return path
  }

  it('takes the server that MYSQLD names', async () => {
    const mysqld = await place('elsewhere', 'mysqld', GOOD)
    vi.stubEnv('MYSQLD', mysqld)
    expect(await provideMysql()).toEqual({ mysqld, version: '8.4.7' })
  })

  it('takes a server on PATH', async () => {
    const mysqld = await place('bin', 'mysqld', GOOD)
    vi.stubEnv('PATH', `${join(directory, 'bin')}:/usr/bin:/bin`)
    expect(await provideMysql()).toEqual({ mysqld, version: '8.4.7' })
  })

  it.each([
    { text: MARIADB, reason: 'MariaDB 10.11.14' },
    { text: TOO_OLD, reason: 'MySQL 8.0.44, and 8.4 or later is needed' },
  ])('passes over $text on PATH, and says so', async ({ text, reason }) => {
    const passedOver = await place('bin', 'mysqld', text)
    const fromCache = await place('cache/tabletkeeper/mysql-with-admin/bin', 'mysqld', GOOD)
    vi.stubEnv('PATH', `${join(directory, 'bin')}:/usr/bin:/bin`)
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    expect(await provideMysql()).toEqual({ mysqld: fromCache, version: '8.4.7' })
    expect(stderr.mock.calls.join('')).toContain(passedOver)
    expect(stderr.mock.calls.join('')).toContain(reason)
  })

  it('refuses a MYSQLD that is too old, instead of taking another', async () => {
    vi.stubEnv('MYSQLD', await place('elsewhere', 'mysqld', TOO_OLD))
    await expect(provideMysql()).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringContaining('8.0.44'),
    })
  })

  it('says what to install where nothing can be installed, and leaves nothing half-made', async () => {
    await place('bin', 'mysqld', TOO_OLD)
    vi.stubEnv('PATH', join(directory, 'bin'))
    vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    await expect(provideMysql()).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringContaining('could not be installed privately'),
      hint: expect.stringContaining('Install mysql-server'),
    })
    expect(await readdir(join(directory, 'cache', 'tabletkeeper'))).toEqual([])
  })

  it('refuses a TEMPORAL_CLI that does not run', async () => {
    vi.stubEnv('TEMPORAL_CLI', join(directory, 'temporal'))
    await expect(provideTemporal()).rejects.toMatchObject({ type: 'InvalidConfig' })
  })

  it('makes a cached directory whole or not at all, and once when two want it at once', async () => {
    let builds = 0
    const build = async (draft: string) => {
      builds += 1
      await writeFile(join(draft, 'first'), 'one')
      await writeFile(join(draft, 'second'), 'two')
    }
    const [one, other] = await Promise.all([cached('thing', build), cached('thing', build)])
    expect(one).toBe(other)
    expect(builds).toBe(1)
    expect(await readdir(one)).toEqual(['first', 'second'])
    expect(await readFile(join(one, 'second'), 'utf8')).toBe('two')

    const failing = cached('other', () => Promise.reject(new Error('no space')))
    await expect(failing).rejects.toThrow('no space')
    expect(await readdir(join(directory, 'cache', 'tabletkeeper'))).toEqual(['thing'])
  })

  it('makes what a killed process has begun to make, without waiting, and leaves nothing of it', async () => {
    const cache = pathToFileURL(join(import.meta.dirname, '../../sandbox/cache.ts')).href
    const program = `
      import { cached } from '${cache}'
      await cached('thing', async (draft) => { console.log(draft); await new Promise((end) => setTimeout(end, 600_000)) })`
    const builder = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [printed] = await once(builder.stdout, 'data')
    expect(await readdir(join(directory, 'cache', 'tabletkeeper'))).toContain(basename(String(printed).trim()))
    let isKilled = false
    const making = cached('thing', async (draft) => {
      expect(isKilled).toBe(true)
      await writeFile(join(draft, 'second'), 'two')
    })
    isKilled = builder.kill('SIGKILL')
    expect(await readdir(await making)).toEqual(['second'])
    expect(await readdir(join(directory, 'cache', 'tabletkeeper'))).toEqual(['thing'])
  })
})
