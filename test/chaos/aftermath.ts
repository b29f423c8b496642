import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../model/errors.ts'
import type { Scenery } from './chaos-world.ts'

/** Writes down what the file systems of a world hold, since they are unmounted with it. */
export async function recordAftermath({ directory, storage, victim }: Scenery): Promise<void> {
  const folder = join(victim.datadir, '.tabletkeeper')
  const parts = [
    `${folder}\n${await listing(folder)}`,
    ...(await texts(folder, ['lease.json', 'last-return.json', 'swap-journal.json', 'mysqld.out'])),
    `${victim.datadir}\n${(await readdir(victim.datadir).catch(() => [])).join('\n')}`,
    `${storage.path}\n${await listing(storage.path)}`,
  ]
  await writeFile(join(directory, 'aftermath.txt'), `${parts.join('\n\n')}\n`)
}

async function listing(path: string): Promise<string> {
  const names = await readdir(path, { recursive: true }).catch((error: unknown) => [messageOf(error)])
  return names.sort().join('\n')
}

async function texts(folder: string, names: readonly string[]): Promise<string[]> {
  const read = async (name: string): Promise<string> =>
    `${name}\n${await readFile(join(folder, name), 'utf8').catch(() => '(not there)')}`
  return await Promise.all(names.map(read))
}
