import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { TabletkeeperError } from '../../model/errors.ts'
import { isCode } from '../system/system-error.ts'

const runFile = promisify(execFile)

const PRINTED_AT_MOST = 8 * 1024 * 1024
const ANSWERED_WITHIN = 60_000

/** What mysqld and its loader read from the environment. The rest, cloud credentials among it, is not mysqld's business. */
const ENVIRONMENT = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'UMASK',
  'UMASK_DIR',
  'MYSQL_HOME',
]

/** The environment that mysqld is started with: as the same everywhere, so that what it says of its configuration is what it will do. */
export function mysqldEnvironment(): NodeJS.ProcessEnv {
  const entries = ENVIRONMENT.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(entries)
}

/**
 * Runs `mysqld` to its end and returns what it printed on standard output.
 * @param argv its arguments; `--defaults-file` has to be the first
 * @param limit after how many milliseconds it is ended
 * @throws InvalidConfig when the program is not there; MysqldFailed with what it said when it fails
 */
export async function askMysqld(mysqld: string, argv: readonly string[], limit = ANSWERED_WITHIN): Promise<string> {
  try {
    const { stdout } = await runFile(mysqld, argv, {
      env: mysqldEnvironment(),
      maxBuffer: PRINTED_AT_MOST,
      timeout: limit,
    })
    return stdout
  } catch (error) {
    if (isCode(error, 'ENOENT', 'EACCES')) {
      throw new TabletkeeperError('InvalidConfig', `there is no program ${mysqld} that this user can run`, {
        hint: "Set 'mysql.mysqld' to the server program, such as /usr/sbin/mysqld.",
        cause: error,
      })
    }
    throw new TabletkeeperError('MysqldFailed', `mysqld ${argv.join(' ')} failed: ${said(error)}`, {
      hint: 'Run that command by hand on this host.',
      retryable: false,
      cause: error,
    })
  }
}

/**
 * The version of the program on disk, such as `9.7.4`; a running server may be older.
 * @throws as `askMysqld`
 */
export async function programVersion(mysqld: string): Promise<string> {
  return (await programRelease(mysqld)).version
}

/**
 * The version of the program on disk, and how it names itself: `Ver 9.7.4 for Linux on x86_64 (MySQL Community Server - GPL)`.
 * @throws as `askMysqld`
 */
export async function programRelease(mysqld: string): Promise<{ readonly version: string; readonly banner: string }> {
  const printed = await askMysqld(mysqld, ['--version'])
  const [banner, version] = /\bVer (\d+\.\d+\.\d+).*/.exec(printed) ?? []
  if (banner !== undefined && version !== undefined && !/mariadb/i.test(printed)) return { version, banner }
  throw new TabletkeeperError(
    'InvalidConfig',
    `${mysqld} is no MySQL server: it says ${JSON.stringify(printed.trim())}`,
    {
      hint: "Set 'mysql.mysqld' to a mysqld of MySQL 8.4 or later.",
    },
  )
}

/**
 * Lets mysqld check its options, as its next start will; harmless while a server runs on the same data.
 * @throws Refused with what is wrong
 */
export async function validateConfig(mysqld: string, defaultsFile: string): Promise<void> {
  try {
    await askMysqld(mysqld, [`--defaults-file=${defaultsFile}`, '--validate-config'])
  } catch (error) {
    if (!(error instanceof TabletkeeperError) || error.type !== 'MysqldFailed') throw error
    throw new TabletkeeperError('Refused', `mysqld would not start with ${defaultsFile}: ${said(error.cause)}`, {
      hint: `Correct ${defaultsFile}; mysqld --defaults-file=${defaultsFile} --validate-config tells when it is right.`,
      cause: error,
    })
  }
}

/**
 * The argument that makes mysqld run as the owner of its data directory: root may start it, but it refuses to stay root without being told.
 * None when this process is not root's, or the configuration names a user: mysqld takes the first that it is told.
 */
export async function runAs(layout: {
  readonly datadir: string
  readonly user: string | undefined
}): Promise<string[]> {
  if (process.getuid?.() !== 0 || layout.user !== undefined) return []
  return [`--user=${(await stat(layout.datadir)).uid}`]
}

function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const printed = 'stderr' in error ? String(error.stderr).trim() : ''
  return printed === '' ? error.message : printed.split('\n').slice(-5).join('\n')
}
