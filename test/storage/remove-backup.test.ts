import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { TabletkeeperError } from '../../model/errors.ts'
import { parseShardName } from '../../model/shard-name.ts'
import { listBackups } from '../../storage/catalogue/catalogue.ts'
import { assertUndiscarded, putManifest } from '../../storage/catalogue/publish.ts'
import { discardIncomplete, removeBackup } from '../../storage/catalogue/remove-backup.ts'
import { FileStore } from '../../storage/file/file.ts'
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

  test('takes a MANIFEST too that an agent writes meanwhile, and the agent is told', async () => {
    const { root } = await shardOfFour((store) => storeUnfinished(store, SHARD, NAME))
    const agent = new FileStore(root)
    const control = new (class extends FileStore {
      override async delete(keys: readonly string[]): Promise<void> {
        await super.delete(keys)
        if (keys.some((key) => key.endsWith('/0'))) await putManifest(agent, SHARD, NAME, Buffer.from('{}'))
      }
    })(root)
    await discardIncomplete(control, SHARD, NAME)
    expect(await readdir(join(root, SHARD))).toEqual([...NEIGHBOURS].sort())
    await expect(assertUndiscarded(agent, SHARD, NAME)).rejects.toThrow(ofType('FenceBroken'))
  })

  test('goes on where it was cut short when an agent had just written a MANIFEST', async () => {
    const { root } = await shardOfFour((store) => storeUnfinished(store, SHARD, NAME))
    const agent = new FileStore(root)
    await agent.put(`${SHARD}/${NAME}/1`, Buffer.from('1'))
    const lost = new TabletkeeperError('StorageUnavailable', 'the store is gone')
    let isCutShort = true
    const control = new (class extends FileStore {
      override async delete(keys: readonly string[]): Promise<void> {
        if (isCutShort && keys.some((key) => key.endsWith('/1'))) {
          await putManifest(agent, SHARD, NAME, Buffer.from('{}'))
          throw lost
        }
        await super.delete(keys)
      }
    })(root)
    await expect(discardIncomplete(control, SHARD, NAME)).rejects.toBe(lost)
    isCutShort = false
    await discardIncomplete(control, SHARD, NAME)
    expect(await readdir(join(root, SHARD))).toEqual([...NEIGHBOURS].sort())
  })

  test.each([
    ['goes with its MANIFEST', false],
    ['says that its MANIFEST stays, where it may not be removed', true],
  ])('before an agent that stood still has published it: it %s', async (_, isDenied) => {
    const { root, files } = await shardOfFour((store) => storeUnfinished(store, SHARD, NAME))
    await discardIncomplete(files, SHARD, NAME)
    const agent = new FileStore(root)
    await putManifest(agent, SHARD, NAME, Buffer.from('{}'))
    if (isDenied) agent.delete = () => Promise.reject(new TabletkeeperError('StorageDenied', 'it may only create'))
    await expect(assertUndiscarded(agent, SHARD, NAME)).rejects.toMatchObject({
      type: 'FenceBroken',
      retryable: false,
      message: expect.stringContaining(`the objects of ${NAME} were discarded before its MANIFEST was written`),
      hint: isDenied ? expect.stringContaining(`tabletkeeper remove ${SHARD} ${NAME}`) : 'Start another backup.',
    })
    expect(await namesIn(files)).toHaveLength(isDenied ? 4 : 3)
  })

  test('is not said of a backup that is whole', async () => {
    const { files } = await shardOfFour((store) => storeBackup(store, SHARD, NAME))
    await assertUndiscarded(files, SHARD, NAME)
    expect(await namesIn(files)).toHaveLength(4)
  })

  test('has nothing to do where nothing was ever stored', async () => {
    await discardIncomplete(new FileStore(await temporaryDirectory()), SHARD, NAME)
  })
})
