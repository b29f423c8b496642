import { join } from 'node:path'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { installMysql } from './install-mysql.ts'

/** A MySQL that can be started. */
export interface ProvidedMysql {
  /** Program or script that takes mysqld's arguments, `--defaults-file` first. */
  readonly mysqld: string
  /** Such as `9.7.4`. */
  readonly version: string
}

const OLDEST = [8, 4] as const
const BESIDE_PATH = ['/usr/sbin', '/usr/libexec', '/usr/local/sbin', '/usr/local/mysql/bin']

/**
 * Finds MySQL 8.4 or later: `$MYSQLD`, then PATH, then the cache; else installs one into the cache, without touching
 * the system.
 * @throws InvalidConfig when `$MYSQLD` is no such server; NotFound when none is there and none can be installed
 */
export async function provideMysql(): Promise<ProvidedMysql> {
  const named = process.env['MYSQLD']
  if (named) {
    const judged = await judge(named)
    if (typeof judged !== 'string') return judged
    throw new TabletkeeperError('InvalidConfig', `MYSQLD=${named} cannot be used: ${judged}`, {
      hint: 'Set MYSQLD to a mysqld of MySQL 8.4 or later, or unset it.',
    })
  }
  const onPath = await findProgram('mysqld', BESIDE_PATH)
  if (onPath !== undefined) {
    const judged = await judge(onPath)
    if (typeof judged !== 'string') return judged
    process.stderr.write(`${onPath} is not used: ${judged}\n`)
  }
  const mysqld = join(await cached('mysql-with-admin', announceAndInstall), 'bin', 'mysqld')
  const judged = await judge(mysqld)
  if (typeof judged !== 'string') return judged
  throw new TabletkeeperError('NotFound', `${mysqld} cannot be used: ${judged}`, {
    hint: 'Remove that directory; it is made anew.',
  })
}

/** The server that `program` is, or why it does not do. */
async function judge(program: string): Promise<ProvidedMysql | string> {
  let printed: string
  try {
    printed = await runCommand(program, ['--version'])
  } catch (error) {
    return messageOf(error)
  }
  const [, version, major, minor] = /Ver ((\d+)\.(\d+)\.\d+)/.exec(printed) ?? []
  if (version === undefined) return `it says ${JSON.stringify(printed.trim())}`
  if (/mariadb/i.test(printed)) return `it is MariaDB ${version}, and MySQL is needed`
  const isOld = Number(major) < OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) < OLDEST[1])
  if (isOld) return `it is MySQL ${version}, and ${OLDEST.join('.')} or later is needed`
  return { mysqld: program, version }
}

async function announceAndInstall(directory: string): Promise<void> {
  process.stderr.write('installing MySQL into the cache (once, 66 MB) …\n')
  try {
    await installMysql(directory)
  } catch (error) {
    if (!isError(error)) throw error
    throw new TabletkeeperError(
      'NotFound',
      `MySQL is not on this machine and could not be installed privately: ${error.message}`,
      {
        hint: `Install mysql-server ${OLDEST.join('.')} or later so that mysqld is on PATH, or set MYSQLD to it.`,
        cause: error,
      },
    )
  }
}
