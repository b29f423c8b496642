import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileStore } from '../../storage/file/file.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { runCli, writeConfig } from './command-line.ts'

/** An empty storage and the configuration that names it; Temporal is nowhere. */
async function anEmptyStorage() {
  const directory = await temporaryDirectory()
  const root = join(directory, 'storage')
  await mkdir(root)
  return { root, env: { TABLETKEEPER_CONFIG: await writeConfig(directory, root) } }
}

describe('storage init', () => {
  it('makes a repository, and says of one that is there which it is', async () => {
    const { root, env } = await anEmptyStorage()
    expect(await runCli(['list', 'commerce/0', '--offline'], env)).toMatchObject({ status: 75 })
    const made = await runCli(['storage', 'init'], env)
    const repository = await new FileStore(root).repository()
    const id = repository.state === 'ready' ? repository.id : undefined
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(made).toMatchObject({ status: 0, stdout: `made  file:${root}  repository ${id}\n` })
    expect(made.stderr).toContain('The directory below a missing mount is as empty.')
    expect(await runCli(['storage', 'init'], env)).toEqual({
      status: 0,
      stdout: `ready already  file:${root}  repository ${id}\n`,
      stderr: '',
    })
    expect(await runCli(['list', 'commerce/0', '--offline'], env)).toMatchObject({ status: 0 })
    expect(await readdir(root)).toEqual(['.tabletkeeper-repository'])
  })

  it('writes what it did as JSON', async () => {
    const { root, env } = await anEmptyStorage()
    const made = await runCli(['storage', 'init', '--json'], env)
    const { id } = JSON.parse(made.stdout)
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(JSON.parse(made.stdout)).toEqual({ schema: 1, storage: `file:${root}`, outcome: 'made', id })
    const again = await runCli(['storage', 'init', '--json'], env)
    expect(JSON.parse(again.stdout)).toEqual({ schema: 1, storage: `file:${root}`, outcome: 'ready already', id })
  })

  it('leaves a place alone that holds something else', async () => {
    const { root, env } = await anEmptyStorage()
    await writeFile(join(root, 'holidays.jpg'), 'x')
    const { status, stdout, stderr } = await runCli(['storage', 'init'], env)
    expect(status).toBe(3)
    expect(stdout).toBe('')
    expect(stderr).toContain('holds files that are no backups, such as holidays.jpg')
    expect(await readdir(root)).toEqual(['holidays.jpg'])
  })

  it('asks for a shard where each keyspace has a bucket', async () => {
    const directory = await temporaryDirectory()
    const config = join(directory, 'tabletkeeper.yaml')
    await writeFile(
      config,
      `storage: { kind: ceph, bucketPerKeyspace: true, endpoint: "http://127.0.0.1:1" }
mysql: { defaultsFile: /etc/mysql/my.cnf, replication: { user: repl, passwordFile: /etc/tabletkeeper/repl } }
`,
    )
    const { status, stderr } = await runCli(['storage', 'init', '--config', config])
    expect(status).toBe(3)
    expect(stderr).toContain('Add a shard to shards first')
  })
})
