import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { checksumsOf } from '../../sandbox/checksums.ts'
import type { SampleTablet } from '../../sandbox/sample-tablet.ts'
import { obstacleToSshfs } from '../../sandbox/sshfs-mount.ts'
import { PLACES } from '../../scripts/real/places.ts'
import { keysOf } from '../storage/store-under-test.ts'
import { type SampleSite, startSite } from './deployed-shard.ts'
import { obstacleTo } from './programs.ts'

/** Names of places, and why one cannot be had here. */
const STORES = [
  ['versitygw', await obstacleTo('versitygw')],
  ['ceph', await obstacleTo('ceph')],
  ['gcs', await obstacleTo('gcs')],
  ['sshfs', await obstacleToSshfs()],
] as const

const backupSchema = z.object({
  kind: z.literal('backup'),
  result: z.object({ backup: z.string(), files: z.number() }),
})
const restoreSchema = z.object({
  kind: z.literal('restore'),
  result: z.object({ backup: z.string(), type: z.string() }),
})
const entrySchema = z.object({
  name: z.string(),
  state: z.string(),
  tablet: z.string(),
  files: z.number(),
  storedBytes: z.number(),
})
const listSchema = z.object({ storage: z.string(), backups: z.array(entrySchema.extend({ canCatchUp: z.boolean() })) })
const showSchema = z.object({ backup: entrySchema })
const checkSchema = z.object({
  checks: z.array(z.object({ verdict: z.string(), subject: z.string(), message: z.string() })),
})
const removeSchema = z.object({ removed: z.string() })

describe('through the command line, with control and the agent as processes of their own', () => {
  let site: SampleSite

  beforeAll(async () => {
    site = await startSite()
  })
  afterAll(async () => {
    await site?.[Symbol.asyncDispose]()
  })
  afterEach(() => vi.unstubAllEnvs())

  for (const [name, obstacle] of STORES) {
    const skipped = obstacle === undefined ? '' : ` (skipped: ${obstacle})`
    test.skipIf(obstacle !== undefined)(`a tablet is backed up to ${name} and restored from it${skipped}`, async () => {
      await using place = await placeNamed(name)
      for (const [key, value] of Object.entries(place.exports ?? {})) vi.stubEnv(key, value)
      const { shard, tablet } = site
      await using deployment = await site.deploy(place)
      const { store, tell } = deployment

      const { result } = await tell(backupSchema, 'backup', tablet.alias)
      const { backup, files } = result
      const { storage, backups } = await tell(listSchema, 'list', shard.shard)
      expect(storage).toBe(store.description)
      expect(backups).toMatchObject([
        { name: backup, state: 'complete', tablet: tablet.alias, files, canCatchUp: true },
      ])
      const shown = await tell(showSchema, 'show', shard.shard, backup)
      expect(backups).toMatchObject([shown.backup])
      const { objects } = await store.list(`${shard.shard}/`)
      const names = ['MANIFEST', ...Array.from({ length: files }, (_, index) => String(index))]
      expect(objects.map(({ key }) => key)).toEqual(names.map((one) => `${shard.shard}/${backup}/${one}`).sort())
      const stored = objects.reduce((sum, { key, size }) => sum + (key.endsWith('/MANIFEST') ? 0 : size), 0)
      expect(stored).toBe(shown.backup.storedBytes)

      const { checks } = await tell(checkSchema, 'check')
      const rights = checks.filter(({ subject }) => subject === 'rights')
      // All processes here have the rights of who made the bucket; on a mount nobody can tell.
      const message = `${[shard.primary, ...shard.replicas].map(({ alias }) => alias).join(', ')}: more than needed: remove backups of the shard; create, remove outside of the shard`
      expect(rights).toEqual(name === 'sshfs' ? [] : [{ verdict: 'WARN', subject: 'rights', message }])

      await shard.primary.query(`CREATE TABLE commerce.since_${name} AS SELECT * FROM commerce.customer LIMIT 9`)
      await damage(tablet)
      await shard.awaitReplicated(tablet)
      expect(await checksumsOf(tablet)).not.toEqual(await checksumsOf(shard.primary))
      const restored = await tell(restoreSchema, 'restore', tablet.alias, '--backup', backup, '--yes')
      expect(restored.result).toEqual({ backup, type: 'REPLICA' })
      await shard.awaitReplicated(tablet)
      const checksums = await checksumsOf(tablet)
      expect(checksums.size).toBeGreaterThan(7)
      expect(checksums).toEqual(await checksumsOf(shard.primary))

      expect(await tell(removeSchema, 'remove', shard.shard, backup, '--yes')).toEqual({ removed: backup })
      expect((await tell(listSchema, 'list', shard.shard)).backups).toEqual([])
      expect(await keysOf(store, '')).toEqual([])
      expect((await store.list(`${shard.shard}/`, { delimiter: '/' })).prefixes).toEqual([])
    })
  }
})

async function placeNamed(name: string) {
  const place = await PLACES.get(name)?.()
  if (place === undefined) throw new Error(`there is no place ${name}`)
  return place
}

/** Rows are lost on the tablet alone, and no binary log knows of it. */
async function damage(tablet: SampleTablet): Promise<void> {
  await using connection = await tablet.connect()
  await connection.query('SET SESSION sql_log_bin = 0')
  await connection.query('SET GLOBAL super_read_only = OFF')
  await connection.query('DELETE FROM commerce.customer')
  await connection.query('SET GLOBAL super_read_only = ON')
}
