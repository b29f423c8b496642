import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { loadConfiguration, loadTemporalConfig } from '../../client/configuration.ts'
import { MINIMAL } from '../model/minimal-config.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

async function fileWith(root: string): Promise<string> {
  const path = join(await temporaryDirectory(), 'tk.yaml')
  await writeFile(path, MINIMAL.replace('/mnt/backups', root))
  return path
}

describe('the configuration', () => {
  it('is the file of --config before that of TABLETKEEPER_CONFIG', async () => {
    vi.stubEnv('TABLETKEEPER_CONFIG', await fileWith('/by/environment'))
    expect((await loadConfiguration()).storage).toMatchObject({ root: '/by/environment' })
    expect((await loadConfiguration({ path: await fileWith('/by/flag') })).storage).toMatchObject({ root: '/by/flag' })
  })

  it('does not fall back when the file that was named is not there', async () => {
    const missing = join(await temporaryDirectory(), 'none.yaml')
    vi.stubEnv('TABLETKEEPER_CONFIG', missing)
    await expect(loadConfiguration()).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringContaining('TABLETKEEPER_CONFIG'),
    })
  })

  it('says that a file cannot be read', async () => {
    const path = join(await temporaryDirectory(), 'tk.yaml')
    await mkdir(path)
    await expect(loadConfiguration({ path })).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: expect.stringContaining('EISDIR'),
    })
  })

  it('is read for Temporal alone whatever else is wrong in it, and need not be there', async () => {
    const path = join(await temporaryDirectory(), 'tk.yaml')
    await writeFile(path, 'storage: { kind: cloud }\ntemporal: { encryptionKeyFiles: [/etc/new.key] }\n')
    expect(await loadTemporalConfig({ path })).toEqual({ encryptionKeyFiles: ['/etc/new.key'] })
    await writeFile(path, 'temporal: { encryptionKeyFile: /etc/new.key }\n')
    await expect(loadTemporalConfig({ path })).rejects.toMatchObject({
      type: 'InvalidConfig',
      message: `${path}:1 temporal.encryptionKeyFile: is not a known key; known here: encryptionKeyFiles`,
    })
    await expect(loadTemporalConfig({ path: `${path}.none` })).rejects.toMatchObject({ type: 'InvalidConfig' })
    vi.stubEnv('TABLETKEEPER_CONFIG', '')
    expect(await loadTemporalConfig({ path: undefined })).toEqual({ encryptionKeyFiles: [] })
  })

  it('takes overrides, which are validated as the file is', async () => {
    const path = await fileWith('/mnt/backups')
    const concurrency = (value: string) => ({
      path,
      overrides: [{ key: 'backup.concurrency', value, origin: '--concurrency' }],
    })
    expect((await loadConfiguration(concurrency('3'))).backup.concurrency).toBe(3)
    await expect(loadConfiguration(concurrency('many'))).rejects.toThrow(/--concurrency.*many/)
  })
})
