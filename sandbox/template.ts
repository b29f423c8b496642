import { createHash } from 'node:crypto'
import { constants, cp, mkdir, rename, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { escape as quoted } from 'mysql2'
import { createAdminUserStatements } from '../mysql/admin/grants.ts'
import { cached } from './cache.ts'
import { freePort } from './free-port.ts'
import { endMysqld, initializeMysqld, startMysqld } from './mysqld-process.ts'
import type { ProvidedMysql } from './provide-mysql.ts'
import { connectAsRoot } from './root-connection.ts'
import { tabletFiles, writeTabletFiles } from './tablet-files.ts'

/**
 * Fills `datadir` with an initialised, cleanly stopped server that never wrote a transaction, and has no server UUID
 * yet. It knows two accounts, `root` and `tabletkeeper`, both for the operating-system user that runs this.
 */
export async function copyTemplate(mysql: ProvidedMysql, datadir: string): Promise<void> {
  const template = await provideTemplate(mysql)
  await mkdir(datadir, { recursive: true, mode: 0o750 })
  await cp(join(template, 'data'), datadir, { recursive: true, mode: constants.COPYFILE_FICLONE })
}

/** The directory of what `copyTemplate` copies: made once for each version of MySQL, by starting a server, which takes its time. */
export async function provideTemplate(mysql: ProvidedMysql): Promise<string> {
  const statements = accounts(userInfo().username)
  const recipe = createHash('sha256').update(JSON.stringify(statements)).digest('hex').slice(0, 8)
  return await cached(`data-${mysql.version}-${recipe}`, (draft) => makeTemplate(mysql, draft, statements))
}

function accounts(operatingSystemUser: string): string[] {
  return [
    ...createAdminUserStatements('tabletkeeper', { operatingSystemUser }),
    `ALTER USER root@localhost IDENTIFIED WITH auth_socket AS ${quoted(operatingSystemUser)}`,
  ]
}

async function makeTemplate(mysql: ProvidedMysql, draft: string, statements: readonly string[]): Promise<void> {
  const workplace = join(draft, 'tablet')
  const files = tabletFiles(workplace)
  await writeTabletFiles(workplace, files, { port: await freePort(), serverId: 1, settings: {} })
  await initializeMysqld(mysql.mysqld, files)
  await startMysqld(mysql.mysqld, files, ['--skip-networking'])
  try {
    await using connection = await connectAsRoot(files.socket)
    await connection.query('SET sql_log_bin = 0')
    for (const statement of statements) await connection.query(statement)
  } finally {
    await endMysqld(files, 'SIGTERM')
  }
  await rm(join(files.datadir, 'auto.cnf'))
  await rename(files.datadir, join(draft, 'data'))
  await rm(workplace, { recursive: true })
}
