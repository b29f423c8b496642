import { type Connection, createConnection } from 'mysql2/promise'
import { z } from 'zod'
import { TabletkeeperError } from '../model/errors.ts'
import type { Milliseconds } from '../model/units.ts'
import { Secret } from './secret.ts'
import { connectFailure, isWithoutTls, statementFailure } from './sql-errors.ts'

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
  /** Where it goes, for messages. */
  readonly server: string

  private constructor(connection: Connection, server: string) {
    this.#connection = connection
    this.server = server
  }

  /**
   * Logs in: over a socket, or over TCP, with TLS where the server offers it (its certificate is not checked).
   * @param options.timeout for all of it, 10 s by default
   * @throws Refused when the server does not let the account in
   * @throws MysqldFailed when no server answers in time
   */
  static async connect(
    address: MysqlAddress,
    credentials: MysqlCredentials,
    options: { readonly timeout?: Milliseconds } = {},
  ): Promise<MysqlConnection> {
    const server = 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`
    const timeout = options.timeout ?? CONNECT_LIMIT
    try {
      const connection = await openPreferringTls(address, credentials, timeout)
      // A loss between two statements is reported by the next one; without a listener it would end the process.
      connection.on('error', () => {})
      const session = new MysqlConnection(connection, server)
      await session.#prepare()
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
        hint: 'MySQL 8.0.26 and later are supported.',
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
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Escaping relies on sql_mode, waiting on a bound, and timestamps compare only in the server's own time zone. */
  async #prepare(): Promise<void> {
    await this.execute("SET SESSION sql_mode = '', SESSION time_zone = 'SYSTEM', SESSION lock_wait_timeout = 60")
  }

  async #run(sql: string, values: readonly SqlValue[]): Promise<unknown> {
    try {
      const [rows] = await this.#connection.query({ sql, values: [...values], timeout: STATEMENT_LIMIT })
      return rows
    } catch (error) {
      const failure = statementFailure(
        this.server,
        sql,
        values.some((value) => value instanceof Secret),
        error,
      )
      // After a timeout the answer may still arrive, and would be taken for that of the next statement.
      if (failure.cause instanceof Error && failure.cause.name === 'PROTOCOL_SEQUENCE_TIMEOUT')
        this.#connection.destroy()
      throw failure
    }
  }
}

async function openPreferringTls(
  address: MysqlAddress,
  credentials: MysqlCredentials,
  timeout: number,
): Promise<Connection> {
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
): Promise<Connection> {
  return await createConnection({
    ...address,
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
  })
}
