import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'

/** Where a sample tablet keeps what. */
export interface TabletFiles {
  readonly defaultsFile: string
  readonly datadir: string
  readonly socket: string
  readonly pidFile: string
  readonly errorLog: string
  /** What mysqld prints before it opens its error log. */
  readonly output: string
}

export interface TabletSettings {
  readonly port: number
  readonly serverId: number
  /** Lines of `[mysqld]` that come last, so that they win: `{ 'innodb_page_size': '16k' }`. */
  readonly settings: Readonly<Record<string, string | number>>
}

/** The size of `sun_path` in `unix(7)`, with its final zero. */
const LONGEST_SOCKET = 107

/** The files of the tablet in `directory`. The data directory may be elsewhere, such as a mount point. */
export function tabletFiles(directory: string, datadir = join(directory, 'data')): TabletFiles {
  return {
    defaultsFile: join(directory, 'my.cnf'),
    datadir,
    socket: socketPath(directory),
    pidFile: join(directory, 'run', 'mysqld.pid'),
    errorLog: join(directory, 'log', 'error.log'),
    output: join(directory, 'log', 'mysqld.out'),
  }
}

/** Writes my.cnf and makes every directory but the data directory. */
export async function writeTabletFiles(directory: string, files: TabletFiles, settings: TabletSettings): Promise<void> {
  for (const name of ['binlog', 'relay', 'run', 'log', 'tmp']) {
    await mkdir(join(directory, name), { recursive: true, mode: 0o750 })
  }
  await mkdir(dirname(files.socket), { recursive: true, mode: 0o700 })
  await writeFile(files.defaultsFile, configuration(directory, files, settings))
}

function configuration(directory: string, files: TabletFiles, { port, serverId, settings }: TabletSettings): string {
  const mysqld: Record<string, string | number> = {
    ...(process.getuid?.() === 0 ? { user: 'root' } : {}),
    datadir: quoted(files.datadir),
    tmpdir: quoted(join(directory, 'tmp')),
    socket: quoted(files.socket),
    'pid-file': quoted(files.pidFile),
    'log-error': quoted(files.errorLog),
    'bind-address': '127.0.0.1',
    port,
    server_id: serverId,
    mysqlx: 'OFF',
    'secure-file-priv': 'NULL',
    'plugin-load-add': 'auth_socket.so',
    'log-bin': quoted(join(directory, 'binlog', 'binlog')),
    'relay-log': quoted(join(directory, 'relay', 'relay')),
    gtid_mode: 'ON',
    enforce_gtid_consistency: 'ON',
    log_replica_updates: 'ON',
    performance_schema: 'ON',
    innodb_buffer_pool_size: '64M',
    innodb_redo_log_capacity: '16M',
    max_connections: 60,
    table_open_cache: 300,
    ...settings,
  }
  const lines = Object.entries(mysqld).map(([key, value]) => `${key}=${value}`)
  return ['[client]', `socket=${quoted(files.socket)}`, '', '[mysqld]', ...lines, ''].join('\n')
}

function quoted(path: string): string {
  return `"${path}"`
}

/** Below the tablet, or in a private temporary folder where that path is longer than a socket's may be. */
function socketPath(directory: string): string {
  const wanted = join(directory, 'run', 'mysqld.sock')
  if (Buffer.byteLength(wanted) <= LONGEST_SOCKET) return wanted
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 12)
  return join(tmpdir(), `tabletkeeper-${userInfo().uid}`, `${name}.sock`)
}
