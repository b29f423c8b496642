import { access, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { type TabletAlias, uidOf } from '../model/alias.ts'
import { TabletkeeperError } from '../model/errors.ts'
import { partsOf, type ShardName } from '../model/shard-name.ts'
import { type BackgroundProgram, startInBackground } from './background-program.ts'
import { runCommand } from './command.ts'
import { freePort } from './free-port.ts'
import { endMysqld } from './mysqld-process.ts'
import { connectAsRoot } from './root-connection.ts'
import { unprivileged } from './unprivileged.ts'

/** A mysqld that Vitess's mysqlctl made, and the stock vttablet beside it. */
export interface VitessTablet {
  readonly alias: TabletAlias
  /** Of mysqld. */
  readonly port: number
  readonly defaultsFile: string
  readonly log: string
  /** Starts vttablet, or starts it anew with other flags. */
  startVttablet(flags?: readonly string[]): Promise<void>
  /** A connection to mysqld as root, over the socket. */
  connect(): Promise<Connection>
  /** Runs one statement on mysqld as root. Integers beyond 2^53 come as strings. */
  query<Row extends object>(sql: string, values?: readonly (string | number)[]): Promise<Row[]>
  /** Ends vttablet and mysqld. */
  stop(): Promise<void>
}

export interface VitessTabletOptions {
  readonly alias: TabletAlias
  readonly shard: ShardName
  /** Vitess's VTDATAROOT: holds every tablet of a cell. */
  readonly dataRoot: string
  /** Of Vitess's programs. */
  readonly programs: string
  readonly mysqld: string
  /** Flags that tell where topology and backups are. */
  readonly flags: readonly string[]
}

/** Lets Vitess's servers know accounts that log in by `auth_socket`. */
const EXTRA_SETTINGS = '[mysqld]\nplugin-load-add=auth_socket.so\nbind-address=127.0.0.1\ninnodb_buffer_pool_size=64M\n'

/** Makes an empty tablet, as `mysqlctl init` does, and starts its mysqld. Vttablet is not started. */
export async function createVitessTablet(options: VitessTabletOptions): Promise<VitessTablet> {
  const { alias, dataRoot, programs, mysqld } = options
  const { keyspace, shard } = partsOf(options.shard)
  const directory = join(dataRoot, `vt_${alias.slice(alias.lastIndexOf('-') + 1)}`)
  const logs = join(dataRoot, 'logs')
  const log = join(logs, `${alias}.vttablet.log`)
  const extra = join(dataRoot, 'extra.cnf')
  await mkdir(logs, { recursive: true })
  await writeFile(extra, EXTRA_SETTINGS)
  const environment = {
    VTDATAROOT: dataRoot,
    VTROOT: dataRoot,
    VT_MYSQL_ROOT: await mysqlRoot(mysqld),
    EXTRA_MY_CNF: extra,
    HOME: dataRoot,
    TMPDIR: dataRoot,
  }
  const files = {
    defaultsFile: join(directory, 'my.cnf'),
    datadir: join(directory, 'data'),
    socket: join(directory, 'mysql.sock'),
    pidFile: join(directory, 'mysql.pid'),
    errorLog: join(directory, 'error.log'),
    output: log,
  }
  const port = await freePort()
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const init = ['--tablet-uid', String(uidOf(alias)), '--mysql-port', String(port), 'init']
  const [program, programArguments] = unprivileged('env', [...assignments, join(programs, 'mysqlctl'), ...init])
  await runCommand(program, programArguments)

  let running: BackgroundProgram | undefined
  return {
    alias,
    port,
    defaultsFile: files.defaultsFile,
    log,
    startVttablet: async (flags = []) => {
      await running?.stop()
      const [web, grpc] = [await freePort(), await freePort()]
      const [vttablet, vttabletArguments] = unprivileged(join(programs, 'vttablet'), [
        ...options.flags,
        ...['--tablet-path', alias, '--tablet-hostname', '127.0.0.1', '--init-tablet-type', 'replica'],
        ...['--init-keyspace', keyspace, '--init-shard', shard, '--init-db-name-override', keyspace],
        ...['--port', String(web), '--grpc-port', String(grpc), '--bind-address', '127.0.0.1'],
        ...['--service-map', 'grpc-queryservice,grpc-tabletmanager,grpc-updatestream'],
        ...flags,
      ])
      running = await startInBackground({
        program: vttablet,
        arguments: vttabletArguments,
        environment,
        log,
        isReady: async () => (await fetch(`http://127.0.0.1:${web}/debug/vars`)).ok,
      })
    },
    connect: () => connectAsRoot(files.socket),
    query: async <Row extends object>(sql: string, values: readonly (string | number)[] = []) => {
      await using connection = await connectAsRoot(files.socket)
      const [rows] = await connection.query<(Row & RowDataPacket)[]>(sql, [...values])
      return rows
    },
    stop: async () => {
      await running?.stop()
      await endMysqld(files, 'SIGTERM')
    },
  }
}

/** Where Vitess finds `bin/mysqld` or `sbin/mysqld`, and `bin/mysqladmin`, with which it stops a mysqld. */
async function mysqlRoot(mysqld: string): Promise<string> {
  const root = dirname(dirname(mysqld))
  const mysqladmin = join(root, 'bin', 'mysqladmin')
  try {
    await access(mysqladmin)
  } catch (cause) {
    throw new TabletkeeperError('NotFound', `${mysqladmin} is not there, with which Vitess stops ${mysqld}`, {
      hint: "Install MySQL's client programs, or set MYSQLD to a server that has them beside it.",
      cause,
    })
  }
  return root
}
