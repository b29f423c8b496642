import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseShardName } from '../../model/shard-name.ts'
import { listBackups } from '../../storage/catalogue.ts'
import { FileStore } from '../../storage/file.ts'
import { discardIncomplete, removeBackup } from '../../storage/remove-backup.ts'
import { nameAt, SHARD, storeBackup, storeUnfinished } from './sample-backup.ts'
import { ofType } from './store-under-test.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const NEIGHBOURS = [nameAt('000001'), nameAt('000002', 'zone1-1-0000000101'), nameAt('000003')]
const NAME = nameAt('000002')

/** A shard of three backups, and what `store` makes of the one that is to go; a backup of that name in another shard. */
async function shardOfFour(store: (store: FileStore) => Promise<void>) {
  const root = await temporaryDirectory()
  const files = new FileStore(root)
  for (const name of NEIGHBOURS) await storeBackup(files, SHARD, name)
  await storeBackup(files, parseShardName('commerce/00'), NAME)
  await store(files)
  return { root, files }
}

const namesIn = async (store: FileStore) => (await listBackups(store, SHARD)).entries.map(({ name }) => name)

describe('removing a backup', () => {
  test('takes all of it, and nothing of the others', async () => {
    const { root, files } = await shardOfFour((store) => storeBackup(store, SHARD, NAME))
    await writeFile(join(root, SHARD, NAME, '.tmp-0123456789abcdef-1'), 'half')
    const before = await files.list('')
    await removeBackup(files, SHARD, NAME)
    const after = await files.list('')
    expect(after.objects).toEqual(before.objects.filter(({ key }) => !key.startsWith(`${SHARD}/${NAME}/`)))
    expect(await readdir(join(root, SHARD))).toEqual([...NEIGHBOURS].sort())
  })

  test('takes the MANIFEST before anything else', async () => {
    const { files } = await shardOfFour((store) => storeBackup(store, SHARD, NAME))
    const deleted: string[] = []
    const watched = new (class extends FileStore {
      override async delete(keys: readonly string[]): Promise<void> {
        deleted.push(...keys)
        await super.delete(keys)
      }
    })(files.description.replace('file:', ''))
    await removeBackup(watched, SHARD, NAME)
    expect(deleted).toEqual([`${SHARD}/${NAME}/MANIFEST`, `${SHARD}/${NAME}/0`])
  })

  test('goes on where an earlier removal was cut short, and says when there is nothing', async () => {
    const { files } = await shardOfFour((store) => storeUnfinished(store, SHARD, NAME))
    await removeBackup(files, SHARD, NAME)
    expect(await namesIn(files)).toEqual([...NEIGHBOURS].sort())
    await expect(removeBackup(files, SHARD, NAME)).rejects.toThrow(ofType('NotFound'))
  })
})

describe('discarding what a failed run has stored', () => {
  test('takes objects and unfinished writes, and is done again without error', async () => {
    const { root, files } = await shardOfFour((store) => storeUnfinished(store, SHARD, NAME))
    await writeFile(join(root, SHARD, NAME, '.tmp-0123456789abcdef-1'), 'half')
    await discardIncomplete(files, SHARD, NAME)
    await discardIncomplete(files, SHARD, NAME)
    expect(await readdir(join(root, SHARD))).toEqual([...NEIGHBOURS].sort())
  })

  test('takes an empty directory, as Vitess makes it first', async () => {
    const { root, files } = await shardOfFour(async () => {})
    await mkdir(join(root, SHARD, NAME))
    await discardIncomplete(files, SHARD, NAME)
    expect(await readdir(join(root, SHARD))).toEqual([...NEIGHBOURS].sort())
  })

  test('refuses a backup that is complete', async () => {
    const { files } = await shardOfFour((store) => storeBackup(store, SHARD, NAME))
    await expect(discardIncomplete(files, SHARD, NAME)).rejects.toThrow(ofType('Refused'))
    expect(await namesIn(files)).toHaveLength(4)
  })

  test('has nothing to do where nothing was ever stored', async () => {
    await discardIncomplete(new FileStore(await temporaryDirectory()), SHARD, NAME)
  })
})
