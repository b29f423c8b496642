import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { loadConfiguration } from '../../client/configuration.ts'
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
