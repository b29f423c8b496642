import { connect as connectSocket, type Socket } from 'node:net'
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise'
import { z } from 'zod'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Milliseconds } from '../../model/units.ts'
import { Secret } from './secret.ts'
import { connectFailure, isWithoutTls, overdueStatement, statementFailure } from './sql-errors.ts'

export type MysqlAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number }

export interface MysqlCredentials {
  readonly user: string
  /** Absent: an account without one, or one that the server knows by the operating-system user (`auth_socket`). */
  readonly password?: string
}

/** What a `?` in a statement may stand for; `??` takes a name. */
export type SqlValue = string | number | bigint | null | Secret

const CONNECT_LIMIT = 10_000
/** A mysqld that is frozen, or whose disk is, must not hold its caller for ever. */
const STATEMENT_LIMIT = 300_000

/**
 * One session on a mysqld; all SQL of the project passes through here. Statements run one after the other.
 * Failures are Refused (not let in, not granted), IncompatibleVersion (the server does not know the statement) or MysqldFailed
 * (everything else, worth another try). Their text never holds a value of a statement.
 */
export class MysqlConnection implements AsyncDisposable {
  readonly #connection: Connection
  /** The driver half-closes it and waits for the server, so that a mysqld which is frozen would keep the process. */
  readonly #socket: Socket
  /** Where it goes, for messages. */
  readonly server: string
  /** When the session has to be over, by `performance.now()`. */
  readonly #deadline: number

  private constructor({ connection, socket }: LoggedIn, server: string, deadline: number) {
    this.#connection = connection
    this.#socket = socket
    this.server = server
    this.#deadline = deadline
  }

  /**
   * Logs in: over a socket, or over TCP, with TLS where the server offers it (its certificate is not checked).
   * @param options.timeout for the login, and for the session's settings after it; 10 s each by default
   * @param options.within for all of the session, from the login to its last statement; what comes later fails
   * @throws Refused when the server does not let the account in
   * @throws MysqldFailed when no server answers in time
   */
  static async connect(
    address: MysqlAddress,
    credentials: MysqlCredentials,
    options: { readonly timeout?: Milliseconds; readonly within?: Milliseconds } = {},
  ): Promise<MysqlConnection> {
    const server = 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`
    const within = options.within ?? Number.POSITIVE_INFINITY
    const deadline = performance.now() + within
    const timeout = Math.min(options.timeout ?? CONNECT_LIMIT, within)
    try {
      const loggedIn = await openPreferringTls(address, credentials, timeout)
      // A loss between two statements is reported by the next one; without a listener it would end the process.
      loggedIn.connection.on('error', () => {})
      const session = new MysqlConnection(loggedIn, server, deadline)
      try {
        await session.#prepare(timeout)
      } catch (error) {
        await session.close()
        throw error
      }
      return session
    } catch (error) {
      if (error instanceof TabletkeeperError) throw error
      throw connectFailure(server, credentials.user, error)
    }
  }

  /**
   * Runs a statement that answers rows. Integers beyond 2^53 - 1 and all of type BIGINT come as strings: coerce them in the schema.
   * @throws IncompatibleVersion when the rows are not what the schema says
   */
  async query<T>(sql: string, rowSchema: z.ZodType<T>, values: readonly SqlValue[] = []): Promise<T[]> {
    const parsed = z.array(rowSchema).safeParse(await this.#run(sql, values))
    if (parsed.success) return parsed.data
    throw new TabletkeeperError(
      'IncompatibleVersion',
      `mysqld at ${this.server} answered otherwise than expected: ${sql}`,
      {
        cause: parsed.error,
        hint: 'MySQL 8.4 and later are supported.',
      },
    )
  }

  /** Runs a statement that answers exactly one row. */
  async one<T>(sql: string, rowSchema: z.ZodType<T>, values: readonly SqlValue[] = []): Promise<T> {
    const rows = await this.query(sql, rowSchema, values)
    const [row] = rows
    if (row === undefined || rows.length > 1) {
      throw new TabletkeeperError(
        'MysqldFailed',
        `mysqld at ${this.server} answered ${rows.length} rows, not one: ${sql}`,
      )
    }
    return row
  }

  /** Runs a statement for its effect. */
  async execute(sql: string, values: readonly SqlValue[] = []): Promise<void> {
    await this.#run(sql, values)
  }

  /** Ends the session. Never throws, and does not wait for a server that is gone. */
  async close(): Promise<void> {
    await this.#connection.end().catch(() => {})
    this.#connection.destroy()
    this.#socket.unref()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Escaping relies on sql_mode, waiting on a bound, and timestamps compare only in the server's own time zone. */
  async #prepare(timeout: number): Promise<void> {
    await this.#run(
      "SET SESSION sql_mode = '', SESSION time_zone = 'SYSTEM', SESSION lock_wait_timeout = 60",
      [],
      timeout,
    )
  }

  async #run(sql: string, values: readonly SqlValue[], limit = STATEMENT_LIMIT): Promise<unknown> {
    const timeout = Math.min(limit, Math.max(0, this.#deadline - performance.now()))
    // The driver's own limit keeps its timer, and with it the process, for as long as it is when the connection is lost meanwhile.
    const overdue = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      // The answer may still arrive, and would be taken for that of the next statement.
      this.#connection.destroy()
      this.#socket.destroy()
      overdue.reject(overdueStatement(this.server, sql, Math.round(timeout / 100) / 10))
    }, timeout)
    try {
      const [rows] = await Promise.race([this.#connection.query(sql, [...values]), overdue.promise])
      return rows
    } catch (error) {
      if (error instanceof TabletkeeperError) throw error
      const holdsSecret = values.some((value) => value instanceof Secret)
      throw statementFailure(this.server, sql, holdsSecret, error)
    } finally {
      clearTimeout(timer)
    }
  }
}

interface LoggedIn {
  readonly connection: Connection
  readonly socket: Socket
}

async function openPreferringTls(
  address: MysqlAddress,
  credentials: MysqlCredentials,
  timeout: number,
): Promise<LoggedIn> {
  if ('socketPath' in address) return await open(address, credentials, timeout, false)
  try {
    return await open(address, credentials, timeout, true)
  } catch (error) {
    if (isWithoutTls(error)) return await open(address, credentials, timeout, false)
    throw error
  }
}

async function open(
  address: MysqlAddress,
  credentials: MysqlCredentials,
  timeout: number,
  tls: boolean,
): Promise<LoggedIn> {
  const socket = 'socketPath' in address ? connectSocket(address.socketPath) : connectSocket(address)
  socket.setNoDelay(true).setKeepAlive(true)
  try {
    const options = { ...optionsOf(credentials, timeout, tls), ...address, stream: socket }
    return { connection: await createConnection(options), socket }
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function optionsOf(credentials: MysqlCredentials, timeout: number, tls: boolean): ConnectionOptions {
  return {
    ...credentials,
    connectTimeout: timeout,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    charset: 'utf8mb4',
    connectAttributes: { program_name: 'tabletkeeper' },
    ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
    // For an auth_socket account the server asks the kernel who we are; the plugin's answer is empty.
    authPlugins: { auth_socket: () => () => Buffer.alloc(0) },
  }
}
