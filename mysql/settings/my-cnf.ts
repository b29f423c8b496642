import { realpath } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import { orMissing } from '../system/system-error.ts'
import { readServerOptions, type ServerOptions } from './server-options.ts'

/** Where a series of log files is: `<basename>.000001` and so on, and the file that lists them. Absolute paths. */
export interface LogSeries {
  readonly basename: string
  readonly index: string
}

/** Where a server keeps what, as its configuration says. All paths are absolute; directories are without symbolic links. */
export interface ServerLayout {
  readonly defaultsFile: string
  readonly datadir: string
  readonly innodbDataHome: string
  readonly innodbLogHome: string
  readonly undoDirectory: string
  readonly doublewriteDirectory: string
  /** Directories of what is no data: temporary files, loads, exports. */
  readonly workDirectories: readonly string[]
  /** Whom mysqld becomes when root starts it; undefined when the configuration does not say. */
  readonly user: string | undefined
  /** `innodb_data_file_path`, such as `ibdata1:12M:autoextend`. */
  readonly dataFilePath: string
  /** Names of the files of the system tablespace in `innodbDataHome`, in their order. */
  readonly systemFiles: readonly string[]
  /** The first of them. A running mysqld holds a lock on it. */
  readonly systemTablespace: string
  readonly socket: string
  readonly port: number
  readonly pidFile: string
  /** Undefined: mysqld writes its errors to standard error. */
  readonly errorLog: string | undefined
  /** General and slow query log, whether they are written or not. */
  readonly queryLogs: readonly string[]
  readonly binlog: LogSeries | undefined
  readonly relayLog: LogSeries
  /** As the next start will have it, persisted variables included. */
  readonly serverId: number
}

/**
 * Asks mysqld where it keeps what, as its next start with `defaultsFile` will have it. It need not run, and is not disturbed if it does.
 * @throws InvalidConfig when mysqld cannot say, or says something that cannot be
 */
export async function readServerLayout(mysqld: string, defaultsFile: string): Promise<ServerLayout> {
  const layout = layoutOf(await readServerOptions(mysqld, defaultsFile), defaultsFile, hostname())
  const real = async (path: string) => (await orMissing(realpath(path))) ?? path
  const innodbDataHome = await real(layout.innodbDataHome)
  const inRealDirectory = async (path: string) => join(await real(dirname(path)), basename(path))
  const realSeries = async ({ basename, index }: LogSeries): Promise<LogSeries> => ({
    basename: await inRealDirectory(basename),
    index: await inRealDirectory(index),
  })
  return {
    ...layout,
    datadir: await real(layout.datadir),
    innodbDataHome,
    innodbLogHome: await real(layout.innodbLogHome),
    undoDirectory: await real(layout.undoDirectory),
    doublewriteDirectory: await real(layout.doublewriteDirectory),
    systemTablespace: join(innodbDataHome, basename(layout.systemTablespace)),
    binlog: layout.binlog && (await realSeries(layout.binlog)),
    relayLog: await realSeries(layout.relayLog),
  }
}

/** `tmpdir` may be a list. */
const WORK_DIRECTORIES = ['tmpdir', 'innodb-tmpdir', 'replica-load-tmpdir', 'secure-file-priv']

/**
 * Resolves options as mysqld does, which runs with the data directory as its working directory.
 * @param host the name of this machine, which is part of default file names
 * @throws InvalidConfig
 */
export function layoutOf(options: ServerOptions, defaultsFile: string, host: string): ServerLayout {
  const datadir = resolve(required(options, 'datadir', defaultsFile))
  const at = (path: string) => resolve(datadir, path)
  const directory = (name: string, otherwise: string) => at(options.get(name) || otherwise)
  const innodbDataHome = directory('innodb-data-home-dir', datadir)
  const dataFilePath = required(options, 'innodb-data-file-path', defaultsFile)
  const systemFiles = systemFileNames(dataFilePath, defaultsFile)
  const shortHost = host.split('.', 1)[0] ?? host
  const queryLogs = ['general-log-file', 'slow-query-log-file'].flatMap((name) => options.get(name) ?? [])
  return {
    defaultsFile: resolve(defaultsFile),
    datadir,
    innodbDataHome,
    innodbLogHome: directory('innodb-log-group-home-dir', datadir),
    undoDirectory: directory('innodb-undo-directory', datadir),
    doublewriteDirectory: directory('innodb-doublewrite-dir', innodbDataHome),
    workDirectories: WORK_DIRECTORIES.flatMap((name) => (options.get(name) ?? '').split(':'))
      .filter((path) => path !== '' && path !== 'NULL')
      .map(at),
    user: options.get('user'),
    dataFilePath,
    systemFiles,
    systemTablespace: join(innodbDataHome, systemFiles[0] ?? 'ibdata1'),
    socket: at(options.get('socket') ?? '/tmp/mysql.sock'),
    port: numberOf(options, 'port', defaultsFile),
    pidFile: at(options.get('pid-file') ?? `${shortHost}.pid`),
    errorLog: errorLogPath(options.get('log-error'), shortHost, at),
    queryLogs: queryLogs.map(at),
    binlog: options.has('log-bin') ? logSeries(options, 'log-bin', `${shortHost}-bin`, at) : undefined,
    relayLog: logSeries(options, 'relay-log', `${shortHost}-relay-bin`, at),
    serverId: numberOf(options, 'server-id', defaultsFile),
  }
}

/** The names in `ibdata1:12M;more/ibdata2:50M:autoextend`. */
function systemFileNames(dataFilePath: string, defaultsFile: string): string[] {
  const names = dataFilePath.split(';').map((part) => part.split(':', 1)[0]?.trim() ?? '')
  if (names.every((name) => name !== '' && !name.includes('/'))) return names
  throw new TabletkeeperError('InvalidConfig', `innodb_data_file_path=${dataFilePath} of ${defaultsFile} names paths`, {
    hint: 'Name only files there, and their directory in innodb_data_home_dir: backups cannot hold other layouts.',
  })
}

function errorLogPath(given: string | undefined, host: string, at: (path: string) => string): string | undefined {
  if (given === undefined || given === 'stderr') return undefined
  if (given === '') return at(`${host}.err`)
  return at(extname(given) === '' ? `${given}.err` : given)
}

/**
 * mysqld cuts the names of logs at their first dot. An index without a directory lies in the data directory, but the default one beside
 * its logs; the option table shows both in the same way, so that one of that name is taken for the default.
 */
function logSeries(options: ServerOptions, name: string, otherwise: string, at: (path: string) => string): LogSeries {
  const given = at(options.get(name) || otherwise)
  const stem = basename(given).split('.', 1)[0] ?? ''
  const series = join(dirname(given), stem)
  const index = options.get(`${name}-index`) ?? `${stem}.index`
  return { basename: series, index: index === `${stem}.index` ? `${series}.index` : at(index) }
}

function required(options: ServerOptions, name: string, defaultsFile: string): string {
  const value = options.get(name)
  if (value) return value
  throw new TabletkeeperError('InvalidConfig', `mysqld with ${defaultsFile} has no '${name}'`, {
    hint: `Set ${name} in ${defaultsFile}; 'mysql.mysqld' has to be a MySQL server of version 8.4 or later.`,
  })
}

function numberOf(options: ServerOptions, name: string, defaultsFile: string): number {
  const value = Number(required(options, name, defaultsFile))
  if (Number.isSafeInteger(value)) return value
  throw new TabletkeeperError('InvalidConfig', `mysqld with ${defaultsFile} has no number as '${name}'`, {
    hint: `Correct ${name} in ${defaultsFile}.`,
  })
}
