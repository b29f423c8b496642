import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../model/config.ts'
import { type SampleShard, startShard } from '../../sandbox/sample-shard.ts'

describe('a sample shard', () => {
  let directory: string
  let shard: SampleShard

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'a shard '))
    shard = await startShard({ directory, replicas: 1, megabytes: 2 })
  })

  afterAll(async () => {
    await shard.stop()
    await rm(directory, { recursive: true })
  })

  it('replicates the sample data and what is written later', async () => {
    const [replica] = shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    const load = await shard.writeLoad()
    const before = await shard.primary.query<{ visits: string }>('SELECT SUM(visits) AS visits FROM commerce.customer')
    await expect
      .poll(() => shard.primary.query('SELECT SUM(visits) AS visits FROM commerce.customer'))
      .not.toEqual(before)
    expect(await load.stop()).toBeGreaterThan(0)

    await shard.awaitReplicated(replica)
    const checksums = await shard.checksums(shard.primary)
    expect([...checksums.keys()]).toContain('commerce.größe #1')
    expect(await shard.checksums(replica)).toEqual(checksums)
    await expect(replica.query('CREATE DATABASE errant')).rejects.toThrow(/super-read-only/)
  })

  it('gives the agent an account that may restart mysqld but not read data', async () => {
    const grants = await shard.primary.query<Record<string, string>>('SHOW GRANTS FOR tabletkeeper@localhost')
    const text = grants.flatMap((row) => Object.values(row)).join('\n')
    expect(text).toContain('SHUTDOWN')
    expect(text).not.toMatch(/SELECT[^\n]* ON \*\.\*/)
  })

  it('brings a tablet back after a crash and after a clean stop', async () => {
    const { primary } = shard
    const checksums = await shard.checksums(primary)
    await primary.kill()
    expect(await primary.pid()).toBeUndefined()
    await primary.start()
    expect(await shard.checksums(primary)).toEqual(checksums)
    await primary.stop()
    expect(await primary.pid()).toBeUndefined()
    await primary.start()
    expect(await shard.checksums(primary)).toEqual(checksums)
  })

  it('adds a tablet that is configured but has no data', async () => {
    const added = await shard.addTablet(150)
    await expect(readdir(added.datadir)).rejects.toThrow('ENOENT')
    expect(await readFile(added.defaultsFile, 'utf8')).toContain(`port=${added.port}\n`)
    expect(shard.configText({ storageRoot: '/backups' })).toContain('zone1-0000000150')
    await added.initialize()
    await added.start()
    const [state] = await added.query('SELECT @@global.gtid_executed AS executed, @@server_id AS id')
    expect(state).toEqual({ executed: '', id: 150 })
  })

  it('is described by a configuration that can be read', () => {
    const config = parseConfig(shard.configText({ storageRoot: '/backups', listenPort: 7480 }), 'tabletkeeper.yaml')
    const tablets = config.shards.get(shard.shard)
    expect(tablets?.get(shard.primary.alias)).toMatchObject({ port: shard.primary.port })
    expect(tablets?.size).toBe(3)
  })

  it('starts again as it was left', async () => {
    const checksums = await shard.checksums(shard.primary)
    await shard.stop()
    shard = await startShard({ directory, replicas: 0 })
    const [replica] = shard.replicas
    if (replica === undefined) throw new Error('the shard has no replica')
    expect(await shard.checksums(shard.primary)).toEqual(checksums)
    await shard.primary.query('DELETE FROM commerce.customer LIMIT 1')
    await shard.awaitReplicated(replica)
    expect(await shard.checksums(replica)).toEqual(await shard.checksums(shard.primary))
    await expect(replica.query('CREATE DATABASE errant')).rejects.toThrow(/super-read-only/)
  })

  it('leaves no process when it is stopped', async () => {
    await shard.stop()
    const commands = await Promise.all(
      (await readdir('/proc'))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    )
    expect(commands.filter((command) => command.includes(directory))).toEqual([])
  })
})
