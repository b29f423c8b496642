import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { giveToOwner, privateFolder } from '../data/private-folder.ts'
import { orMissing } from '../system/system-error.ts'
import {
  formatPersisted,
  NOTHING_PERSISTED,
  PERSISTED_FILE,
  type PersistedVariables,
  parsePersisted,
} from './persisted-variables.ts'

/**
 * What is persisted in a data directory.
 * @throws Refused when its `mysqld-auto.cnf` is damaged
 */
export async function readPersisted(datadir: string): Promise<PersistedVariables> {
  const path = join(datadir, PERSISTED_FILE)
  const text = await orMissing(readFile(path, 'utf8'))
  return text === undefined ? NOTHING_PERSISTED : parsePersisted(text, path)
}

/** Replaces it durably, for a mysqld that does not run: one that does has its own in memory, and writes that. */
export async function replacePersisted(datadir: string, variables: PersistedVariables): Promise<void> {
  const unfinished = join(await privateFolder(datadir), `${PERSISTED_FILE}.new`)
  {
    await using file = await open(unfinished, 'w', 0o640)
    await file.writeFile(formatPersisted(variables))
    await file.sync()
  }
  await giveToOwner(datadir, unfinished)
  await rename(unfinished, join(datadir, PERSISTED_FILE))
  await using directory = await open(datadir, 'r')
  await directory.sync()
}
