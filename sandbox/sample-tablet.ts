import { readdir } from 'node:fs/promises'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { type TabletAlias, uidOf } from '../model/alias.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { freePort } from './free-port.ts'
import { endMysqld, mysqldPid, startMysqld } from './mysqld-process.ts'
import type { ProvidedMysql } from './provide-mysql.ts'
import { connectAsRoot } from './root-connection.ts'
import { type TabletFiles, tabletFiles, writeTabletFiles } from './tablet-files.ts'
import { copyTemplate } from './template.ts'

export interface TabletOptions {
  /** The tablet's own directory; made when it is not there. */
  readonly directory: string
  readonly alias: TabletAlias
  readonly mysql: ProvidedMysql
  /** Default: a free one. */
  readonly port?: number
  /** Default: the number in the alias. */
  readonly serverId?: number
  /** Default: `data` in the tablet's directory. It may be a mount point. */
  readonly datadir?: string
  /** More lines for `[mysqld]`; they win over ours. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** A real mysqld on this machine, for tests, demo and `tabletkeeper dev`. */
export interface SampleTablet {
  readonly alias: TabletAlias
  readonly directory: string
  readonly port: number
  readonly serverId: number
  readonly mysqld: string
  readonly defaultsFile: string
  readonly datadir: string
  readonly socket: string
  readonly errorLog: string
  readonly settings: Readonly<Record<string, string | number>>
  /** Whether the data directory holds a server's data. */
  hasData(): Promise<boolean>
  /** Fills the empty or absent data directory with a new server that has no transactions. */
  initialize(): Promise<void>
  /** Starts mysqld, unless it runs, and waits until it answers. */
  start(extraArguments?: readonly string[]): Promise<void>
  /** Stops mysqld cleanly, if it runs. */
  stop(): Promise<void>
  /** Ends mysqld as a crash does, if it runs. */
  kill(): Promise<void>
  /** The running mysqld, whoever started it. */
  pid(): Promise<number | undefined>
  /** A connection as root, over the socket. */
  connect(): Promise<Connection>
  /** Runs one statement as root on a connection of its own. Integers beyond 2^53 come as strings. */
  query<Row extends object>(sql: string, values?: readonly (string | number)[]): Promise<Row[]>
}

/** Writes the tablet's my.cnf. The data directory is not touched: `initialize` fills it. */
export async function createTablet(options: TabletOptions): Promise<SampleTablet> {
  const { alias, directory, mysql, settings = {} } = options
  const files = tabletFiles(directory, options.datadir)
  const port = options.port ?? (await freePort())
  const serverId = options.serverId ?? uidOf(alias)
  await writeTabletFiles(directory, files, { port, serverId, settings })
  const { defaultsFile, datadir, socket, errorLog } = files
  return {
    alias,
    directory,
    port,
    serverId,
    mysqld: mysql.mysqld,
    defaultsFile,
    datadir,
    socket,
    errorLog,
    settings,
    hasData: () => hasData(files),
    initialize: () => initialize(mysql, files),
    start: async (extraArguments) => {
      if ((await mysqldPid(files)) === undefined) await startMysqld(mysql.mysqld, files, extraArguments)
    },
    stop: () => stopCleanly(files),
    kill: () => endMysqld(files, 'SIGKILL'),
    pid: () => mysqldPid(files),
    connect: () => connectAsRoot(socket),
    query: async <Row extends object>(sql: string, values: readonly (string | number)[] = []) => {
      await using connection = await connectAsRoot(socket)
      const [rows] = await connection.query<(Row & RowDataPacket)[]>(sql, [...values])
      return rows
    },
  }
}

/**
 * mysqld waits ten seconds for the threads that send its binary log to replicas, even to replicas that are gone: they
 * are ended first.
 */
async function stopCleanly(files: TabletFiles): Promise<void> {
  if ((await mysqldPid(files)) === undefined) return
  await endBinlogDumps(files.socket).catch(() => undefined)
  await endMysqld(files, 'SIGTERM')
}

async function endBinlogDumps(socket: string): Promise<void> {
  await using connection = await connectAsRoot(socket)
  const [dumps] = await connection.query<({ id: number } & RowDataPacket)[]>(
    "SELECT processlist_id AS id FROM performance_schema.threads WHERE processlist_command LIKE 'Binlog Dump%'",
  )
  for (const { id } of dumps) await connection.query('KILL ?', [id]).catch(() => undefined)
}

async function hasData({ datadir }: TabletFiles): Promise<boolean> {
  const entries: string[] = await readdir(datadir).catch(() => [])
  return entries.includes('ibdata1')
}

async function initialize(mysql: ProvidedMysql, files: TabletFiles): Promise<void> {
  if (await hasData(files)) throw new TabletkeeperError('Refused', `${files.datadir} holds data already`)
  await copyTemplate(mysql, files.datadir)
}
