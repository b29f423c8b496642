import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'

/** Errors of the server that are about who we are: they do not go away by trying again. */
const DENIED: ReadonlySet<number> = new Set([
  1044, // ER_DBACCESS_DENIED_ERROR
  1045, // ER_ACCESS_DENIED_ERROR
  1130, // ER_HOST_NOT_PRIVILEGED
  1142, // ER_TABLEACCESS_DENIED_ERROR
  1143, // ER_COLUMNACCESS_DENIED_ERROR
  1227, // ER_SPECIFIC_ACCESS_DENIED_ERROR
  1524, // ER_PLUGIN_IS_NOT_LOADED: the account's authentication plugin
  1698, // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
  1820, // ER_MUST_CHANGE_PASSWORD
  1862, // ER_MUST_CHANGE_PASSWORD_LOGIN
  3118, // ER_ACCOUNT_HAS_BEEN_LOCKED
  3955, // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
])
const TOO_MANY_CONNECTIONS = 1040
/** ER_PARSE_ERROR and ER_UNKNOWN_SYSTEM_VARIABLE: what we wrote is not known to this version. */
const UNKNOWN: ReadonlySet<number> = new Set([1064, 1193])

const driverErrorSchema = z.object({
  code: z.string().optional(),
  errno: z.number().optional(),
  sqlMessage: z.string().optional(),
  message: z.string(),
})
type DriverError = z.infer<typeof driverErrorSchema>

/** What the driver or the server said, without the statement: that may hold a password. */
class SqlError extends Error {
  readonly code: string | undefined
  /** The server's error number; undefined when the server did not answer. */
  readonly errno: number | undefined

  constructor(error: DriverError, words: string) {
    super(words)
    this.name = error.code ?? 'SqlError'
    this.code = error.code
    this.errno = error.sqlMessage === undefined ? undefined : error.errno
  }
}

/** The server's error number behind a failure of this folder; undefined when the server did not refuse the statement. */
export function errnoOf(error: unknown): number | undefined {
  return error instanceof TabletkeeperError && error.cause instanceof SqlError ? error.cause.errno : undefined
}

/** Whether a login failed because the server offers no TLS. */
export function isWithoutTls(error: unknown): boolean {
  return readDriverError(error).code === 'HANDSHAKE_NO_SSL_SUPPORT'
}

/** @returns Refused when the server does not let `user` in, else MysqldFailed, which is worth another try */
export function connectFailure(server: string, user: string, thrown: unknown): TabletkeeperError {
  const error = readDriverError(thrown)
  const cause = new SqlError(error, error.sqlMessage ?? error.message)
  const words = error.sqlMessage ?? (error.message || error.code)
  if (cause.errno !== undefined && DENIED.has(cause.errno)) {
    return new TabletkeeperError('Refused', `mysqld at ${server} does not let '${user}' in: ${words}`, {
      cause,
      hint: 'Create the account, or correct its user, password or plugin (auth_socket: run as the account it names).',
    })
  }
  if (error.code === 'EACCES') {
    return new TabletkeeperError('Refused', `the socket ${server} may not be used by this operating-system user`, {
      cause,
      hint: 'Let the user of the agent reach it: the group of mysqld, as a rule.',
    })
  }
  return new TabletkeeperError('MysqldFailed', `mysqld at ${server} cannot be reached: ${words}`, {
    cause,
    hint:
      cause.errno === TOO_MANY_CONNECTIONS
        ? 'Raise max_connections: one more than that is kept for accounts with CONNECTION_ADMIN, and in use.'
        : 'Does it run? Its error log says why not.',
  })
}

/**
 * @param holdsSecret then the server's own words are left out, since it likes to repeat values
 * @returns Refused for a missing grant, IncompatibleVersion for a statement that the server does not know, else MysqldFailed
 */
export function statementFailure(
  server: string,
  sql: string,
  holdsSecret: boolean,
  thrown: unknown,
): TabletkeeperError {
  const error = readDriverError(thrown)
  const words = holdsSecret
    ? `${error.code ?? 'an error'} (${error.errno ?? 'no number'})`
    : (error.sqlMessage ?? error.message)
  const cause = new SqlError(error, words)
  const what = `${shortened(sql)} on mysqld at ${server}`
  if (cause.errno === undefined) {
    return new TabletkeeperError('MysqldFailed', `the connection was lost: ${what}: ${words}`, {
      cause,
      hint: 'Did mysqld stop? Its error log says why.',
    })
  }
  if (DENIED.has(cause.errno)) {
    return new TabletkeeperError('Refused', `not allowed: ${what}: ${words}`, {
      cause,
      hint: 'Give the account the grants that the documentation lists; tabletkeeper check names what is missing.',
    })
  }
  if (UNKNOWN.has(cause.errno)) {
    return new TabletkeeperError('IncompatibleVersion', `not known: ${what}: ${words}`, {
      cause,
      hint: 'MySQL 8.4 and later are supported.',
    })
  }
  return new TabletkeeperError('MysqldFailed', `failed: ${what}: ${words}`, { cause })
}

/** A statement that had no answer after `seconds`. */
export function overdueStatement(server: string, sql: string, seconds: number): TabletkeeperError {
  return new TabletkeeperError(
    'MysqldFailed',
    `no answer within ${seconds} s: ${shortened(sql)} on mysqld at ${server}`,
    {
      hint: 'Is mysqld frozen, or does its disk hang? SHOW PROCESSLIST, where it still answers, says what it waits for.',
    },
  )
}

function readDriverError(thrown: unknown): DriverError {
  const parsed = driverErrorSchema.safeParse(thrown)
  return parsed.success ? parsed.data : { message: String(thrown) }
}

function shortened(sql: string): string {
  const line = sql.replaceAll(/\s+/g, ' ').trim()
  return line.length > 120 ? `${line.slice(0, 120)}…` : line
}
