import { TabletkeeperError } from '../../model/errors.ts'
import { askMysqld } from '../process/mysqld-program.ts'

/** Options of a server as its next start will have them, by name with dashes; those without a value are not in it. */
export type ServerOptions = ReadonlyMap<string, string>

const TABLE = /^Variables \(--variable-name=value\)$/m
const UNSET = '(No default value)'

/**
 * Asks mysqld for its options: built-in defaults, then `defaultsFile`, then what `SET PERSIST` left in the data directory.
 * @throws InvalidConfig when mysqld cannot say, because the file is not there or has mistakes
 */
export async function readServerOptions(mysqld: string, defaultsFile: string): Promise<ServerOptions> {
  const ask = (...argv: string[]) => askMysqld(mysqld, [`--defaults-file=${defaultsFile}`, ...argv])
  try {
    const [help, given] = await Promise.all([ask('--verbose', '--help'), ask('--print-defaults')])
    const options = new Map(parseOptionTable(help))
    // The table says `stderr` whatever the file says, and has no user.
    for (const name of ['log-error', 'user']) {
      const value = parseGivenOption(given, name)
      if (value === undefined) options.delete(name)
      else options.set(name, value)
    }
    return options
  } catch (error) {
    if (!(error instanceof TabletkeeperError) || error.type !== 'MysqldFailed') throw error
    throw new TabletkeeperError(
      'InvalidConfig',
      `mysqld cannot read its options from ${defaultsFile}: ${error.message}`,
      {
        hint: `Correct 'mysql.defaultsFile', or that file; try ${mysqld} --defaults-file=${defaultsFile} --validate-config.`,
        cause: error,
      },
    )
  }
}

/** The table at the end of `mysqld --verbose --help`. A text without one has no options. */
export function parseOptionTable(help: string): ServerOptions {
  const start = help.search(TABLE)
  const rows = start === -1 ? [] : help.slice(start).split('\n').slice(3)
  const end = rows.findIndex((row) => row.trim() === '')
  const options = new Map<string, string>()
  for (const row of end === -1 ? rows : rows.slice(0, end)) {
    const [, name, value = ''] = /^([a-z0-9][\w-]*)(?:\s+(.*))?$/.exec(row) ?? []
    if (name !== undefined && value.trim() !== UNSET) options.set(name, value.trim())
  }
  return options
}

/**
 * The value of `option` in what `mysqld --print-defaults` prints: the last one, `''` when it is given without a value, undefined when it
 * is not given. That output has no quotes: a value reaches to the next ` --`.
 */
export function parseGivenOption(printed: string, option: string): string | undefined {
  const name = option.replaceAll('-', '[-_]')
  const pattern = new RegExp(`(?:^|\\s)--(?:loose[-_])?${name}(?:=(.*?))?(?=\\s+--|\\s*$)`, 'gs')
  return [...printed.matchAll(pattern)].at(-1)?.map((group) => group ?? '')[1]
}
