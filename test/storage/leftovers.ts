import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { waitUntil } from '../../sandbox/wait-until.ts'
import { backupDirectory } from '../../storage/catalogue/backup-key.ts'
import { listBackups } from '../../storage/catalogue/catalogue.ts'
import { discardIncomplete, removeBackup } from '../../storage/catalogue/remove-backup.ts'
import type { Upload } from '../../storage/object-store.ts'
import { nameAt, SHARD } from './sample-backup.ts'
import { contentOf, type MakeStore } from './store-under-test.ts'

const DEAD = nameAt('000001')
const LIVE = nameAt('000002')
/** More than two parts of any store. */
const CONTENT = randomBytes(20 * 1024 * 1024)
const CUT = 18 * 1024 * 1024

/** Begins an object, some of which the store keeps already. */
async function begin(upload: Upload, name: string) {
  const writer = await upload.open(name, 0)
  await writer.write(CONTENT.subarray(0, CUT))
  await waitUntil('some of it is kept', () => writer.kept > 0)
  return writer
}

/** What a run has left that died, and what may take it away: never anything of a run that is at work beside it. */
export function describeLeftovers(name: string, make: MakeStore): void {
  describe(`${name}: what a dead run has left`, () => {
    test.each([
      ['the compensation of a backup', discardIncomplete],
      ['remove', removeBackup],
    ] as const)('is taken away by %s, unfinished objects too; a live run beside it goes on', async (_, takeAway) => {
      const place = await make()
      const dead = await place.open().upload(backupDirectory(SHARD, DEAD))
      const whole = await dead.open('0', 0)
      await whole.write(CONTENT)
      await whole.finish()
      await whole.close()
      await dead.commit(['0'])
      await (await begin(dead, '1')).close()
      const live = await place.open().upload(backupDirectory(SHARD, LIVE))
      const writing = await begin(live, '0')

      const store = place.open()
      await takeAway(store, SHARD, DEAD)

      expect((await store.list(backupDirectory(SHARD, DEAD))).objects).toEqual([])
      // Prefixes below which only an unfinished write is left are told, too.
      const { prefixes } = await store.list(`${SHARD}/`, { delimiter: '/' })
      expect(prefixes.filter((prefix) => prefix !== backupDirectory(SHARD, LIVE))).toEqual([])

      await writing.write(CONTENT.subarray(CUT))
      await writing.finish()
      await writing.close()
      await live.commit(['0'])
      expect((await contentOf(store, `${backupDirectory(SHARD, LIVE)}0`)).equals(CONTENT)).toBe(true)
    })

    test('is found by list where it is nothing but an unfinished object, and taken away by remove', async () => {
      const place = await make()
      await place.open().put('commerce/-80/x', Buffer.from('a repository'))
      await (await begin(await place.open().upload(backupDirectory(SHARD, DEAD)), '0')).close()
      const store = place.open()
      expect((await listBackups(store, SHARD)).entries).toMatchObject([{ name: DEAD, state: 'incomplete' }])
      await removeBackup(store, SHARD, DEAD)
      expect((await store.list(`${SHARD}/`, { delimiter: '/' })).prefixes).toEqual([])
    })
  })
}
