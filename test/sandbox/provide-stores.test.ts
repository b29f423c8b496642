import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CEPH_PROGRAMS } from '../../sandbox/install-ceph.ts'
import { provideCeph } from '../../sandbox/provide-ceph.ts'
import { provideFakeGcs } from '../../sandbox/provide-fake-gcs.ts'

describe('servers of storage are looked for before they are installed', () => {
  let directory: string

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'programs '))
    vi.stubEnv('XDG_CACHE_HOME', join(directory, 'cache'))
    vi.stubEnv('CEPH_BIN', '')
    vi.stubEnv('FAKE_GCS_SERVER', '')
    vi.stubEnv('PATH', join(directory, 'bin'))
    vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  })

  afterEach(async () => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
    await rm(directory, { recursive: true })
  })

  /** Programs that do whatever they are asked. */
  async function place(folder: string, names: readonly string[]): Promise<string> {
    const path = join(directory, folder)
    await mkdir(path, { recursive: true })
    for (const name of names) {
      await writeFile(join(path, name), '#!/bin/sh\nexit 0\n')
      await chmod(join(path, name), 0o755)
    }
    return path
  }

  it('takes them from where the environment says', async () => {
    const ceph = await place('elsewhere', CEPH_PROGRAMS)
    vi.stubEnv('CEPH_BIN', ceph)
    expect(await provideCeph()).toBe(ceph)
    const gcs = join(await place('elsewhere', ['gcs']), 'gcs')
    vi.stubEnv('FAKE_GCS_SERVER', gcs)
    expect(await provideFakeGcs()).toBe(gcs)
  })

  it('refuses what the environment says when it does not run', async () => {
    vi.stubEnv('CEPH_BIN', await place('elsewhere', ['ceph-mon']))
    vi.stubEnv('FAKE_GCS_SERVER', join(directory, 'nothing'))
    await expect(provideCeph()).rejects.toMatchObject({ type: 'InvalidConfig' })
    await expect(provideFakeGcs()).rejects.toMatchObject({ type: 'InvalidConfig' })
  })

  it('takes them from PATH, Ceph only when all of it is there', async () => {
    const bin = await place('bin', ['fake-gcs-server', ...CEPH_PROGRAMS])
    expect(await provideFakeGcs()).toBe(join(bin, 'fake-gcs-server'))
    expect(await provideCeph()).toBe(bin)
    await rm(join(bin, 'radosgw'))
    await expect(provideCeph()).rejects.toMatchObject({ type: 'NotFound' })
  })

  it('says what to install where nothing can be installed, and leaves nothing half-made', async () => {
    await expect(provideCeph()).rejects.toMatchObject({ type: 'NotFound', hint: expect.stringContaining('radosgw') })
    await expect(provideFakeGcs()).rejects.toMatchObject({ type: 'NotFound', hint: expect.stringContaining('Go 1.26') })
    expect(await readdir(join(directory, 'cache', 'tabletkeeper'))).toEqual([])
  })
})
