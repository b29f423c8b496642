import { readFile, rm, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type AdminLogin, changeAdminUserStatement, createAdminUserStatements } from '../mysql/admin/grants.ts'
import { giveToOwner, privateFolder, privateFolderPath } from '../mysql/data/private-folder.ts'
import type { TabletDriver } from './driver.ts'

/** A file of statements for one start of mysqld; removed when disposed. */
export interface FirstStartFile extends AsyncDisposable {
  readonly path: string
}

/**
 * Statements that let the agent into restored data: accounts and grants come from the server that was backed up, and its own may have
 * had another password then. They write no transaction, and work where a persisted super_read_only would refuse them. The file may hold a
 * password: for its owner only.
 */
export async function firstStartFile(
  driver: TabletDriver,
  account: 'as it is' | 'changed to our login',
): Promise<FirstStartFile> {
  const { admin } = driver.config.mysql
  const login: AdminLogin =
    admin.passwordFile === undefined
      ? { operatingSystemUser: userInfo().username }
      : { password: (await readFile(admin.passwordFile, 'utf8')).trimEnd() }
  const statements = [
    'SET GLOBAL super_read_only = OFF',
    'SET sql_log_bin = 0',
    ...createAdminUserStatements(admin.user, login),
    ...(account === 'as it is' ? [] : [changeAdminUserStatement(admin.user, login)]),
    'SET GLOBAL super_read_only = ON',
  ]
  const { datadir } = await driver.layout()
  await privateFolder(datadir)
  const path = firstStartPath(datadir)
  await writeFile(path, statements.map((statement) => `${statement.replaceAll('\n', ' ')};\n`).join(''), {
    mode: 0o600,
  })
  await giveToOwner(datadir, path)
  return { path, [Symbol.asyncDispose]: () => rm(path, { force: true }) }
}

/** Removes the file that an agent which died in mid-start has left. */
export async function removeFirstStartFile(driver: TabletDriver): Promise<void> {
  await rm(firstStartPath((await driver.layout()).datadir), { force: true })
}

function firstStartPath(datadir: string): string {
  return join(privateFolderPath(datadir), 'first-start.sql')
}
