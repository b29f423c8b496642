import { constants, cp, mkdir, rename, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { cached } from './cache.ts'
import { freePort } from './free-port.ts'
import { endMysqld, initializeMysqld, startMysqld } from './mysqld-process.ts'
import type { ProvidedMysql } from './provide-mysql.ts'
import { connectAsRoot } from './root-connection.ts'
import { tabletFiles, writeTabletFiles } from './tablet-files.ts'

/** Grants of the agent's account: reference of every statement that it sends (docs/mysql-account.md). */
const AGENT_GRANTS = [
  'SHUTDOWN, RELOAD, PROCESS, REPLICATION CLIENT, SHOW VIEW, REPLICATION_SLAVE_ADMIN, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN, XA_RECOVER_ADMIN, BACKUP_ADMIN, PERSIST_RO_VARIABLES_ADMIN ON *.*',
  'SELECT ON performance_schema.*',
]

/**
 * Fills `datadir` with an initialised, cleanly stopped server that never wrote a transaction, and has no server UUID yet. It knows two
 * accounts, `root` and `tabletkeeper`, both for the operating-system user that runs this. Made once for each version of MySQL.
 */
export async function copyTemplate(mysql: ProvidedMysql, datadir: string): Promise<void> {
  const user = userInfo().username
  const template = await cached(`data-${mysql.version}-${user}`, (draft) => makeTemplate(mysql, draft, user))
  await mkdir(datadir, { recursive: true, mode: 0o750 })
  await cp(join(template, 'data'), datadir, { recursive: true, mode: constants.COPYFILE_FICLONE })
}

async function makeTemplate(mysql: ProvidedMysql, draft: string, user: string): Promise<void> {
  const workplace = join(draft, 'tablet')
  const files = tabletFiles(workplace)
  await writeTabletFiles(workplace, files, { port: await freePort(), serverId: 1 })
  await initializeMysqld(mysql.mysqld, files)
  await startMysqld(mysql.mysqld, files, ['--skip-networking'])
  try {
    await using connection = await connectAsRoot(files.socket)
    await connection.query('SET sql_log_bin = 0')
    await connection.query('CREATE USER tabletkeeper@localhost IDENTIFIED WITH auth_socket AS ?', [user])
    for (const grant of AGENT_GRANTS) await connection.query(`GRANT ${grant} TO tabletkeeper@localhost`)
    await connection.query('ALTER USER root@localhost IDENTIFIED WITH auth_socket AS ?', [user])
  } finally {
    await endMysqld(files, 'SIGTERM')
  }
  await rm(join(files.datadir, 'auto.cnf'))
  await rename(files.datadir, join(draft, 'data'))
  await rm(workplace, { recursive: true })
}
